/**
 * Averages of f16 of equal weights: where exponents show that the sum is exact in f32, one division in f32 rounds to the same
 * cell as the law, for a quotient of so few bits lies on a middle of two codes or well beside it. An eight of which that
 * isn't sure goes to average.ts.
 */
import { oneEightF16 } from './average'
import { streamOf } from './codes'
import { divisorInF32Of, narrowOf } from './plan'

/**
 * Loaded before a loop, for the compiler makes a constant again in every turn of it: magnitude of codes, a last code, what of
 * a widened code is sign and number, the magnitude of a word, the rebias, just less than half a code, a last place.
 */
const constants: usize = memory.data<u32>([
  0x7fff7fff, 0x00010001, 0x8fffe000, 0x7fffffff, 0x38000000, 0x0fff, 1,
])
/** The least normal code, from it to the greatest, that one, the sign of each other code, and the places of the others. */
const bounds: usize = memory.data<u32>([0x04000400, 0x77ff77ff, 0x7bff7bff, 0x80000000, 0x8000, 0xffff])

/** Elements at even places as f32, 2⁻¹¹² times their values. */
@inline
function even(codes: v128, form: v128): v128 {
  return v128.and(i32x4.shr_s(i32x4.shl(codes, 16), 3), form)
}
@inline
function odd(codes: v128, form: v128): v128 {
  return v128.and(i32x4.shr_s(codes, 3), form)
}

/** The code of a normal magnitude, half to even. */
@inline
function codeOf(quotient: v128, size: v128, rebias: v128, half: v128, last: v128): v128 {
  const bits = i32x4.sub(v128.and(quotient, size), rebias)
  return i32x4.shr_u(i32x4.add(i32x4.add(bits, half), v128.and(i32x4.shr_u(bits, 13), last)), 13)
}

@inline
function equal(known: i32, table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const s0 = streamOf(table, 0, 0)
  const s1 = streamOf(table, 1, 0)
  const s2 = known == 3 ? streamOf(table, 2, 0) : 0
  const magnitude = v128.load_splat<u32>(constants)
  const one = v128.load_splat<u32>(constants, 4)
  const form = v128.load_splat<u32>(constants, 8)
  const size = v128.load_splat<u32>(constants, 12)
  const rebias = v128.load_splat<u32>(constants, 16)
  const half = v128.load_splat<u32>(constants, 20)
  const last = v128.load_splat<u32>(constants, 24)
  const narrowest = narrowOf(plan)
  const d = divisorInF32Of(plan)
  const zero = i16x8.splat(0)
  let open = 0
  for (let at = from; at < to; at += 16) {
    let codes = v128.load(s0 + at)
    let z = v128.and(codes, magnitude)
    let most = z
    let least = i16x8.sub(z, one)
    let a = even(codes, form)
    let b = odd(codes, form)
    if (known != 0) {
      codes = v128.load(s1 + at)
      z = v128.and(codes, magnitude)
      most = i16x8.max_u(most, z)
      least = i16x8.min_u(least, i16x8.sub(z, one))
      a = f32x4.add(a, even(codes, form))
      b = f32x4.add(b, odd(codes, form))
      if (known == 3) {
        codes = v128.load(s2 + at)
        z = v128.and(codes, magnitude)
        most = i16x8.max_u(most, z)
        least = i16x8.min_u(least, i16x8.sub(z, one))
        a = f32x4.add(a, even(codes, form))
        b = f32x4.add(b, odd(codes, form))
      }
    } else {
      for (let i = 1; i < k; i++) {
        codes = v128.load(streamOf(table, i, at))
        z = v128.and(codes, magnitude)
        most = i16x8.max_u(most, z)
        least = i16x8.min_u(least, i16x8.sub(z, one))
        a = f32x4.add(a, even(codes, form))
        b = f32x4.add(b, odd(codes, form))
      }
    }
    // scaled by its exponent; a sum too small for that comes out below the normal codes
    a = f32x4.div(i32x4.add(a, rebias), d)
    b = f32x4.div(i32x4.add(b, rebias), d)
    // of a zero there is no code, and what comes out would reach into the one beside it
    const evens = v128.and(codeOf(a, size, rebias, half, last), v128.load_splat<u32>(bounds, 20))
    const cells = v128.or(evens, i32x4.shl(codeOf(b, size, rebias, half, last), 16))
    const signs = v128.or(v128.and(b, v128.load_splat<u32>(bounds, 12)), v128.and(i32x4.shr_u(a, 16), v128.load_splat<u32>(bounds, 16)))
    const none = i16x8.eq(most, zero)
    v128.store(out + at, v128.andnot(v128.or(cells, signs), none)) // of zeros alone: +0
    // each is zero where all is well
    const range = i16x8.sub_sat_u(i16x8.sub(cells, v128.load_splat<u32>(bounds)), v128.load_splat<u32>(bounds, 4))
    const wide = i16x8.sub_sat_u(i16x8.sub(most, least), narrowest)
    const large = i16x8.sub_sat_u(most, v128.load_splat<u32>(bounds, 8))
    if (v128.any_true(v128.or(v128.andnot(v128.or(range, wide), none), large))) {
      open++
      if (oneEightF16(table, weights, k, divisor, terms, plan, at, out + at) < 0) return -1
    }
  }
  return open
}

/** Two streams or more. Answers how many eights could not prove it, or −1. */
export function averageF16InF32(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  if (k == 2) return equal(2, table, weights, k, divisor, terms, plan, from, to, out)
  if (k == 3) return equal(3, table, weights, k, divisor, terms, plan, from, to, out)
  return equal(0, table, weights, k, divisor, terms, plan, from, to, out)
}
