/**
 * What is known of Σ weight · stream ÷ divisor before an element is seen: which proofs can hold, and how wide they may
 * be. Elements of these dtypes are whole numbers of `mantissaBits` + 1 bits times a power of two, and so are weights.
 */
import { units } from './exact.ts'

export interface AveragePlan {
  /** Greatest difference of two codes at which no partial sum in f64 can round. */
  readonly span: number
  /** For bf16 with whole weights of a small sum: the same in f32, and the weights as they are. */
  readonly inF32?: { readonly span: number; readonly weights: Float32Array }
  /** For bf16: weights by the divisor, and how far off f32 can be, per unit of the greatest magnitude. */
  readonly inInterval?: { readonly weights: Float32Array; readonly error: number }
}

const FORMS = { BF16: { mantissaBits: 7, spanBits: 45 }, F16: { mantissaBits: 10, spanBits: 42 } } as const
export type AverageDtype = keyof typeof FORMS

const bitLength = (n: bigint): number => n.toString(2).length
const size = (n: bigint): bigint => (n < 0n ? -n : n)
const oddPart = (value: number): bigint => {
  const n = size(units(value))
  return n === 0n ? 0n : n / (n & -n)
}

/** Weights are f32 values. */
export function planAverage(dtype: AverageDtype, weights: readonly number[], divisor: number): AveragePlan {
  const whole = weights.map((weight) => size(units(weight)))
  const common = whole.reduce((all, n) => all | n, 0n)
  const sum = common === 0n ? 0n : whole.reduce((so, n) => so + n, 0n) / (common & -common)
  const sumBits = bitLength(sum)
  const { mantissaBits, spanBits } = FORMS[dtype]
  const spanOf = (bits: number) => Math.max(0, bits - sumBits - 1) << mantissaBits
  const span = spanOf(spanBits)
  if (dtype !== 'BF16') return { span }

  const near = (value: number) => value === 0 || (Math.abs(value) >= 2 ** -8 && Math.abs(value) <= 2 ** 8)
  const small = sum > 0n && sum <= 16n && weights.every(near)
  if (small && divisor > 0 && near(divisor) && oddPart(divisor) <= 1n << 15n)
    return { span, inF32: { span: spanOf(16), weights: Float32Array.from(weights) } }

  const scaled = Float32Array.from(weights, (weight) => weight / divisor)
  const fits = scaled.every((weight, i) => {
    const magnitude = Math.abs(weight)
    return weights[i] === 0 ? magnitude === 0 : magnitude >= 2 ** -30 && magnitude <= 2 ** 20
  })
  if (!fits) return { span }
  // a weight, a product and each addition round once, and so do the ends of the interval
  const total = scaled.reduce((so, weight) => so + Math.abs(weight), 0)
  return { span, inInterval: { weights: scaled, error: Math.fround((weights.length + 4) * 2 ** -24 * total * 1.001) } }
}
