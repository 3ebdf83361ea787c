/**
 * Exact sums of terms of any scales at one price. Each term goes to the bin of its exponent, 32 binades wide: a constant
 * there keeps what is a whole multiple of one unit, and what that leaves is kept beside it. Bins then become digits that
 * do not overlap, and digits one value rounded once.
 */
import { addThreeTwo } from './levels'

/** Terms of one sum, each a product of two f32, that a bin takes without rounding. */
@inline export const BIN_TERMS_MAX: i32 = 1024

/** Of each bin eight sums, and what they leave. */
@inline const BIN_BYTES: usize = 128
const bins: usize = memory.data(64 * 128)
const digits: usize = memory.data(64 * 16)

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
function put(term: usize, column: usize): void {
  const bin = bins + column + ((load<u32>(term, 4) >>> 18) & 0x1f80)
  const value = load<f64>(term)
  const before = load<f64>(bin)
  const sum = before + value
  store<f64>(bin, sum)
  store<f64>(bin, load<f64>(bin, 64) + (value - (sum - before)), 64)
}

/** Two columns, from bins between these. */
@inline
function readTwo(column: usize, bottom: i32, top: i32): v128 {
  let carry = f64x2.splat(0)
  let above = carry
  for (let b = bottom; b <= top; b++) {
    const own = bins + column + <usize>b * BIN_BYTES
    const next = constantOf(b + 1)
    const left = v128.load(own + 2 * BIN_BYTES, 64)
    const kept = f64x2.sub(f64x2.add(left, next), next)
    const sum = f64x2.sub(v128.load(own), constantOf(b))
    const all = f64x2.add(f64x2.add(sum, above), f64x2.add(f64x2.sub(left, kept), carry))
    carry = f64x2.sub(f64x2.add(all, next), next)
    above = kept
    v128.store(digits + (<usize>b << 4), f64x2.sub(all, carry))
  }
  // each digit is smaller than all that was added before it, if any was
  let high = carry
  let low = f64x2.splat(0)
  let lowest = low
  for (let b = top; b >= bottom; b--) {
    const digit = v128.load(digits + (<usize>b << 4))
    const sum = f64x2.add(high, digit)
    const error = f64x2.sub(digit, f64x2.sub(sum, high))
    high = sum
    const lowSum = f64x2.add(low, error)
    lowest = f64x2.add(lowest, f64x2.sub(error, f64x2.sub(lowSum, low)))
    low = lowSum
  }
  return addThreeTwo(high, low, lowest)
}

/** Eight columns of k terms side by side, none smaller than `least` unless it is zero and none larger than `most`. */
export function sumEight(terms: usize, k: i32, least: f64, most: f64, out: usize): void {
  const bottom = binOf(least) - 2
  const top = binOf(most) + 1
  const zero = f64x2.splat(0)
  for (let b = bottom; b <= top + 2; b++) {
    const own = bins + <usize>b * BIN_BYTES
    const constant = constantOf(b)
    for (let at: usize = 0; at < 64; at += 16) {
      v128.store(own + at, constant)
      v128.store(own + at, zero, 64)
    }
  }
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
  for (let column: usize = 0; column < 64; column += 16) v128.store(out + column, readTwo(column, bottom, top))
}
