/**
 * Averages of three streams from bytes to bytes, whatever the scales: three products need no proof, since their sum can be
 * rounded once by itself. Of bf16, the step that makes sure of a tie is only taken where a result lies close to a middle.
 */
import { divided } from './average-rounding'
import { BF16, F16, F16_SCALE, highFour, highTwo, lowFour, lowTwo, streamOf } from './codes'
import { encodeAnyEight } from './encode'
import { lostTwo } from './error-free'
import { addThreeTwo } from './levels'

/** Two of eight products. */
@inline
function productOf(form: i32, part: i32, stream: usize, weight: v128): v128 {
  const four = part < 2 ? lowFour(form, stream) : highFour(form, stream)
  return f64x2.mul(weight, (part & 1) == 0 ? lowTwo(four) : highTwo(four))
}

@inline
function sumOf(form: i32, part: i32, x: usize, y: usize, z: usize, u: v128, v: v128, w: v128): v128 {
  const sum = addThreeTwo(productOf(form, part, x, u), productOf(form, part, y, v), productOf(form, part, z, w))
  return form == F16 ? f64x2.mul(sum, f64x2.splat(F16_SCALE)) : sum
}

/** Surely right. */
@inline
function rounded(form: i32, x: usize, y: usize, z: usize, u: v128, v: v128, w: v128, by: v128, out: usize): bool {
  const s0 = sumOf(form, 0, x, y, z, u, v, w)
  const s1 = sumOf(form, 1, x, y, z, u, v, w)
  const s2 = sumOf(form, 2, x, y, z, u, v, w)
  const s3 = sumOf(form, 3, x, y, z, u, v, w)
  return divided(form, s0, s1, s2, s3, by, out)
}

function roundedBf16(x: usize, y: usize, z: usize, u: v128, v: v128, w: v128, by: v128, out: usize): bool {
  return rounded(BF16, x, y, z, u, v, w, by, out)
}

/** Where both of what two additions lose is not zero, their sum may be rounded; that is what `both` tells. */
let both: v128 = i64x2.splat(0)

@inline
function quicklyOf(part: i32, x: usize, y: usize, z: usize, u: v128, v: v128, w: v128): v128 {
  const a = productOf(BF16, part, x, u)
  const b = productOf(BF16, part, y, v)
  const c = productOf(BF16, part, z, w)
  const first = f64x2.add(a, b)
  const d = lostTwo(a, b, first)
  const sum = f64x2.add(first, c)
  const e = lostTwo(first, c, sum)
  both = f64x2.mul(d, e) // none is below 2⁻⁴⁵⁰, so that no product is zero for being small
  return f64x2.add(f64x2.add(sum, f64x2.add(d, e)), f64x2.splat(0))
}

/**
 * Not zero in words where both additions lost something and the quotient lies within 2⁻²⁰ of the middle of two codes, or is
 * so small that codes are spaced otherwise. Elsewhere a last place of the sum decides nothing.
 */
@inline
function doubtOf(p: v128, q: v128, a: v128, b: v128): v128 {
  const size = v128.and(v128.shuffle<i32>(a, b, 1, 3, 5, 7), i32x4.splat(0x7fffffff))
  const beside = v128.and(i32x4.sub(size, i32x4.splat(0xfff)), i32x4.splat(0x1fff))
  const near = v128.or(i32x4.lt_u(beside, i32x4.splat(3)), i32x4.lt_s(size, i32x4.splat(0x38100000)))
  return v128.and(near, i32x4.shl(v128.shuffle<i32>(p, q, 1, 3, 5, 7), 1))
}

@inline
function quickly(x: usize, y: usize, z: usize, u: v128, v: v128, w: v128, by: v128, out: usize): bool {
  const a = f64x2.div(quicklyOf(0, x, y, z, u, v, w), by)
  const p = both
  const b = f64x2.div(quicklyOf(1, x, y, z, u, v, w), by)
  const q = both
  const c = f64x2.div(quicklyOf(2, x, y, z, u, v, w), by)
  const r = both
  const d = f64x2.div(quicklyOf(3, x, y, z, u, v, w), by)
  const s = both
  if (v128.any_true(v128.or(doubtOf(p, q, a, b), doubtOf(r, s, c, d)))) return roundedBf16(x, y, z, u, v, w, by, out)
  return encodeAnyEight(true, a, b, c, d, out)
}

@inline
export function averageThree(form: i32, table: usize, weights: usize, by: v128, at: usize, out: usize): bool {
  const x = streamOf(table, 0, at)
  const y = streamOf(table, 1, at)
  const z = streamOf(table, 2, at)
  const u = v128.load_splat<u64>(weights)
  const v = v128.load_splat<u64>(weights, 8)
  const w = v128.load_splat<u64>(weights, 16)
  if (form == BF16) return quickly(x, y, z, u, v, w, by, out)
  return rounded(form, x, y, z, u, v, w, by, out)
}
