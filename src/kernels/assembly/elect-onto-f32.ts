/**
 * What three elect, added to a base and written as f32, all in one, so that between the planes and the bytes nothing is
 * stored. Where all three are in one camp their sum may have to be made again: those places are gathered without a branch,
 * for which ones they are no processor foresees.
 */
import { planeOf } from './camps'
import { addThreeTwo } from './levels'

/** Places of fours of which some are in one camp with all others, and bits for those. */
const places: usize = memory.data(4 * 129, 16)
/** The last row, where it is not whole. */
const rest: usize = memory.data(16, 16)

/** Two terms, of a plane that is scaled and rounded to f32 on the way. */
@inline
function terms(scales: usize, i: usize, weights: usize, plane: usize): v128 {
  let values = f64x2.promote_low_f32x4(v128.load_zero<u64>(plane))
  if (scales != 0) {
    const scaled = f64x2.mul(values, v128.load_splat<u64>(scales + (i << 3)))
    values = f64x2.promote_low_f32x4(f32x4.demote_f64x2_zero(scaled))
  }
  return f64x2.mul(values, v128.load_splat<u64>(weights + (i << 3)))
}

/** Sums of two elements, of one camp and then of the other. */
@inline
function positive(a: v128, b: v128, c: v128): v128 {
  const zero = f64x2.splat(0)
  return f64x2.add(f64x2.add(f64x2.pmax(a, zero), f64x2.pmax(b, zero)), f64x2.pmax(c, zero))
}
@inline
function negative(a: v128, b: v128, c: v128): v128 {
  const zero = f64x2.splat(0)
  return f64x2.add(f64x2.add(f64x2.pmin(a, zero), f64x2.pmin(b, zero)), f64x2.pmin(c, zero))
}

/** f32 of four elements: the base, and what was elected. A zero is +0. */
@inline
function onto(base: usize, s0: v128, s1: v128): v128 {
  const r0 = f64x2.add(f64x2.promote_low_f32x4(v128.load_zero<u64>(base)), s0)
  const r1 = f64x2.add(f64x2.promote_low_f32x4(v128.load_zero<u64>(base, 8)), s1)
  const values = v128.shuffle<i64>(f32x4.demote_f64x2_zero(r0), f32x4.demote_f64x2_zero(r1), 0, 2)
  return f32x4.add(values, f32x4.splat(0))
}

/** What all are in one camp of: the exact sum, rounded once, in place of what is there. */
@inline
function again(from: usize, weights: usize, scales: usize, base: usize, out: usize, end: usize): void {
  for (let next = places; next < end; next += 4) {
    const place = load<i32>(next)
    const at = <usize>(place & ~15)
    const x = planeOf(from, 0) + at
    const y = planeOf(from, 1) + at
    const z = planeOf(from, 2) + at
    const s0 = addThreeTwo(terms(scales, 0, weights, x), terms(scales, 1, weights, y), terms(scales, 2, weights, z))
    const s1 = addThreeTwo(terms(scales, 0, weights, x + 8), terms(scales, 1, weights, y + 8), terms(scales, 2, weights, z + 8))
    const values = onto(base + at, s0, s1)
    const lanes = i32x4(1, 2, 4, 8)
    const mask = i32x4.eq(v128.and(i32x4.splat(place), lanes), lanes)
    v128.store(out + at, v128.bitselect(values, v128.load(out + at), mask))
  }
}

/** Rows of four, from byte `at` on; false where one is not finite. */
@inline
function rows(from: usize, weights: usize, scales: usize, base: usize, out: usize, at: usize, end: usize): bool {
  const px = planeOf(from, 0)
  const py = planeOf(from, 1)
  const pz = planeOf(from, 2)
  const zero = f64x2.splat(0)
  let odd = zero
  let next = places
  for (; at < end; at += 16) {
    const a0 = terms(scales, 0, weights, px + at)
    const b0 = terms(scales, 1, weights, py + at)
    const c0 = terms(scales, 2, weights, pz + at)
    const p0 = positive(a0, b0, c0)
    const n0 = negative(a0, b0, c0)
    const s0 = v128.bitselect(p0, n0, f64x2.ge(f64x2.add(p0, n0), zero))
    const a1 = terms(scales, 0, weights, px + at + 8)
    const b1 = terms(scales, 1, weights, py + at + 8)
    const c1 = terms(scales, 2, weights, pz + at + 8)
    const p1 = positive(a1, b1, c1)
    const n1 = negative(a1, b1, c1)
    const s1 = v128.bitselect(p1, n1, f64x2.ge(f64x2.add(p1, n1), zero))
    const values = onto(base + at, s0, s1)
    odd = v128.or(odd, f32x4.sub(values, values))
    v128.store(out + at, values)
    const x = v128.load(px + at)
    const y = v128.load(py + at)
    const z = v128.load(pz + at)
    const up = i32x4.gt_s(i32x4.min_s(i32x4.min_s(x, y), z), i32x4.splat(0))
    // a zero among them does no harm
    const bits = i32x4.bitmask(v128.or(up, v128.and(v128.and(x, y), z)))
    store<u32>(next, <u32>at | bits)
    next += <usize>(bits != 0) << 2
  }
  if (v128.any_true(odd)) return false
  again(from, weights, scales, base, out, next)
  return true
}

@inline
function all(from: usize, weights: usize, scales: usize, base: usize, out: usize, n: i32): bool {
  const whole = <usize>(n & ~3) << 2
  if (!rows(from, weights, scales, base, out, 0, whole)) return false
  if ((n & 3) == 0) return true
  if (!rows(from, weights, scales, base, rest - whole, whole, whole + 16)) return false
  memory.copy(out + whole, rest, <usize>(n & 3) << 2)
  return true
}

/** `scales`: what each plane is multiplied by first, above zero, or 0. False where a result is not finite. */
export function electOntoF32(from: usize, weights: usize, scales: usize, base: usize, out: usize, n: i32): bool {
  return scales != 0 ? all(from, weights, scales, base, out, n) : all(from, weights, 0, base, out, n)
}
