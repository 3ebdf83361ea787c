/**
 * Exact sums of products of a bf16 and an f32, which have 32 bits: a bin of 16 binades takes them as they are, so a term is
 * one addition. Three bins make a digit of 48 bits, and digits one value rounded once (bins.ts).
 *
 * Nothing rounds, for, e being the exponent that a bin begins with:
 * - Its terms are multiples of 2^(e−31) and less than 2^(e+16), which is 2⁴⁷ of those units: 64 make at most 2⁵³.
 * - What is carried into it is a multiple of the same unit, 2^(e+16−31) for the next: the last place of a constant of
 *   exponent e+37, since 37−52 = 16−31. With all below at half that unit or less, it stands for terms that are not here,
 *   and so is less than one of these would be; a smaller constant would carry what this bin's unit does not divide.
 * - What three bins keep is a multiple of 2^(e−31), and at most half of 2^(e+32+37−52) with what two carries left of it: 48
 *   bits. A constant six binades greater would make it 54.
 * - A digit is at most half the unit of the next, 2^(e+48−31), and a little more, as readDigits asks.
 */
import { digits, readDigits } from './bins'

/**
 * Terms of one sum that a bin takes without rounding. What is carried into it comes from other terms, so that one less is in it.
 */
@inline export const NARROW_TERMS_MAX: i32 = 64

/** Of each bin eight sums. They are zero between two calls. */
@inline const BIN_BYTES: usize = 64
const bins: usize = memory.data(131 * 64, 16)

@inline
function binOf(term: f64): i32 {
  return <i32>(reinterpret<u64>(term) >>> 56) & 127
}

@inline
function put(term: usize, column: usize): void {
  const bin = bins + column + ((load<u32>(term, 4) >>> 18) & 0x1fc0)
  store<f64>(bin, load<f64>(bin) + load<f64>(term))
}

/** 1.5 times a power of two, whose last place is that of the least that the next bin takes. */
@inline
function constantOf(bin: i32): v128 {
  return i64x2.splat((<i64>(16 * bin + 37) << 52) | 0x0008000000000000)
}

/** Bins from `bottom` on as so many digits and what is carried beyond them; zeros are left in them. */
function carryUp(bottom: i32, count: i32): void {
  const zero = f64x2.splat(0)
  let carry0 = zero
  let carry1 = zero
  let carry2 = zero
  let carry3 = zero
  let own = bins + <usize>bottom * BIN_BYTES
  let bin = bottom
  let to = digits
  for (let g = 0; g < count; g++) {
    const first = constantOf(bin)
    const second = constantOf(bin + 1)
    const third = constantOf(bin + 2)
    const a0 = f64x2.add(v128.load(own), carry0)
    const x0 = f64x2.sub(f64x2.add(a0, first), first)
    const b0 = f64x2.add(v128.load(own, 64), x0)
    const y0 = f64x2.sub(f64x2.add(b0, second), second)
    const c0 = f64x2.add(v128.load(own, 128), y0)
    carry0 = f64x2.sub(f64x2.add(c0, third), third)
    const rest0 = f64x2.add(f64x2.sub(a0, x0), f64x2.sub(b0, y0))
    v128.store(to, f64x2.add(rest0, f64x2.sub(c0, carry0)))
    const a1 = f64x2.add(v128.load(own, 16), carry1)
    const x1 = f64x2.sub(f64x2.add(a1, first), first)
    const b1 = f64x2.add(v128.load(own, 80), x1)
    const y1 = f64x2.sub(f64x2.add(b1, second), second)
    const c1 = f64x2.add(v128.load(own, 144), y1)
    carry1 = f64x2.sub(f64x2.add(c1, third), third)
    const rest1 = f64x2.add(f64x2.sub(a1, x1), f64x2.sub(b1, y1))
    v128.store(to, f64x2.add(rest1, f64x2.sub(c1, carry1)), 16)
    const a2 = f64x2.add(v128.load(own, 32), carry2)
    const x2 = f64x2.sub(f64x2.add(a2, first), first)
    const b2 = f64x2.add(v128.load(own, 96), x2)
    const y2 = f64x2.sub(f64x2.add(b2, second), second)
    const c2 = f64x2.add(v128.load(own, 160), y2)
    carry2 = f64x2.sub(f64x2.add(c2, third), third)
    const rest2 = f64x2.add(f64x2.sub(a2, x2), f64x2.sub(b2, y2))
    v128.store(to, f64x2.add(rest2, f64x2.sub(c2, carry2)), 32)
    const a3 = f64x2.add(v128.load(own, 48), carry3)
    const x3 = f64x2.sub(f64x2.add(a3, first), first)
    const b3 = f64x2.add(v128.load(own, 112), x3)
    const y3 = f64x2.sub(f64x2.add(b3, second), second)
    const c3 = f64x2.add(v128.load(own, 176), y3)
    carry3 = f64x2.sub(f64x2.add(c3, third), third)
    const rest3 = f64x2.add(f64x2.sub(a3, x3), f64x2.sub(b3, y3))
    v128.store(to, f64x2.add(rest3, f64x2.sub(c3, carry3)), 48)
    for (let at: usize = 0; at < 192; at += 16) v128.store(own + at, zero)
    own += 3 * BIN_BYTES
    bin += 3
    to += 64
  }
  v128.store(to, carry0)
  v128.store(to, carry1, 16)
  v128.store(to, carry2, 32)
  v128.store(to, carry3, 48)
}

/** Rows of eight terms, none smaller than `least` unless it is zero and none larger than `most`. */
export function sumInNarrowBins(terms: usize, k: i32, least: f64, most: f64, out: usize): void {
  const end = terms + (<usize>k << 6)
  for (let at = terms; at < end; at += 64) {
    put(at, 0)
    put(at + 8, 8)
    put(at + 16, 16)
    put(at + 24, 24)
    put(at + 32, 32)
    put(at + 40, 40)
    put(at + 48, 48)
    put(at + 56, 56)
  }
  const bottom = binOf(least)
  const count = <i32>(<u32>(binOf(most) - bottom + 3) / 3)
  carryUp(bottom, count)
  readDigits(0, count - 1, out)
}
