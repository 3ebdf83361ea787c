/**
 * Averages of f16 whose weights by the divisor are any, in f64: whatever rounds on the way moves the sum by no more than some
 * last places, and nothing is changed by that unless it lies so near the middle of two codes. An eight of which that isn't
 * sure goes to average.ts.
 */
import { oneEightF16 } from './average'
import { F16, highFour, highTwo, lowFour, lowTwo, streamOf } from './codes'
import { codePlacesOf, scaledOf } from './plan'

/**
 * Loaded before a loop, for the compiler makes a constant again in every turn of it: magnitude of words, the rebias, what of a
 * high word is code; magnitude of codes, the least normal one, from it to the greatest, the first that is not finite less one,
 * and how many codes below the greatest element a result may lie.
 */
const constants: usize = memory.data<u32>([
  0x7fffffff, 0x3f000000, 0xfffffc00, 0x7fff7fff, 0x04000400, 0x77ff77ff, 0x7bff7bff, 0x28002800, 0x80008000,
])

/** The high words of four f64. */
@inline
function highWords(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 1, 3, 5, 7)
}

/** Three streams or more. Answers how many eights could not prove it, or −1. */
export function averageF16InInterval(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const scaled = scaledOf(plan)
  const magnitude = v128.load_splat<u32>(constants, 12)
  const rebias = v128.load_splat<u32>(constants, 4)
  const upperEnd = i64x2.splat((1 << 41) + codePlacesOf(plan))
  const lowerEnd = i64x2.splat((1 << 41) - codePlacesOf(plan))
  const zero = i16x8.splat(0)
  let open = 0
  for (let at = from; at < to; at += 16) {
    let most = zero
    let a = f64x2.splat(0)
    let b = a
    let c = a
    let d = a
    for (let i = 0; i < k; i++) {
      const stream = streamOf(table, i, at)
      const weight = v128.load_splat<u64>(scaled + (<usize>i << 3))
      most = i16x8.max_s(most, v128.and(v128.load(stream), magnitude))
      const low = lowFour(F16, stream)
      const high = highFour(F16, stream)
      a = f64x2.add(a, f64x2.mul(weight, lowTwo(low)))
      b = f64x2.add(b, f64x2.mul(weight, highTwo(low)))
      c = f64x2.add(c, f64x2.mul(weight, lowTwo(high)))
      d = f64x2.add(d, f64x2.mul(weight, highTwo(high)))
    }
    const p = highWords(i64x2.add(a, upperEnd), i64x2.add(b, upperEnd))
    const q = highWords(i64x2.add(c, upperEnd), i64x2.add(d, upperEnd))
    const differ = v128.or(
      v128.xor(p, highWords(i64x2.add(a, lowerEnd), i64x2.add(b, lowerEnd))),
      v128.xor(q, highWords(i64x2.add(c, lowerEnd), i64x2.add(d, lowerEnd))),
    )
    const size = v128.load_splat<u32>(constants)
    const codes = i16x8.narrow_i32x4_s(
      i32x4.shr_s(i32x4.sub(v128.and(p, size), rebias), 10),
      i32x4.shr_s(i32x4.sub(v128.and(q, size), rebias), 10),
    )
    const signs = v128.and(v128.shuffle<i16>(p, q, 1, 3, 5, 7, 9, 11, 13, 15), v128.load_splat<u32>(constants, 32))
    const none = i16x8.eq(most, zero)
    v128.store(out + at, v128.andnot(v128.or(codes, signs), none)) // of zeros alone: +0
    // each is zero where all is well
    const range = i16x8.sub_sat_u(i16x8.sub(codes, v128.load_splat<u32>(constants, 16)), v128.load_splat<u32>(constants, 20))
    const low = i16x8.gt_s(i16x8.sub(most, v128.load_splat<u32>(constants, 28)), codes)
    const odd = v128.or(v128.or(low, range), i16x8.sub_sat_u(most, v128.load_splat<u32>(constants, 24)))
    if (v128.any_true(v128.or(v128.and(differ, v128.load_splat<u32>(constants, 8)), v128.andnot(odd, none)))) {
      open++
      if (oneEightF16(table, weights, k, divisor, terms, plan, at, out + at) < 0) return -1
    }
  }
  return open
}
