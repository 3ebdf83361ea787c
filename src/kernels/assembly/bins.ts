/**
 * Exact sums of terms of any scales at one price. Each term goes to the bin of its exponent, 32 binades wide, in two parts:
 * what is a whole multiple of one unit, and what that leaves. Bins then become digits that do not overlap, and digits one
 * value rounded once.
 */
import { addThreeTwo } from './levels'

/** Terms of one sum that a bin takes without rounding. */
@inline export const BIN_TERMS_MAX: i32 = 1024

/** Of each bin eight sums, each of two parts. */
@inline const BIN_BYTES: usize = 128
const bins: usize = memory.data(67 * 128, 16)
/** Rows of eight, and above the highest what is carried beyond it. */
export const digits: usize = memory.data(66 * 64, 16)

@inline
function binOf(term: f64): i32 {
  return <i32>(reinterpret<u64>(term) >>> 57) & 63
}

/** 1.5 times a power of two, whose last place is 2⁻⁸ of the least that its bin takes. */
@inline
function constantOf(bin: i32): v128 {
  return i64x2.splat((<i64>(32 * bin + 44) << 52) | 0x0008000000000000)
}

@inline
function put(term: usize, column: usize, parts: v128): void {
  const bin = bins + column + ((load<u32>(term, 4) >>> 18) & 0x1f80)
  v128.store(bin, f64x2.add(v128.load(bin), parts))
}

@inline
function putTwo(term: usize, column: usize): void {
  const both = v128.load(term)
  const lowest = v128.and(both, i64x2.splat(0x7e00000000000000))
  const constant = i64x2.add(lowest, i64x2.splat((<i64>44 << 52) | 0x0008000000000000))
  const whole = f64x2.sub(f64x2.add(both, constant), constant)
  const left = f64x2.sub(both, whole)
  put(term, column, v128.shuffle<i64>(whole, left, 0, 2))
  put(term + 8, column + 16, v128.shuffle<i64>(whole, left, 1, 3))
}

/** Two columns of one part of all terms in a bin. */
@inline
function wholesOf(bin: usize, column: usize): v128 {
  return v128.shuffle<i64>(v128.load(bin + column), v128.load(bin + column, 16), 0, 2)
}
@inline
function leftsOf(bin: usize, column: usize): v128 {
  return v128.shuffle<i64>(v128.load(bin + column), v128.load(bin + column, 16), 1, 3)
}

/** Bins between these as digits, of which each but the first is at most half a unit of the one above. */
function carryUp(bottom: i32, top: i32): void {
  let carry0 = f64x2.splat(0)
  let carry1 = carry0
  let carry2 = carry0
  let carry3 = carry0
  let above0 = carry0
  let above1 = carry0
  let above2 = carry0
  let above3 = carry0
  for (let b = bottom; b <= top; b++) {
    const own = bins + <usize>b * BIN_BYTES
    const next = constantOf(b + 1)
    const to = digits + (<usize>b << 6)
    const left0 = leftsOf(own + 256, 0)
    const kept0 = f64x2.sub(f64x2.add(left0, next), next)
    const here0 = f64x2.add(f64x2.add(wholesOf(own, 0), above0), f64x2.sub(left0, kept0))
    const all0 = f64x2.add(here0, carry0)
    carry0 = f64x2.sub(f64x2.add(all0, next), next)
    above0 = kept0
    v128.store(to, f64x2.sub(all0, carry0))
    const left1 = leftsOf(own + 256, 32)
    const kept1 = f64x2.sub(f64x2.add(left1, next), next)
    const here1 = f64x2.add(f64x2.add(wholesOf(own, 32), above1), f64x2.sub(left1, kept1))
    const all1 = f64x2.add(here1, carry1)
    carry1 = f64x2.sub(f64x2.add(all1, next), next)
    above1 = kept1
    v128.store(to, f64x2.sub(all1, carry1), 16)
    const left2 = leftsOf(own + 256, 64)
    const kept2 = f64x2.sub(f64x2.add(left2, next), next)
    const here2 = f64x2.add(f64x2.add(wholesOf(own, 64), above2), f64x2.sub(left2, kept2))
    const all2 = f64x2.add(here2, carry2)
    carry2 = f64x2.sub(f64x2.add(all2, next), next)
    above2 = kept2
    v128.store(to, f64x2.sub(all2, carry2), 32)
    const left3 = leftsOf(own + 256, 96)
    const kept3 = f64x2.sub(f64x2.add(left3, next), next)
    const here3 = f64x2.add(f64x2.add(wholesOf(own, 96), above3), f64x2.sub(left3, kept3))
    const all3 = f64x2.add(here3, carry3)
    carry3 = f64x2.sub(f64x2.add(all3, next), next)
    above3 = kept3
    v128.store(to, f64x2.sub(all3, carry3), 48)
  }
  const over = digits + (<usize>(top + 1) << 6)
  v128.store(over, carry0)
  v128.store(over, carry1, 16)
  v128.store(over, carry2, 32)
  v128.store(over, carry3, 48)
}

/** Four columns of digits: each digit is smaller than all that was added before it, if any was. */
@inline
function readFour(column: usize, bottom: i32, top: i32, out: usize): void {
  let high0 = v128.load(digits + column + (<usize>(top + 1) << 6))
  let high1 = v128.load(digits + column + (<usize>(top + 1) << 6), 16)
  let low0 = f64x2.splat(0)
  let low1 = low0
  let lowest0 = low0
  let lowest1 = low0
  for (let b = top; b >= bottom; b--) {
    const digit0 = v128.load(digits + column + (<usize>b << 6))
    const digit1 = v128.load(digits + column + (<usize>b << 6), 16)
    const sum0 = f64x2.add(high0, digit0)
    const sum1 = f64x2.add(high1, digit1)
    const error0 = f64x2.sub(digit0, f64x2.sub(sum0, high0))
    const error1 = f64x2.sub(digit1, f64x2.sub(sum1, high1))
    high0 = sum0
    high1 = sum1
    const lower0 = f64x2.add(low0, error0)
    const lower1 = f64x2.add(low1, error1)
    lowest0 = f64x2.add(lowest0, f64x2.sub(error0, f64x2.sub(lower0, low0)))
    lowest1 = f64x2.add(lowest1, f64x2.sub(error1, f64x2.sub(lower1, low1)))
    low0 = lower0
    low1 = lower1
  }
  v128.store(out, addThreeTwo(high0, low0, lowest0))
  v128.store(out, addThreeTwo(high1, low1, lowest1), 16)
}

/** Eight columns of the digits between these, each digit at most half a unit of the one above and a little more. */
export function readDigits(bottom: i32, top: i32, out: usize): void {
  readFour(0, bottom, top, out)
  readFour(32, bottom, top, out + 32)
}

@inline
function clear(bin: usize): void {
  const zero = f64x2.splat(0)
  for (let at: usize = 0; at < BIN_BYTES; at += 64) {
    v128.store(bin + at, zero)
    v128.store(bin + at, zero, 16)
    v128.store(bin + at, zero, 32)
    v128.store(bin + at, zero, 48)
  }
}

/** Rows of eight terms, none smaller than `least` unless it is zero and none larger than `most`. */
export function sumInBins(terms: usize, k: i32, least: f64, most: f64, out: usize): void {
  const bottom = binOf(least) - 2
  const top = binOf(most)
  clear(bins) // where zeros go
  for (let b = bottom; b <= top + 2; b++) clear(bins + <usize>b * BIN_BYTES)
  const end = terms + (<usize>k << 6)
  for (let at = terms; at < end; at += 64) {
    putTwo(at, 0)
    putTwo(at + 16, 32)
    putTwo(at + 32, 64)
    putTwo(at + 48, 96)
  }
  carryUp(bottom, top)
  readDigits(bottom, top, out)
}
