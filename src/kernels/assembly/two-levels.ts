/**
 * Eight elements from bytes to bytes where one f64 sum is not exact: two levels of exact sums (levels.ts) without a detour
 * over memory. The first level's constant lies above the greatest element, the second's above the greatest of those that
 * the first may not take whole, however far below. What two levels don't hold goes to what takes any scales.
 */
import { anyEight } from './average-any'
import { averageInCascade, CASCADE_MAX } from './average-cascade'
import { divided, roundedAlike, storeEnds } from './average-rounding'
import { BF16, bytesOf, F16, F16_SCALE, F32, highFour, highTwo, lowFour, lowTwo, streamOf } from './codes'
import { areWhole, dropOf, headOf, isWide, nextOf, rowCountOf } from './plan'
import { averageThree } from './three-terms'

/** Constants of both levels, or sums, of eight elements. */
const sums: usize = memory.data(128)

/** The high words of four f64 as those f64. */
@inline
function lowPair(words: v128): v128 {
  return v128.shuffle<i32>(i32x4.splat(0), words, 0, 4, 1, 5)
}
@inline
function highPair(words: v128): v128 {
  return v128.shuffle<i32>(i32x4.splat(0), words, 0, 6, 1, 7)
}

/** Stores a level's constants for four elements, of whose greatest magnitude this is the exponent field. */
@inline
function storeConstants(to: usize, fields: v128, head: i32): void {
  const words = v128.or(i32x4.shl(i32x4.add(fields, i32x4.splat(head + 896)), 20), i32x4.splat(0x80000))
  v128.store(to, lowPair(words))
  v128.store(to, highPair(words), 16)
}

@inline
function twoLevels(form: i32, table: usize, weights: usize, k: i32, by: v128, terms: usize, plan: usize, at: usize, out: usize): i32 {
  const head = headOf(plan)
  const drop = dropOf(plan)
  const next = nextOf(plan)
  if (form == F32) {
    const size = i32x4.splat(0x7fffffff)
    let a = i32x4.splat(0)
    let b = a
    for (let i = 0; i < k; i++) {
      const stream = streamOf(table, i, at)
      a = i32x4.max_s(a, v128.and(v128.load(stream), size))
      b = i32x4.max_s(b, v128.and(v128.load(stream, 16), size))
    }
    if (v128.any_true(i32x4.ge_s(i32x4.max_s(a, b), i32x4.splat(0x7f800000)))) return -1
    a = i32x4.shr_u(a, 23)
    b = i32x4.shr_u(b, 23)
    const below = i32x4.splat(drop)
    const edgeA = i32x4.shl(i32x4.max_s(i32x4.sub(a, below), i32x4.splat(0)), 23)
    const edgeB = i32x4.shl(i32x4.max_s(i32x4.sub(b, below), i32x4.splat(0)), 23)
    let c = i32x4.splat(0)
    let d = c
    for (let i = 0; i < k; i++) {
      const stream = streamOf(table, i, at)
      const x = v128.and(v128.load(stream), size)
      const y = v128.and(v128.load(stream, 16), size)
      c = i32x4.max_s(c, v128.and(x, i32x4.lt_s(x, edgeA)))
      d = i32x4.max_s(d, v128.and(y, i32x4.lt_s(y, edgeB)))
    }
    const cap = i32x4.splat(next)
    storeConstants(sums, a, head)
    storeConstants(sums + 32, b, head)
    storeConstants(sums + 64, i32x4.min_s(i32x4.shr_u(c, 23), i32x4.add(a, cap)), head)
    storeConstants(sums + 96, i32x4.min_s(i32x4.shr_u(d, 23), i32x4.add(b, cap)), head)
  } else {
    const shift = form == BF16 ? 7 : 10
    const size = i16x8.splat(0x7fff)
    let a = i16x8.splat(0)
    for (let i = 0; i < k; i++) a = i16x8.max_s(a, v128.and(v128.load(streamOf(table, i, at)), size))
    if (v128.any_true(i16x8.ge_s(a, i16x8.splat(<i16>(form == BF16 ? 0x7f80 : 0x7c00))))) return -1
    a = i16x8.shr_u(a, shift)
    const edge = i16x8.shl(i16x8.max_s(i16x8.sub(a, i16x8.splat(<i16>drop)), i16x8.splat(0)), shift)
    let c = i16x8.splat(0)
    for (let i = 0; i < k; i++) {
      const x = v128.and(v128.load(streamOf(table, i, at)), size)
      c = i16x8.max_s(c, v128.and(x, i16x8.lt_s(x, edge)))
    }
    c = i16x8.min_s(i16x8.shr_u(c, shift), i16x8.add(a, i16x8.splat(<i16>next)))
    storeConstants(sums, i32x4.extend_low_i16x8_s(a), head)
    storeConstants(sums + 32, i32x4.extend_high_i16x8_s(a), head)
    storeConstants(sums + 64, i32x4.extend_low_i16x8_s(c), head)
    storeConstants(sums + 96, i32x4.extend_high_i16x8_s(c), head)
  }
  let t0 = v128.load(sums)
  let t1 = v128.load(sums, 16)
  let t2 = v128.load(sums, 32)
  let t3 = v128.load(sums, 48)
  let u0 = v128.load(sums, 64)
  let u1 = v128.load(sums, 80)
  let u2 = v128.load(sums, 96)
  let u3 = v128.load(sums, 112)
  let left = i64x2.splat(0)
  for (let i = 0; i < k; i++) {
    const stream = streamOf(table, i, at)
    const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
    const low = lowFour(form, stream)
    let x = f64x2.mul(weight, lowTwo(low))
    let n = f64x2.add(t0, x)
    let r = f64x2.sub(x, f64x2.sub(n, t0))
    t0 = n
    n = f64x2.add(u0, r)
    left = v128.or(left, f64x2.ne(f64x2.sub(n, u0), r))
    u0 = n
    x = f64x2.mul(weight, highTwo(low))
    n = f64x2.add(t1, x)
    r = f64x2.sub(x, f64x2.sub(n, t1))
    t1 = n
    n = f64x2.add(u1, r)
    left = v128.or(left, f64x2.ne(f64x2.sub(n, u1), r))
    u1 = n
    const high = highFour(form, stream)
    x = f64x2.mul(weight, lowTwo(high))
    n = f64x2.add(t2, x)
    r = f64x2.sub(x, f64x2.sub(n, t2))
    t2 = n
    n = f64x2.add(u2, r)
    left = v128.or(left, f64x2.ne(f64x2.sub(n, u2), r))
    u2 = n
    x = f64x2.mul(weight, highTwo(high))
    n = f64x2.add(t3, x)
    r = f64x2.sub(x, f64x2.sub(n, t3))
    t3 = n
    n = f64x2.add(u3, r)
    left = v128.or(left, f64x2.ne(f64x2.sub(n, u3), r))
    u3 = n
  }
  let s0 = f64x2.add(f64x2.sub(t0, v128.load(sums)), f64x2.sub(u0, v128.load(sums, 64)))
  let s1 = f64x2.add(f64x2.sub(t1, v128.load(sums, 16)), f64x2.sub(u1, v128.load(sums, 80)))
  let s2 = f64x2.add(f64x2.sub(t2, v128.load(sums, 32)), f64x2.sub(u2, v128.load(sums, 96)))
  let s3 = f64x2.add(f64x2.sub(t3, v128.load(sums, 48)), f64x2.sub(u3, v128.load(sums, 112)))
  if (form == F16) {
    const scale = f64x2.splat(F16_SCALE)
    s0 = f64x2.mul(s0, scale)
    s1 = f64x2.mul(s1, scale)
    s2 = f64x2.mul(s2, scale)
    s3 = f64x2.mul(s3, scale)
  }
  if (!v128.any_true(left)) return divided(form, s0, s1, s2, s3, by, out) ? 0 : -1
  if (settled(form, s0, s1, s2, s3, by, k, out)) return 0
  return anyEight(form, table, weights, k, f64x2.extract_lane(by, 0), terms, plan, at, out) ? 1 : -1
}

/**
 * Whether what two levels left can't matter: each term leaves at most half a last place of the second constant, and both
 * ends of what the sums may be are rounded alike. Only sums that nearly cancel, or nearly tie, are not.
 */
function settled(form: i32, s0: v128, s1: v128, s2: v128, s3: v128, by: v128, k: i32, out: usize): bool {
  const share = f64x2.splat(<f64>(k + 1) * 1.1102230246251565e-16 * (form == F16 ? F16_SCALE : 1))
  storeEnds(0, s0, slack(s0, v128.load(sums, 64), share))
  storeEnds(16, s1, slack(s1, v128.load(sums, 80), share))
  storeEnds(32, s2, slack(s2, v128.load(sums, 96), share))
  storeEnds(48, s3, slack(s3, v128.load(sums, 112), share))
  return roundedAlike(form, f64x2.extract_lane(by, 0), out)
}

@inline
function slack(sum: v128, constant: v128, share: v128): v128 {
  return f64x2.add(f64x2.mul(constant, share), f64x2.mul(f64x2.abs(sum), f64x2.splat(8.881784197001252e-16)))
}

/** Up to this many terms are sorted, or go to bins where they are too wide for that, sooner than they are split. */
@inline const FEW: i32 = 8
@inline const FEW_WIDE: i32 = 4

@inline
function openOne(form: i32, table: usize, weights: usize, k: i32, by: v128, terms: usize, plan: usize, at: usize, out: usize): i32 {
  const divisor = f64x2.extract_lane(by, 0)
  if (form == BF16 && rowCountOf(plan) > 0) return anyEight(form, table, weights, k, divisor, terms, plan, at, out) ? 0 : -1
  // of three whole weights, most quotients that get here lie on middles
  if (form == BF16 && k <= CASCADE_MAX && (k > 3 || !areWhole(plan))) {
    if (averageInCascade(table, weights, k, divisor, at, out)) return 0
    if (k > 3) return anyEight(form, table, weights, k, divisor, terms, plan, at, out) ? 1 : -1
  }
  if (k == 3) return averageThree(form, table, weights, by, at, out) ? 0 : -1
  if (k <= (isWide(plan) ? FEW_WIDE : FEW)) return anyEight(form, table, weights, k, divisor, terms, plan, at, out) ? 0 : -1
  return twoLevels(form, table, weights, k, by, terms, plan, at, out)
}

@inline
function loop(form: i32, table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const by = f64x2.splat(divisor)
  let open = 0
  for (let at = from; at < to; at += bytesOf(form)) {
    const more = openOne(form, table, weights, k, by, terms, plan, at, out + at)
    if (more < 0) return -1
    open += more
  }
  return open
}

/** Whole eights. Answers how many two levels did not hold, or −1 where an input or a result is not finite. */
export function averageInLevels(form: i32, table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  if (form == BF16) return loop(BF16, table, weights, k, divisor, terms, plan, from, to, out)
  if (form == F16) return loop(F16, table, weights, k, divisor, terms, plan, from, to, out)
  return loop(F32, table, weights, k, divisor, terms, plan, from, to, out)
}

/** Eight elements that an earlier proof has left open. */
export function openEight(form: i32, table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, at: usize, out: usize): bool {
  const by = f64x2.splat(divisor)
  if (form == BF16) return openOne(BF16, table, weights, k, by, terms, plan, at, out) >= 0
  if (form == F16) return openOne(F16, table, weights, k, by, terms, plan, at, out) >= 0
  return openOne(F32, table, weights, k, by, terms, plan, at, out) >= 0
}
