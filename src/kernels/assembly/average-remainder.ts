/**
 * Eight sums of bf16 elements, each in two parts of f32, by a divisor of few bits, rounded once: what a quotient leaves to the
 * middle of its cell is exact in f32, and its sign names the code. A sum that the law rounds onto that middle in f64 is a tie;
 * one of which f32 does not show whether it is, is left to others.
 */
import { rowDivisorOf, rowInverseOf } from './plan'

/**
 * Loaded where they are used, for the compiler makes a constant again in every turn of a loop: magnitude and sign of a word,
 * the upper half of an f32 and the middle of its cell, 57 and 42 binades, 2⁻¹¹¹ and 2⁻¹¹⁰, how many codes 2¹³³ is and how
 * many more a binade is, 2¹²⁷, and the signs of codes.
 */
const constants: usize = memory.data<u32>([
  0x7fffffff, 0x80000000, 0xffff0000, 0x8000, 57 << 23, 42 << 23, 0x08000000, 0x08800000, 133 << 7, 128, 0x7f000000, 0x80008000,
])
@inline
function constantOf(place: usize): v128 {
  return v128.load_splat<u32>(constants + 4 * place)
}

/** Of four sums the magnitudes of their codes, and in `doubt` where they are not known. */
@inline
function codesOf(high: v128, low: v128, by: v128, inverse: v128): v128 {
  const sum = f32x4.add(high, low)
  const size = v128.and(sum, constantOf(0))
  // what the sum is short of, away from zero
  const rest = v128.xor(f32x4.sub(low, f32x4.sub(sum, high)), v128.and(sum, constantOf(1)))
  let whole = size
  let below = i32x4.splat(0)
  const isSmall = i32x4.gt_s(constantOf(6), size)
  if (v128.any_true(isSmall)) {
    // all such are exact; in units of the least bf16, and a cell of one unit is the least there is
    const least = constantOf(7)
    const units = f32x4.convert_i32x4_s(i32x4.sub(f32x4.add(v128.and(size, isSmall), least), least))
    const bottom = f32x4.mul(by, f32x4.splat(128))
    const isBottom = f32x4.lt(units, bottom)
    whole = v128.bitselect(f32x4.add(units, v128.and(bottom, isBottom)), size, isSmall)
    below = v128.and(isSmall, i32x4.add(constantOf(8), v128.and(isBottom, constantOf(9))))
  }
  const quotient = f32x4.mul(whole, inverse)
  const middle = v128.or(v128.and(quotient, constantOf(2)), constantOf(3))
  const beyond = f32x4.add(f32x4.sub(whole, f32x4.mul(by, middle)), rest)
  const distance = v128.and(beyond, constantOf(0))
  const apart = i32x4.sub(whole, distance)
  const isNone = i32x4.eq(distance, i32x4.splat(0))
  const isTie = v128.or(isNone, i32x4.gt_s(apart, constantOf(4)))
  const isOpen = v128.andnot(i32x4.gt_s(apart, constantOf(5)), isTie)
  doubt = v128.or(isOpen, i32x4.gt_s(whole, constantOf(10)))
  const isOdd = i32x4.shr_s(i32x4.shl(quotient, 15), 31)
  const isUp = v128.bitselect(isOdd, f32x4.gt(beyond, f32x4.splat(0)), isTie)
  return i32x4.sub(i32x4.sub(i32x4.shr_u(quotient, 16), isUp), below)
}
let doubt: v128 = i32x4.splat(0)

/**
 * Each high part is a sum rounded on the way, and the low part what it is short of, but for 2⁻¹⁹ of that, or nothing where it
 * is short of nothing. False, and nothing written, where that does not tell all codes.
 */
@inline
export function encodeQuotients(g: v128, l: v128, h: v128, m: v128, plan: usize, out: usize): bool {
  const by = rowDivisorOf(plan)
  const inverse = rowInverseOf(plan)
  const a = codesOf(g, l, by, inverse)
  const open = doubt
  const b = codesOf(h, m, by, inverse)
  if (v128.any_true(v128.or(open, doubt))) return false
  const codes = i16x8.narrow_i32x4_u(a, b)
  const signs = v128.and(v128.shuffle<i16>(f32x4.add(g, l), f32x4.add(h, m), 1, 3, 5, 7, 9, 11, 13, 15), constantOf(11))
  // a zero is +0
  v128.store(out, v128.or(codes, v128.and(signs, i16x8.gt_s(codes, i16x8.splat(0)))))
  return true
}
