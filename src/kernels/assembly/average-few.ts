/**
 * Averages of two or three bf16 inputs: those of average.ts without a loop over inputs. Elements at even places and at odd
 * ones are widened apart, which leaves nothing to put in order. Whether magnitudes lie where the proofs hold is asked once a
 * block; a block where they don't is left to the loops of average.ts.
 */
import { BLOCK_BYTES, manyInF32, manyInInterval, mostlyTiny, oneEight } from './average'
import { streamOf } from './codes'
import { divisorInF32Of, errorInF32Of, narrowOf, scaledOf } from './plan'

/** Loaded before a loop, for the compiler makes a constant again in every turn of it. */
const constants: usize = memory.data<u32>([0x7fff7fff, 0xffff0000, 0x8000, 0x7fff, 1, 0x00010001])
/** Codes that the magnitudes of a block are compared to: 2⁻⁷⁴ and 2⁻⁹⁰, both less one, and the last that may be. */
const bounds: usize = memory.data<u32>([0x1a7f1a7f, 0x127f127f, 0x717f717f])

@inline
export function even(codes: v128): v128 {
  return i32x4.shl(codes, 16)
}

/** The upper halves of words, those of `a` at even places and those of `b` at odd ones. */
@inline
export function halves(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(i32x4.shr_u(a, 16), b, 0, 9, 2, 11, 4, 13, 6, 15)
}

/** Rounded half to even, in the upper half. */
@inline
function nearest(a: v128, bias: v128, last: v128): v128 {
  return i32x4.add(a, i32x4.add(bias, v128.and(i32x4.shr_u(a, 16), last)))
}

/** `least`: of magnitudes less one, so that zeros, which fit everywhere, are the greatest. */
@inline
export function isWithin(least: v128, most: v128, isTinyFine: bool): bool {
  const low = i16x8.sub_sat_u(v128.load_splat<u32>(bounds + (isTinyFine ? 4 : 0)), least)
  return !v128.any_true(v128.or(low, i16x8.sub_sat_u(most, v128.load_splat<u32>(bounds, 8))))
}

@inline
function inF32(k: i32, isPlain: bool, table: usize, weights: usize, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const scaled = scaledOf(plan)
  const w0 = v128.load_splat<u32>(scaled)
  const w1 = v128.load_splat<u32>(scaled, 4)
  const w2 = v128.load_splat<u32>(scaled + (k == 3 ? 8 : 0))
  const s0 = streamOf(table, 0, 0)
  const s1 = streamOf(table, 1, 0)
  const s2 = k == 3 ? streamOf(table, 2, 0) : 0
  const magnitude = v128.load_splat<u32>(constants)
  const odd = v128.load_splat<u32>(constants, 4)
  const bias = v128.load_splat<u32>(constants, 12)
  const last = v128.load_splat<u32>(constants, 16)
  const one = v128.load_splat<u32>(constants, 20)
  const narrowest = narrowOf(plan)
  const d = divisorInF32Of(plan)
  const zero = i16x8.splat(0)
  let open = 0
  for (let block = from; block < to; block += BLOCK_BYTES) {
    const end = min(to, block + BLOCK_BYTES)
    let most = zero
    let least = i16x8.splat(-1)
    for (let at = block; at < end; at += 16) {
      const c0 = v128.load(s0 + at)
      const c1 = v128.load(s1 + at)
      let z = v128.and(c0, magnitude)
      let y = v128.and(c1, magnitude)
      let m = i16x8.max_u(z, y)
      let n = i16x8.min_u(i16x8.sub(z, one), i16x8.sub(y, one))
      let a = isPlain ? f32x4.add(even(c0), even(c1)) : f32x4.add(f32x4.mul(w0, even(c0)), f32x4.mul(w1, even(c1)))
      let b = isPlain ? f32x4.add(v128.and(c0, odd), v128.and(c1, odd)) : f32x4.add(f32x4.mul(w0, v128.and(c0, odd)), f32x4.mul(w1, v128.and(c1, odd)))
      if (k == 3) {
        const c2 = v128.load(s2 + at)
        z = v128.and(c2, magnitude)
        m = i16x8.max_u(m, z)
        n = i16x8.min_u(n, i16x8.sub(z, one))
        a = f32x4.add(a, isPlain ? even(c2) : f32x4.mul(w2, even(c2)))
        b = f32x4.add(b, isPlain ? v128.and(c2, odd) : f32x4.mul(w2, v128.and(c2, odd)))
      }
      most = i16x8.max_u(most, m)
      least = i16x8.min_u(least, n)
      const cells = halves(nearest(f32x4.div(a, d), bias, last), nearest(f32x4.div(b, d), bias, last))
      v128.store(out + at, v128.andnot(cells, i16x8.eq(m, zero))) // of zeros alone: +0
      if (v128.any_true(i16x8.sub_sat_u(i16x8.sub(m, n), narrowest))) {
        open++
        if (oneEight(table, weights, k, divisor, terms, plan, at, out + at) < 0) return -1
      }
    }
    if (isWithin(least, most, false)) continue
    // what follows such a block is left to the loop that looks before it goes on
    const again = manyInF32(table, weights, k, divisor, terms, plan, block, to, out)
    return again < 0 ? -1 : open + again
  }
  return open
}

/** bf16 with whole weights of a small sum: the sum is exact in f32, and one f32 division rounds to the same cell. */
export function averageInF32(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const scaled = scaledOf(plan)
  const isPlain = load<f32>(scaled) == 1 && load<f32>(scaled, 4) == 1 && (k == 2 || load<f32>(scaled, 8) == 1)
  if (k == 3) {
    if (isPlain) return inF32(3, true, table, weights, divisor, terms, plan, from, to, out)
    return inF32(3, false, table, weights, divisor, terms, plan, from, to, out)
  }
  if (k == 2 && isPlain) return inF32(2, true, table, weights, divisor, terms, plan, from, to, out)
  return manyInF32(table, weights, k, divisor, terms, plan, from, to, out)
}

@inline
function inInterval(k: i32, table: usize, weights: usize, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const scaled = scaledOf(plan)
  const w0 = v128.load_splat<u32>(scaled)
  const w1 = v128.load_splat<u32>(scaled, 4)
  const w2 = v128.load_splat<u32>(scaled + (k == 3 ? 8 : 0))
  const s0 = streamOf(table, 0, 0)
  const s1 = streamOf(table, 1, 0)
  const s2 = k == 3 ? streamOf(table, 2, 0) : 0
  const magnitude = v128.load_splat<u32>(constants)
  const odd = v128.load_splat<u32>(constants, 4)
  const half = v128.load_splat<u32>(constants, 8)
  const one = v128.load_splat<u32>(constants, 20)
  const relative = errorInF32Of(plan)
  const zero = i16x8.splat(0)
  let open = 0
  for (let block = from; block < to; block += BLOCK_BYTES) {
    const end = min(to, block + BLOCK_BYTES)
    let most = zero
    let least = i16x8.splat(-1)
    for (let at = block; at < end; at += 16) {
      const c0 = v128.load(s0 + at)
      const c1 = v128.load(s1 + at)
      let m = i16x8.max_u(v128.and(c0, magnitude), v128.and(c1, magnitude))
      let a = f32x4.add(f32x4.mul(w0, even(c0)), f32x4.mul(w1, even(c1)))
      let b = f32x4.add(f32x4.mul(w0, v128.and(c0, odd)), f32x4.mul(w1, v128.and(c1, odd)))
      if (k == 3) {
        const c2 = v128.load(s2 + at)
        m = i16x8.max_u(m, v128.and(c2, magnitude))
        a = f32x4.add(a, f32x4.mul(w2, even(c2)))
        b = f32x4.add(b, f32x4.mul(w2, v128.and(c2, odd)))
      }
      most = i16x8.max_u(most, m)
      least = i16x8.min_u(least, i16x8.sub(m, one))
      const e = f32x4.mul(relative, even(m))
      const f = f32x4.mul(relative, v128.and(m, odd))
      const cells = halves(i32x4.add(f32x4.add(a, e), half), i32x4.add(f32x4.add(b, f), half))
      const others = halves(i32x4.add(f32x4.sub(a, e), half), i32x4.add(f32x4.sub(b, f), half))
      v128.store(out + at, cells)
      if (v128.any_true(v128.andnot(v128.xor(cells, others), i16x8.eq(m, zero)))) {
        open++
        if (oneEight(table, weights, k, divisor, terms, plan, at, out + at) < 0) return -1
      }
    }
    if (isWithin(least, most, true)) continue
    const again = manyInInterval(table, weights, k, divisor, terms, plan, block, end, out)
    if (again < 0) return -1
    open += again
  }
  return open
}

/** bf16 with normalised f32 weights, where both ends of an interval round the sum are rounded alike. */
export function averageInInterval(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  if ((k == 2 || k == 3) && !mostlyTiny(table, k, from, to)) {
    if (k == 2) return inInterval(2, table, weights, divisor, terms, plan, from, to, out)
    return inInterval(3, table, weights, divisor, terms, plan, from, to, out)
  }
  return manyInInterval(table, weights, k, divisor, terms, plan, from, to, out)
}
