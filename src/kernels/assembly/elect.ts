/**
 * Votes and their outcome in one: of each element the exact sum of the camp that outweighs the other, the positive one where
 * neither does, over the divisor of those who are in it. Weights are not negative.
 */
import { campFour, planeOf } from './camps'
import { lostTwo } from './error-free'
import { addThreeTwo } from './levels'

/** Sums of four elements, of one camp and then of the other. */
const sums: usize = memory.data(64, 16)

@inline
function lowTerms(values: v128, weight: v128): v128 {
  return f64x2.mul(weight, f64x2.promote_low_f32x4(values))
}
@inline
function highTerms(values: v128, weight: v128): v128 {
  return f64x2.mul(weight, f64x2.promote_low_f32x4(v128.shuffle<i64>(values, values, 1, 0)))
}

/** The same two terms of an element and the next, straight from memory: a load costs less than a shuffle. */
@inline
function termsAt(plane: usize, weight: v128): v128 {
  return f64x2.mul(weight, f64x2.promote_low_f32x4(v128.load_zero<u64>(plane)))
}

/** The sign of zero or of plus in each lane of four, where that is what won; else the other. */
@inline
function flipOf(v0: v128, v1: v128): v128 {
  return v128.and(v128.shuffle<i32>(v0, v1, 1, 3, 5, 7), i32x4.splat(0x80000000))
}

/** 1 << i in lanes whose element is of the sign that won. −0 never is. */
@inline
function member(values: v128, flip: v128, i: i32): v128 {
  return v128.and(i32x4.gt_s(v128.xor(values, flip), i32x4.splat(0)), i32x4.splat(1 << i))
}

@inline
function divisorAt(divisors: usize, members: i32): usize {
  return divisors + (<usize>members << 3)
}

/** Four sums, a zero being +0, over the divisors of their members. */
@inline
function put(s0: v128, s1: v128, members: v128, divisors: usize, out: usize): void {
  const zero = f64x2.splat(0)
  s0 = f64x2.add(s0, zero)
  s1 = f64x2.add(s1, zero)
  if (divisors != 0) {
    const a = v128.load_zero<u64>(divisorAt(divisors, i32x4.extract_lane(members, 0)))
    const b = v128.load_zero<u64>(divisorAt(divisors, i32x4.extract_lane(members, 2)))
    s0 = f64x2.div(s0, v128.load_lane<u64>(divisorAt(divisors, i32x4.extract_lane(members, 1)), a, 1))
    s1 = f64x2.div(s1, v128.load_lane<u64>(divisorAt(divisors, i32x4.extract_lane(members, 3)), b, 1))
  }
  v128.store(out, s0)
  v128.store(out, s1, 16)
}

/** Exact sums of three terms each, where that differs from adding them in turn for any of these four; else false. */
function sumThree(from: usize, weights: usize, at: usize, wanted: v128): bool {
  const x = v128.load(planeOf(from, 0) + at)
  const y = v128.load(planeOf(from, 1) + at)
  const u = v128.load_splat<u64>(weights)
  const v = v128.load_splat<u64>(weights, 8)
  const x0 = lowTerms(x, u)
  const x1 = highTerms(x, u)
  const y0 = lowTerms(y, v)
  const y1 = highTerms(y, v)
  const l0 = v128.and(lostTwo(x0, y0, f64x2.add(x0, y0)), i64x2.extend_low_i32x4_s(wanted))
  const l1 = v128.and(lostTwo(x1, y1, f64x2.add(x1, y1)), i64x2.extend_high_i32x4_s(wanted))
  if (!v128.any_true(v128.or(l0, l1))) return false
  const z = v128.load(planeOf(from, 2) + at)
  const w = v128.load_splat<u64>(weights, 16)
  v128.store(sums, addThreeTwo(x0, y0, lowTerms(z, w)))
  v128.store(sums, addThreeTwo(x1, y1, highTerms(z, w)), 16)
  return true
}

/**
 * Of three, a camp of two is summed by one addition; where all three are in one, the other is empty. So only those sums may
 * have to be done again.
 */
@inline
function electThree(from: usize, weights: usize, divisors: usize, out: usize, n: i32): bool {
  const x = planeOf(from, 0)
  const y = planeOf(from, 1)
  const z = planeOf(from, 2)
  const u = v128.load_splat<u64>(weights)
  const v = v128.load_splat<u64>(weights, 8)
  const w = v128.load_splat<u64>(weights, 16)
  const zero = f64x2.splat(0)
  let odd = zero
  for (let at: usize = 0; at < <usize>n << 2; at += 16) {
    const a = v128.load(x + at)
    const b = v128.load(y + at)
    const c = v128.load(z + at)
    const a0 = termsAt(x + at, u)
    const b0 = termsAt(y + at, v)
    const c0 = termsAt(z + at, w)
    const p0 = f64x2.add(f64x2.add(f64x2.pmax(a0, zero), f64x2.pmax(b0, zero)), f64x2.pmax(c0, zero))
    const n0 = f64x2.add(f64x2.add(f64x2.pmin(a0, zero), f64x2.pmin(b0, zero)), f64x2.pmin(c0, zero))
    const v0 = f64x2.add(p0, n0)
    let s0 = v128.bitselect(p0, n0, f64x2.ge(v0, zero))
    const a1 = termsAt(x + at + 8, u)
    const b1 = termsAt(y + at + 8, v)
    const c1 = termsAt(z + at + 8, w)
    const p1 = f64x2.add(f64x2.add(f64x2.pmax(a1, zero), f64x2.pmax(b1, zero)), f64x2.pmax(c1, zero))
    const n1 = f64x2.add(f64x2.add(f64x2.pmin(a1, zero), f64x2.pmin(b1, zero)), f64x2.pmin(c1, zero))
    const v1 = f64x2.add(p1, n1)
    let s1 = v128.bitselect(p1, n1, f64x2.ge(v1, zero))
    odd = v128.or(odd, v128.or(f64x2.sub(v0, v0), f64x2.sub(v1, v1)))
    const flip = flipOf(v0, v1)
    const members = v128.or(v128.or(member(a, flip, 0), member(b, flip, 1)), member(c, flip, 2))
    const all = i32x4.eq(members, i32x4.splat(7))
    if (v128.any_true(all) && sumThree(from, weights, at, all)) {
      s0 = v128.bitselect(v128.load(sums), s0, i64x2.extend_low_i32x4_s(all))
      s1 = v128.bitselect(v128.load(sums, 16), s1, i64x2.extend_high_i32x4_s(all))
    }
    put(s0, s1, members, divisors, out + (at << 1))
  }
  return !v128.any_true(odd)
}

@inline
function electAny(from: usize, weights: usize, k: i32, divisors: usize, out: usize, n: i32): bool {
  const zero = f64x2.splat(0)
  const last = k - 1
  let odd = zero
  for (let at: usize = 0; at < <usize>n << 2; at += 16) {
    let p0 = zero
    let p1 = zero
    let n0 = zero
    let n1 = zero
    let lost = zero
    for (let i = 0; i < k; i++) {
      const values = v128.load(planeOf(from, i) + at)
      const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
      const t0 = lowTerms(values, weight)
      const t1 = highTerms(values, weight)
      const a0 = f64x2.pmax(t0, zero)
      const a1 = f64x2.pmax(t1, zero)
      const b0 = f64x2.pmin(t0, zero)
      const b1 = f64x2.pmin(t1, zero)
      const x0 = f64x2.add(p0, a0)
      const x1 = f64x2.add(p1, a1)
      const y0 = f64x2.add(n0, b0)
      const y1 = f64x2.add(n1, b1)
      if (i > 0 && i < last) {
        // one of both camps has taken nothing, and lost nothing
        lost = v128.or(lost, v128.or(lostTwo(p0, a0, x0), lostTwo(p1, a1, x1)))
        lost = v128.or(lost, v128.or(lostTwo(n0, b0, y0), lostTwo(n1, b1, y1)))
      }
      p0 = x0
      p1 = x1
      n0 = y0
      n1 = y1
    }
    if (v128.any_true(f64x2.ne(lost, zero))) {
      campFour(from, weights, k, at, true, sums)
      campFour(from, weights, k, at, false, sums + 32)
      p0 = v128.load(sums)
      p1 = v128.load(sums, 16)
      n0 = v128.load(sums, 32)
      n1 = v128.load(sums, 48)
    }
    const v0 = f64x2.add(p0, n0)
    const v1 = f64x2.add(p1, n1)
    odd = v128.or(odd, v128.or(f64x2.sub(v0, v0), f64x2.sub(v1, v1)))
    const flip = flipOf(v0, v1)
    let members = i32x4.splat(0)
    if (divisors != 0) for (let i = 0; i < k; i++) members = v128.or(members, member(v128.load(planeOf(from, i) + at), flip, i))
    const s0 = v128.bitselect(p0, n0, f64x2.ge(v0, zero))
    const s1 = v128.bitselect(p1, n1, f64x2.ge(v1, zero))
    put(s0, s1, members, divisors, out + (at << 1))
  }
  return !v128.any_true(odd)
}

/**
 * `divisors`: by the members of a camp as bits, so there are at most eight contributions; or 0. Rows of four are whole. False
 * where a term is not finite.
 */
export function elect(from: usize, weights: usize, k: i32, divisors: usize, out: usize, n: i32): bool {
  if (k == 3) return divisors == 0 ? electThree(from, weights, 0, out, n) : electThree(from, weights, divisors, out, n)
  return electAny(from, weights, k, divisors, out, n)
}
