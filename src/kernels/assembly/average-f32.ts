/**
 * Averages of f32: by exponents where weights are whole numbers, and without a proof where there are at most two streams,
 * since one addition of f64 rounds once.
 */
import { divided, roundedAlike, storeEnds } from './average-rounding'
import { highTwo, F32, lowTwo, streamOf } from './codes'
import { spanOf, sumErrorOf } from './plan'
import { openEight } from './two-levels'

@inline const INFINITY_BITS: i32 = 0x7f800000

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
