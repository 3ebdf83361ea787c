/**
 * What an exact sum is: an integer counting units of 2⁻¹⁰⁷⁴, the smallest f64, rounded once when it is read. Slow, obvious,
 * and the measure of every faster way.
 */
import { invariant } from '../core/invariant.ts'

const FRACTION_BITS = 52n
const FRACTION = (1n << FRACTION_BITS) - 1n
const INFINITY_BITS = 0x7ffn << FRACTION_BITS
const SIGN = 1n << 63n

const cell = new DataView(new ArrayBuffer(8))

function bitsOf(value: number): bigint {
  cell.setFloat64(0, value)
  return cell.getBigUint64(0)
}

function ofBits(bits: bigint): number {
  cell.setBigUint64(0, bits)
  return cell.getFloat64(0)
}

const bitLength = (size: bigint): number => {
  const digits = size.toString(16)
  return digits.length * 4 - Math.clz32(parseInt(digits.charAt(0), 16)) + 28
}

/** A finite f64 as its number of units. */
export function units(value: number): bigint {
  invariant(Number.isFinite(value), `${value} is not a number of units`)
  const bits = bitsOf(value)
  const exponent = (bits >> FRACTION_BITS) & 0x7ffn
  const fraction = bits & FRACTION
  const size = exponent === 0n ? fraction : (fraction + FRACTION + 1n) << (exponent - 1n)
  return value < 0 ? -size : size
}

/** The nearest f64, ties to even; beyond the largest an infinity; zero is +0. */
export function nearest(sum: bigint): number {
  if (sum === 0n) return 0
  let size = sum < 0n ? -sum : sum
  const cut = BigInt(Math.max(0, bitLength(size) - 53))
  if (cut > 0n) {
    const half = 1n << (cut - 1n)
    const rest = size & (2n * half - 1n)
    size >>= cut
    if (rest > half || (rest === half && (size & 1n) === 1n)) size += 1n
  }
  // The leading bit of a normal number carries into the exponent field, which is exactly what its encoding wants.
  const bits = size + (cut << FRACTION_BITS)
  return ofBits((bits < INFINITY_BITS ? bits : INFINITY_BITS) + (sum < 0n ? SIGN : 0n))
}

/** Σ of finite terms, rounded once. */
export function exactSum(terms: Iterable<number>): number {
  let sum = 0n
  for (const term of terms) sum += units(term)
  return nearest(sum)
}

/** Whether f64 sums of any of these, in any order, lose nothing: all are multiples of one unit, and few of it. */
export function sumsExactly(values: readonly number[]): boolean {
  const sizes = values.map((value) => units(Math.abs(value)))
  const common = sizes.reduce((all, size) => all | size, 0n)
  return common === 0n || sizes.reduce((sum, size) => sum + size, 0n) / (common & -common) < 1n << 53n
}
