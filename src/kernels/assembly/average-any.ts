/** Averages of eight elements of any scales (any-scales.ts, bins.ts), from bytes to bytes: nothing is left open. */
import { descend, descendFurther, rows, SORTED_MAX, sortTerms, sumSorted } from './any-scales'
import { besideMiddles, dividedAny } from './average-rounding'
import { averageSortedCodes } from './average-sorted'
import { sumInBins } from './bins'
import { BF16, bytesOf, F16, F16_SCALE, F32, highFour, highTwo, lowFour, lowTwo, streamOf } from './codes'
import { NARROW_TERMS_MAX, sumInNarrowBins } from './narrow-bins'
import { greatestOf, isNarrow, isWide, leastOf, rowCountOf } from './plan'

const sums: usize = memory.data(64, 16)

/** Products of eight elements of k streams as rows; answers whether all elements are finite, their greatest then in `most`. */
@inline
function productsOf(form: i32, table: usize, weights: usize, k: i32, terms: usize, at: usize): bool {
  let a = i32x4.splat(0)
  let b = a
  for (let i = 0; i < k; i++) {
    const to = terms + (<usize>i << 6)
    const stream = streamOf(table, i, at)
    const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
    if (form == F32) {
      a = i32x4.max_s(a, v128.and(v128.load(stream), i32x4.splat(0x7fffffff)))
      b = i32x4.max_s(b, v128.and(v128.load(stream, 16), i32x4.splat(0x7fffffff)))
    } else a = i16x8.max_s(a, v128.and(v128.load(stream), i16x8.splat(0x7fff)))
    const low = lowFour(form, stream)
    const high = highFour(form, stream)
    v128.store(to, f64x2.mul(weight, lowTwo(low)))
    v128.store(to, f64x2.mul(weight, highTwo(low)), 16)
    v128.store(to, f64x2.mul(weight, lowTwo(high)), 32)
    v128.store(to, f64x2.mul(weight, highTwo(high)), 48)
  }
  if (form == F32) {
    a = i32x4.max_s(a, b)
    if (v128.any_true(i32x4.ge_s(a, i32x4.splat(0x7f800000)))) return false
  } else {
    if (v128.any_true(i16x8.ge_s(a, i16x8.splat(<i16>(form == BF16 ? 0x7f80 : 0x7c00))))) return false
    // as the f32 that they are widened to
    if (form == BF16) a = i32x4.max_s(i32x4.shl(a, 16), v128.and(a, i32x4.splat(0xffff0000)))
    else a = i32x4.max_s(i32x4.shr_u(i32x4.shl(a, 16), 3), i32x4.shr_u(v128.and(a, i32x4.splat(0xffff0000)), 3))
  }
  a = i32x4.max_s(a, v128.shuffle<i32>(a, a, 2, 3, 0, 1))
  a = i32x4.max_s(a, v128.shuffle<i32>(a, a, 1, 0, 3, 2))
  most = <f64>reinterpret<f32>(i32x4.extract_lane(a, 0))
  return true
}
let most: f64 = 0

let simple: bool = true

/** Eight bf16 from rows: of a sum in doubt a third part is asked for where a last place decides something. */
@inline
function averageSorted(k: i32, by: v128, out: usize): bool {
  sortTerms(k)
  // what needed a third part is most likely followed by what needs one
  if (simple) {
    const sure = descend(k, sums)
    if (sumsBesideMiddles(by, out)) return true
    if (sure) return dividedSums(by, out)
  }
  descendFurther(k, sums)
  simple = sumsBesideMiddles(by, out)
  return simple || dividedSums(by, out)
}
@inline
function sumsBesideMiddles(by: v128, out: usize): bool {
  const share = 1 / f64x2.extract_lane(by, 0)
  return besideMiddles(v128.load(sums), v128.load(sums, 16), v128.load(sums, 32), v128.load(sums, 48), share, out)
}
function dividedSums(by: v128, out: usize): bool {
  return dividedAny(BF16, v128.load(sums), v128.load(sums, 16), v128.load(sums, 32), v128.load(sums, 48), by, out)
}

/** Eight elements of any scales; `terms` has room for k times eight, and for sixteen. */
@inline
function anyScales(form: i32, table: usize, weights: usize, k: i32, by: v128, terms: usize, plan: usize, at: usize, out: usize): bool {
  const sorted = k <= SORTED_MAX && !isWide(plan)
  if (!productsOf(form, table, weights, k, sorted ? rows : terms, at)) return false
  if (sorted && form == BF16) return averageSorted(k, by, out)
  if (sorted) sumSorted(k, sums)
  else if (k <= NARROW_TERMS_MAX && isNarrow(plan)) sumInNarrowBins(terms, k, leastOf(plan), most * greatestOf(plan), sums)
  else sumInBins(terms, k, leastOf(plan), most * greatestOf(plan), sums)
  let s0 = v128.load(sums)
  let s1 = v128.load(sums, 16)
  let s2 = v128.load(sums, 32)
  let s3 = v128.load(sums, 48)
  if (form == F16) {
    const scale = f64x2.splat(F16_SCALE)
    s0 = f64x2.mul(scale, s0)
    s1 = f64x2.mul(scale, s1)
    s2 = f64x2.mul(scale, s2)
    s3 = f64x2.mul(scale, s3)
  }
  return dividedAny(form, s0, s1, s2, s3, by, out)
}

/** The same, called from where it is rare. */
export function anyEight(form: i32, table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, at: usize, out: usize): bool {
  const by = f64x2.splat(divisor)
  if (form == BF16 && rowCountOf(plan) > 0) {
    const done = averageSortedCodes(table, divisor, plan, at, out)
    if (done != 0) return done > 0
  }
  if (form == BF16) return anyScales(BF16, table, weights, k, by, terms, plan, at, out)
  if (form == F16) return anyScales(F16, table, weights, k, by, terms, plan, at, out)
  return anyScales(F32, table, weights, k, by, terms, plan, at, out)
}

@inline
function anyLoop(form: i32, table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const by = f64x2.splat(divisor)
  if (form == BF16 && rowCountOf(plan) > 0) {
    for (let at = from; at < to; at += 16) {
      const done = averageSortedCodes(table, divisor, plan, at, out + at)
      if (done < 0 || (done == 0 && !anyScales(BF16, table, weights, k, by, terms, plan, at, out + at))) return -1
    }
    return 0
  }
  for (let at = from; at < to; at += bytesOf(form))
    if (!anyScales(form, table, weights, k, by, terms, plan, at, out + at)) return -1
  return 0
}

/** Whole eights without a proof; −1 where an input or a result is not finite, else 0. */
export function averageAnyScales(form: i32, table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  if (form == BF16) return anyLoop(BF16, table, weights, k, divisor, terms, plan, from, to, out)
  if (form == F16) return anyLoop(F16, table, weights, k, divisor, terms, plan, from, to, out)
  return anyLoop(F32, table, weights, k, divisor, terms, plan, from, to, out)
}
