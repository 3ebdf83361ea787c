/**
 * Exact sums of any f64 terms, in vectors. A level adds every term to a constant so large that all partial sums have one
 * exponent: what it keeps of a term is a whole multiple of one unit, so their sum is exact, and what it leaves is exact
 * too, some 45 bits smaller, and goes to the next level. Levels follow until nothing is left, or what is left can't
 * change the rounding.
 */
import { lostTwo } from './error-free'

@inline const EXPONENT: i64 = 0x7ff0000000000000
@inline const HALF: i64 = 0x0008000000000000
/** 2⁹⁶⁰: where terms are larger, a level's constant might overflow. */
@inline const LARGEST: f64 = 9.74531401e288
/** 2⁻¹⁰⁴⁰: below it all sums are exact, since no f64 is finer than 2⁻¹⁰⁷⁴. */
@inline const SMALLEST: f64 = 8.487983164e-314

@inline
export function bitsFor(k: i32): i32 {
  return k > 1 ? 32 - clz(k - 1) : 0
}

/** sum + error rounded to odd, of which sum is the nearest. */
@inline
function toOdd(sum: v128, error: v128): v128 {
  const even = i64x2.eq(v128.and(sum, i64x2.splat(1)), i64x2.splat(0))
  // one up where the error points away from zero, else one down
  const step = v128.or(i64x2.lt_s(v128.xor(sum, error), i64x2.splat(0)), i64x2.splat(1))
  const change = v128.and(v128.and(even, f64x2.ne(error, f64x2.splat(0))), step)
  return i64x2.add(sum, change)
}

/** a + b rounded to odd. */
@inline
function addToOddTwo(a: v128, b: v128): v128 {
  const sum = f64x2.add(a, b)
  return toOdd(sum, lostTwo(a, b, sum))
}

/** RN(a + b + c), ties to even, where each is at most some last places of the one before. A zero is +0. */
@inline
export function addThreeDown(a: v128, b: v128, c: v128): v128 {
  const high = f64x2.add(a, b)
  const left = f64x2.sub(b, f64x2.sub(high, a))
  const low = f64x2.add(left, c)
  const odd = toOdd(low, f64x2.sub(c, f64x2.sub(low, left)))
  return f64x2.add(f64x2.add(high, odd), f64x2.splat(0))
}

/** RN(a + b + c), ties to even, where no step overflows. A zero is +0. */
@inline
export function addThreeTwo(a: v128, b: v128, c: v128): v128 {
  const low = f64x2.add(b, c)
  const high = f64x2.add(a, low)
  const odd = addToOddTwo(lostTwo(a, low, high), lostTwo(b, c, low))
  return f64x2.add(f64x2.add(high, odd), f64x2.splat(0))
}

/** Greatest magnitudes of four columns, and sums of one level. */
let most0: v128 = i64x2.splat(0)
let most1: v128 = i64x2.splat(0)
let sum0: v128 = i64x2.splat(0)
let sum1: v128 = i64x2.splat(0)

/** One level: into sum0 and sum1 what it keeps, into the terms what it leaves, and of that the greatest into most0 and most1. */
function level(terms: usize, stride: usize, end: usize, headroom: v128): void {
  const exponent = i64x2.splat(EXPONENT)
  const smallest = f64x2.splat(SMALLEST)
  const c0 = v128.and(i64x2.add(v128.and(most0, exponent), headroom), f64x2.ge(most0, smallest))
  const c1 = v128.and(i64x2.add(v128.and(most1, exponent), headroom), f64x2.ge(most1, smallest))
  let t0 = c0
  let t1 = c1
  let m0 = f64x2.splat(0)
  let m1 = m0
  for (let at = terms; at < end; at += stride) {
    const x0 = v128.load(at)
    const x1 = v128.load(at, 16)
    const n0 = f64x2.add(t0, x0)
    const n1 = f64x2.add(t1, x1)
    const r0 = f64x2.sub(x0, f64x2.sub(n0, t0))
    const r1 = f64x2.sub(x1, f64x2.sub(n1, t1))
    t0 = n0
    t1 = n1
    v128.store(at, r0)
    v128.store(at, r1, 16)
    m0 = f64x2.pmax(m0, f64x2.abs(r0))
    m1 = f64x2.pmax(m1, f64x2.abs(r1))
  }
  most0 = m0
  most1 = m1
  sum0 = f64x2.sub(t0, c0)
  sum1 = f64x2.sub(t1, c1)
}

/** Of two columns each: three parts of the sum, the rounded sum, and a mask of where that is not known yet. */
const first: usize = memory.data(80)
const second: usize = memory.data(80)

/** Takes a level's sum into the parts; answers false where three don't hold it. */
@inline
function take(parts: usize, sum: v128, most: v128, k: f64): bool {
  const zero = f64x2.splat(0)
  const h = v128.load(parts)
  const l = v128.load(parts, 16)
  const u = v128.load(parts, 32)
  const h1 = f64x2.add(h, sum)
  const e = lostTwo(h, sum, h1)
  const l1 = f64x2.add(l, e)
  const t = lostTwo(l, e, l1)
  const u1 = f64x2.add(u, t)
  const open = v128.load(parts, 64)
  const lost = f64x2.ne(lostTwo(u, t, u1), zero)
  const high = f64x2.add(h1, l1)
  const rest = lostTwo(h1, l1, high)
  const low = f64x2.add(rest, u1)
  const lowest = lostTwo(rest, u1, low)
  v128.store(parts, high)
  v128.store(parts, low, 16)
  v128.store(parts, lowest, 32)
  // what is left is at most k times the greatest, which is a little less than `left`
  const left = f64x2.mul(most, f64x2.splat(k * 1.001))
  const sure = v128.or(f64x2.eq(most, zero), f64x2.gt(f64x2.abs(lowest), f64x2.add(left, left)))
  const slack = f64x2.add(f64x2.add(left, f64x2.abs(lowest)), f64x2.mul(f64x2.abs(low), f64x2.splat(8.881784197001252e-16)))
  const most1 = f64x2.add(high, f64x2.add(low, slack))
  const least1 = f64x2.add(high, f64x2.sub(low, slack))
  const near = f64x2.eq(most1, least1)
  const exact = addThreeTwo(high, low, lowest)
  const now = v128.and(open, v128.or(sure, near))
  const value = v128.bitselect(exact, f64x2.add(most1, zero), sure)
  v128.store(parts, v128.bitselect(value, v128.load(parts, 48), now), 48)
  v128.store(parts, v128.andnot(open, now), 64)
  return !v128.any_true(v128.and(v128.andnot(open, now), lost))
}

/**
 * Four columns of k finite terms, `stride` bytes apart, each summed and rounded once. The terms are used up. False, and
 * nothing of use in `out`, where terms are too large.
 */
export function sumFour(terms: usize, stride: usize, k: i32, out: usize): bool {
  const zero = f64x2.splat(0)
  const end = terms + <usize>k * stride
  let m0 = zero
  let m1 = zero
  for (let at = terms; at < end; at += stride) {
    m0 = f64x2.pmax(m0, f64x2.abs(v128.load(at)))
    m1 = f64x2.pmax(m1, f64x2.abs(v128.load(at, 16)))
  }
  if (!v128.all_true<i64>(f64x2.lt(f64x2.pmax(m0, m1), f64x2.splat(LARGEST)))) return false
  most0 = m0
  most1 = m1
  const headroom = i64x2.splat((<i64>(bitsFor(k) + 2) << 52) | HALF)
  level(terms, stride, end, headroom)
  const h0 = sum0
  const h1 = sum1
  level(terms, stride, end, headroom)
  const s0 = f64x2.add(h0, sum0)
  const s1 = f64x2.add(h1, sum1)
  if (!v128.any_true(v128.or(f64x2.ne(most0, zero), f64x2.ne(most1, zero)))) {
    v128.store(out, f64x2.add(s0, zero))
    v128.store(out, f64x2.add(s1, zero), 16)
    return true
  }
  v128.store(first, h0)
  v128.store(second, h1)
  for (let part: usize = 16; part < 64; part += 16) {
    v128.store(first + part, zero)
    v128.store(second + part, zero)
  }
  v128.store(first, i64x2.splat(-1), 64)
  v128.store(second, i64x2.splat(-1), 64)
  let fits = take(first, sum0, most0, k)
  fits = take(second, sum1, most1, k) && fits
  while (fits && v128.any_true(v128.or(v128.load(first, 64), v128.load(second, 64)))) {
    level(terms, stride, end, headroom)
    fits = take(first, sum0, most0, k)
    fits = take(second, sum1, most1, k) && fits
  }
  v128.store(out, v128.load(first, 48))
  v128.store(out, v128.load(second, 48), 16)
  return fits
}
