/**
 * The same for f32: by an interval in f64 where weights are any, by exponents where they are whole numbers, and without a
 * proof where there are at most two streams, since one addition of f64 rounds once.
 */
import { divided, roundedAlike, storeEnds } from './average-rounding'
import { highTwo, F32, lowTwo, streamOf } from './codes'
import { errorOf, placesOf, scaledOf, spanOf, sumErrorOf } from './plan'
import { openEight } from './two-levels'

@inline const INFINITY_BITS: i32 = 0x7f800000

/**
 * Weights by the divisor. The sum is within `error` times the greatest magnitude of the quotient that is to be rounded:
 * nothing of it can change the result where it lies far enough from the middle of two f32, which its last bits show, or
 * where both ends of the interval are rounded alike. Answers how many eights could not prove it, or −1.
 */
export function averageF32InInterval(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const scaled = scaledOf(plan)
  const by = f64x2.splat(divisor)
  const size = i32x4.splat(0x7fffffff)
  const zero = i32x4.splat(0)
  const places = i32x4.splat(placesOf(plan))
  const error = f64x2.splat(errorOf(plan))
  let open = 0
  for (let at = from; at < to; at += 32) {
    let m0 = zero
    let m1 = zero
    let s0 = f64x2.splat(0)
    let s1 = s0
    let s2 = s0
    let s3 = s0
    for (let i = 0; i < k; i++) {
      const stream = streamOf(table, i, at)
      const weight = v128.load_splat<u64>(scaled + (<usize>i << 3))
      const a = v128.load(stream)
      const b = v128.load(stream, 16)
      m0 = i32x4.max_s(m0, v128.and(a, size))
      m1 = i32x4.max_s(m1, v128.and(b, size))
      s0 = f64x2.add(s0, f64x2.mul(weight, lowTwo(a)))
      s1 = f64x2.add(s1, f64x2.mul(weight, highTwo(a)))
      s2 = f64x2.add(s2, f64x2.mul(weight, lowTwo(b)))
      s3 = f64x2.add(s3, f64x2.mul(weight, highTwo(b)))
    }
    const o0 = f32x4.add(v128.shuffle<i64>(f32x4.demote_f64x2_zero(s0), f32x4.demote_f64x2_zero(s1), 0, 2), f32x4.splat(0))
    const o1 = f32x4.add(v128.shuffle<i64>(f32x4.demote_f64x2_zero(s2), f32x4.demote_f64x2_zero(s3), 0, 2), f32x4.splat(0))
    v128.store(out + at, o0)
    v128.store(out + at, o1, 16)
    if (!v128.any_true(v128.or(nearMiddle(s0, s1, o0, m0, places), nearMiddle(s2, s3, o1, m1, places)))) continue
    if (v128.any_true(i32x4.ge_s(i32x4.max_s(m0, m1), i32x4.splat(INFINITY_BITS)))) return -1
    if (alike(s0, s1, o0, m0, error) && alike(s2, s3, o1, m1, error)) continue
    open++
    if (!openEight(F32, table, weights, k, divisor, terms, plan, at, out + at)) return -1
  }
  return open
}

/**
 * Not zero where four sums lie near the middle of two f32, or are too small beside the greatest element, or in a range
 * where f32 are spaced otherwise.
 */
@inline
function nearMiddle(s0: v128, s1: v128, rounded: v128, most: v128, places: v128): v128 {
  const middle = i32x4.splat(0x80000000)
  const last = v128.xor(i32x4.shl(v128.shuffle<i32>(s0, s1, 0, 2, 4, 6), 3), middle)
  const near = i32x4.le_u(i32x4.abs(last), places)
  const size = v128.and(rounded, i32x4.splat(0x7fffffff))
  const normal = v128.and(i32x4.gt_s(most, i32x4.splat(0)), i32x4.splat(0x01000000)) // 2⁻¹²⁵
  const least = i32x4.max_s(normal, i32x4.sub(most, i32x4.splat(12 << 23)))
  const large = i32x4.gt_s(i32x4.max_s(size, most), i32x4.splat(INFINITY_BITS - 1))
  return v128.or(v128.or(near, i32x4.lt_s(size, least)), large)
}

/** Whether both ends of the intervals of four sums are rounded to these f32, all finite. */
@inline
function alike(s0: v128, s1: v128, rounded: v128, most: v128, error: v128): bool {
  const e0 = f64x2.mul(error, lowTwo(most))
  const e1 = f64x2.mul(error, highTwo(most))
  const above = v128.shuffle<i64>(f32x4.demote_f64x2_zero(f64x2.add(s0, e0)), f32x4.demote_f64x2_zero(f64x2.add(s1, e1)), 0, 2)
  const below = v128.shuffle<i64>(f32x4.demote_f64x2_zero(f64x2.sub(s0, e0)), f32x4.demote_f64x2_zero(f64x2.sub(s1, e1)), 0, 2)
  const finite = f32x4.eq(f32x4.sub(above, below), f32x4.splat(0))
  return v128.all_true<i32>(v128.and(v128.and(f32x4.eq(above, rounded), f32x4.eq(below, rounded)), finite))
}

@inline
function sumLoop(proved: bool, table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const by = f64x2.splat(divisor)
  const size = i32x4.splat(0x7fffffff)
  const one = i32x4.splat(1)
  const span = i32x4.splat(spanOf(plan))
  const error = f64x2.splat(sumErrorOf(plan))
  let open = 0
  for (let at = from; at < to; at += 32) {
    let m0 = i32x4.splat(0)
    let m1 = m0
    let n0 = i32x4.splat(-1)
    let n1 = n0
    let s0 = f64x2.splat(0)
    let s1 = s0
    let s2 = s0
    let s3 = s0
    for (let i = 0; i < k; i++) {
      const stream = streamOf(table, i, at)
      const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
      const a = v128.load(stream)
      const b = v128.load(stream, 16)
      const x = v128.and(a, size)
      const y = v128.and(b, size)
      m0 = i32x4.max_s(m0, x)
      m1 = i32x4.max_s(m1, y)
      if (!proved) {
        n0 = i32x4.min_u(n0, i32x4.sub(x, one))
        n1 = i32x4.min_u(n1, i32x4.sub(y, one))
      }
      s0 = f64x2.add(s0, f64x2.mul(weight, lowTwo(a)))
      s1 = f64x2.add(s1, f64x2.mul(weight, highTwo(a)))
      s2 = f64x2.add(s2, f64x2.mul(weight, lowTwo(b)))
      s3 = f64x2.add(s3, f64x2.mul(weight, highTwo(b)))
    }
    if (v128.any_true(i32x4.ge_s(i32x4.max_s(m0, m1), i32x4.splat(INFINITY_BITS)))) return -1
    if (!proved && v128.any_true(v128.or(i32x4.gt_u(i32x4.sub(m0, n0), span), i32x4.gt_u(i32x4.sub(m1, n1), span)))) {
      storeEnds(0, s0, f64x2.mul(error, lowTwo(m0)))
      storeEnds(16, s1, f64x2.mul(error, highTwo(m0)))
      storeEnds(32, s2, f64x2.mul(error, lowTwo(m1)))
      storeEnds(48, s3, f64x2.mul(error, highTwo(m1)))
      if (roundedAlike(F32, divisor, out + at)) continue
      open++
      if (!openEight(F32, table, weights, k, divisor, terms, plan, at, out + at)) return -1
    } else if (!divided(F32, s0, s1, s2, s3, by, out + at)) return -1
  }
  return open
}

/** Any two products, or sums whose exponents prove them. Answers how many eights needed more, or −1. */
export function averageF32InSpan(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  if (k <= 2) return sumLoop(true, table, weights, k, divisor, terms, plan, from, to, out)
  return sumLoop(false, table, weights, k, divisor, terms, plan, from, to, out)
}
