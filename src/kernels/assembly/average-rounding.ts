/** Eight sums to the bytes of an average, with one division; or both ends of what they may be, where those agree. */
import { BF16, F16, F32 } from './codes'
import { encodeAnyEight, encodeEight, encodeEightF32 } from './encode'

@inline
export function divided(form: i32, s0: v128, s1: v128, s2: v128, s3: v128, by: v128, out: usize): bool {
  const a = f64x2.div(s0, by)
  const b = f64x2.div(s1, by)
  const c = f64x2.div(s2, by)
  const d = f64x2.div(s3, by)
  return form == F32 ? encodeEightF32(a, b, c, d, out) : encodeEight(form == BF16, a, b, c, d, out)
}

/** The same, where quotients are of any size. */
@inline
export function dividedAny(form: i32, s0: v128, s1: v128, s2: v128, s3: v128, by: v128, out: usize): bool {
  if (form == F32) return divided(F32, s0, s1, s2, s3, by, out)
  return encodeAnyEight(form == BF16, f64x2.div(s0, by), f64x2.div(s1, by), f64x2.div(s2, by), f64x2.div(s3, by), out)
}

/** Both ends of what eight sums may be. */
const ends: usize = memory.data(128, 16)
@inline
export function storeEnds(at: usize, sum: v128, error: v128): void {
  v128.store(ends + at, f64x2.add(sum, error))
  v128.store(ends + at, f64x2.sub(sum, error), 64)
}

@inline
function dividedEnds(form: i32, from: usize, by: v128, out: usize): bool {
  return divided(form, v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48), by, out)
}

/** Whether both ends of eight sums are rounded alike; then that lies in `out`. */
export function roundedAlike(form: i32, divisor: f64, out: usize): bool {
  const by = f64x2.splat(divisor)
  let fits: bool
  if (form == BF16) fits = dividedEnds(BF16, ends, by, out) && dividedEnds(BF16, ends + 64, by, other)
  else if (form == F16) fits = dividedEnds(F16, ends, by, out) && dividedEnds(F16, ends + 64, by, other)
  else fits = dividedEnds(F32, ends, by, out) && dividedEnds(F32, ends + 64, by, other)
  if (!fits) return false
  let differ = v128.xor(v128.load(out), v128.load(other))
  if (form == F32) differ = v128.or(differ, v128.xor(v128.load(out, 16), v128.load(other, 16)))
  return !v128.any_true(differ)
}
const other: usize = memory.data(32)

/** Places of an upper word below the last place of a code. */
@inline export const PLACES: i32 = 13
/** 2¹⁴⁶, which makes subnormal codes whole at so many places. */
@inline const SUBNORMAL_PLACES: f64 = 8.9202980794122493e43
@inline const MAGIC: f64 = 4503599627370496

/** Magnitudes below the normal codes in the places of an upper word. */
@inline
export function smallPlacesOf(a: v128, b: v128): v128 {
  const units = f64x2.splat(SUBNORMAL_PLACES)
  const x = f64x2.add(f64x2.mul(f64x2.abs(a), units), f64x2.splat(MAGIC))
  const y = f64x2.add(f64x2.mul(f64x2.abs(b), units), f64x2.splat(MAGIC))
  return v128.shuffle<i32>(x, y, 0, 2, 4, 6)
}

/**
 * Loaded where they are used, for the compiler makes a constant again in every turn of a loop: signs of codes, magnitude of
 * a word, just below a middle, all places of a word below a code, how many lie round the middle, the least that is normal,
 * the rebias, half a code, and the greatest code but one with all its places.
 */
const constants: usize = memory.data<u32>([
  0x80008000, 0x7fffffff, 0x0fff, 0x1fff, 2, 0x38100000, 0x38000000, 0x1000, 0x0fefdfff,
])
@inline
function constantOf(place: usize): v128 {
  return v128.load_splat<u32>(constants + 4 * place)
}

/** Not zero where a magnitude lies within some 2⁻²⁰ of the middle of two codes. */
@inline
function careOf(size: v128): v128 {
  return i32x4.gt_s(constantOf(4), v128.and(i32x4.sub(size, constantOf(2)), constantOf(3)))
}

/** In words where the last places of eight sums mattered, the last time that they did not all lie well beside the middles. */
export let careA: v128 = i32x4.splat(0)
export let careB: v128 = i32x4.splat(0)

/**
 * Eight bf16 whose sums by the divisor, of which `share` is the inverse, lie where a last place of a sum or a quotient decides
 * nothing. False, and nothing written, where one does not.
 */
@inline
export function besideMiddles(s0: v128, s1: v128, s2: v128, s3: v128, share: f64, out: usize): bool {
  const by = f64x2.splat(share)
  s0 = f64x2.mul(s0, by)
  s1 = f64x2.mul(s1, by)
  s2 = f64x2.mul(s2, by)
  s3 = f64x2.mul(s3, by)
  const a = v128.shuffle<i32>(s0, s1, 1, 3, 5, 7)
  const b = v128.shuffle<i32>(s2, s3, 1, 3, 5, 7)
  const sizeA = v128.and(a, constantOf(1))
  const sizeB = v128.and(b, constantOf(1))
  const rebias = constantOf(6)
  let c = i32x4.sub(sizeA, rebias)
  let d = i32x4.sub(sizeB, rebias)
  const leastNormal = constantOf(5)
  const smallA = i32x4.gt_s(leastNormal, sizeA)
  const smallB = i32x4.gt_s(leastNormal, sizeB)
  // of sums of any scales, a branch for small ones costs more than they do
  c = v128.bitselect(smallPlacesOf(s0, s1), c, smallA)
  d = v128.bitselect(smallPlacesOf(s2, s3), d, smallB)
  const ownA = careOf(c)
  const ownB = careOf(d)
  const large = i32x4.gt_s(i32x4.max_s(c, d), constantOf(8))
  if (v128.any_true(v128.or(v128.or(ownA, ownB), large))) {
    careA = ownA
    careB = ownB
    return false
  }
  const half = constantOf(7)
  const codes = i16x8.narrow_i32x4_u(i32x4.shr_u(i32x4.add(c, half), PLACES), i32x4.shr_u(i32x4.add(d, half), PLACES))
  const signs = v128.and(v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15), constantOf(0))
  // a zero is +0
  v128.store(out, v128.or(codes, v128.and(signs, i16x8.gt_s(codes, i16x8.splat(0)))))
  return true
}
