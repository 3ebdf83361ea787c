/**
 * Exact sums of the products that are above zero, of those below, and of the weights of either. Where each addition but the
 * last loses nothing, the plain sum is the exact one rounded once; elements of which that is not shown go to the exact sums.
 */
import { campFour, planeOf } from './camps'
import { lostTwo } from './error-free'

/**
 * `outs` is a table of four planes: positive, negative, and the weights of both, which are sums that lose nothing. Rows of
 * four are whole. False where a term is not finite.
 */
export function votes(from: usize, weights: usize, k: i32, outs: usize, n: i32): bool {
  const positive = planeOf(outs, 0)
  const negative = planeOf(outs, 1)
  const positiveWeight = planeOf(outs, 2)
  const negativeWeight = planeOf(outs, 3)
  const zero = f64x2.splat(0)
  let odd = zero
  const last = k - 1
  for (let at: usize = 0; at < <usize>n << 2; at += 16) {
    let p0 = zero
    let p1 = zero
    let n0 = zero
    let n1 = zero
    let u0 = zero
    let u1 = zero
    let v0 = zero
    let v1 = zero
    let lostP = zero
    let lostN = zero
    for (let i = 0; i < k; i++) {
      const values = v128.load(planeOf(from, i) + at)
      const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
      const t0 = f64x2.mul(weight, f64x2.promote_low_f32x4(values))
      const t1 = f64x2.mul(weight, f64x2.promote_low_f32x4(v128.shuffle<i64>(values, values, 1, 0)))
      const g0 = f64x2.gt(t0, zero)
      const g1 = f64x2.gt(t1, zero)
      const l0 = f64x2.lt(t0, zero)
      const l1 = f64x2.lt(t1, zero)
      const a0 = v128.and(t0, g0)
      const a1 = v128.and(t1, g1)
      const b0 = v128.and(t0, l0)
      const b1 = v128.and(t1, l1)
      const x0 = f64x2.add(p0, a0)
      const x1 = f64x2.add(p1, a1)
      const y0 = f64x2.add(n0, b0)
      const y1 = f64x2.add(n1, b1)
      if (i > 0 && i < last) {
        lostP = v128.or(lostP, v128.or(lostTwo(p0, a0, x0), lostTwo(p1, a1, x1)))
        lostN = v128.or(lostN, v128.or(lostTwo(n0, b0, y0), lostTwo(n1, b1, y1)))
      }
      p0 = x0
      p1 = x1
      n0 = y0
      n1 = y1
      u0 = f64x2.add(u0, v128.and(weight, g0))
      u1 = f64x2.add(u1, v128.and(weight, g1))
      v0 = f64x2.add(v0, v128.and(weight, l0))
      v1 = f64x2.add(v1, v128.and(weight, l1))
    }
    odd = f64x2.add(odd, f64x2.add(f64x2.sub(p0, p0), f64x2.sub(p1, p1)))
    odd = f64x2.add(odd, f64x2.add(f64x2.sub(n0, n0), f64x2.sub(n1, n1)))
    const to = at << 1
    v128.store(positive + to, p0)
    v128.store(positive + to, p1, 16)
    v128.store(negative + to, n0)
    v128.store(negative + to, n1, 16)
    v128.store(positiveWeight + to, u0)
    v128.store(positiveWeight + to, u1, 16)
    v128.store(negativeWeight + to, v0)
    v128.store(negativeWeight + to, v1, 16)
    if (v128.any_true(v128.or(f64x2.ne(lostP, zero), f64x2.ne(lostN, zero)))) {
      if (v128.any_true(f64x2.ne(lostP, zero))) campFour(from, weights, k, at, true, positive + to)
      if (v128.any_true(f64x2.ne(lostN, zero))) campFour(from, weights, k, at, false, negative + to)
    }
  }
  return f64x2.extract_lane(odd, 0) == 0 && f64x2.extract_lane(odd, 1) == 0
}
