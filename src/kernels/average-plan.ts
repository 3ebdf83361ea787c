/**
 * What is known of Σ weight · stream ÷ divisor before an element is seen: which proofs can hold, and how wide they may
 * be. Elements of these dtypes are whole numbers of `mantissaBits` + 1 bits times a power of two, and so are weights.
 */
import { units } from './exact.ts'

/** Ways to a sum, cheapest first; the last of a plan needs no other. */
export type AverageTier = 'inF32' | 'inInterval' | 'inSpan' | 'inLevels'

export interface AveragePlan {
  readonly tiers: readonly AverageTier[]
  /** Greatest difference of two codes at which no partial sum in f64 can round. */
  readonly span: number
  /** Constants of two levels of exact sums, as assembly/plan.ts has them. */
  readonly levels: { readonly head: number; readonly drop: number; readonly next: number }
  /** For bf16 with whole weights of a small sum: the same in f32, and the weights as they are. */
  readonly inF32?: { readonly span: number; readonly weights: Float32Array }
  /** Weights by the divisor, and how far off the sum can be, per unit of the greatest magnitude. */
  readonly inInterval?: {
    readonly weights: Float32Array | Float64Array
    readonly error: number
    readonly places: number
  }
}

const FORMS = {
  BF16: { mantissaBits: 7, spanBits: 45 },
  F16: { mantissaBits: 10, spanBits: 42 },
  F32: { mantissaBits: 23, spanBits: 29 },
} as const
export type AverageDtype = keyof typeof FORMS
export const AVERAGE_DTYPES = Object.keys(FORMS) as readonly AverageDtype[]

/** Binades over which f32 sums of whole weights must be proved exact to be worth trying. */
const SPAN_BINADES_MIN = 11
/** An f64 sum is looked at more closely where it is this many binades below the greatest element. */
const CANCELLED_BINADES = 12

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
  const unit = common & -common
  const sum = unit === 0n ? 0n : whole.reduce((so, n) => so + n, 0n) / unit
  const { mantissaBits, spanBits } = FORMS[dtype]
  const binadesOf = (bits: number) => bits - bitLength(sum)
  const spanOf = (bits: number) => Math.max(0, binadesOf(bits) - 1) * 2 ** mantissaBits
  const span = spanOf(spanBits)
  const levels = levelsOf(whole, unit, mantissaBits)

  const near = (value: number) => value === 0 || (Math.abs(value) >= 2 ** -8 && Math.abs(value) <= 2 ** 8)
  const small = sum > 0n && sum <= 16n && weights.every(near)
  if (dtype === 'BF16' && small && divisor > 0 && near(divisor) && oddPart(divisor) <= 1n << 15n) {
    const inF32 = { span: spanOf(16), weights: Float32Array.from(weights) }
    return { tiers: ['inF32', 'inSpan', 'inLevels'], span, levels, inF32 }
  }
  const spanIsBest =
    dtype === 'F16' || (dtype === 'F32' && (weights.length <= 2 || binadesOf(spanBits) >= SPAN_BINADES_MIN))
  const inInterval = spanIsBest ? undefined : intervalOf(dtype, weights, divisor)
  if (!inInterval) return { tiers: ['inSpan', 'inLevels'], span, levels }
  const tiers =
    dtype === 'F32' ? (['inInterval', 'inLevels'] as const) : (['inInterval', 'inSpan', 'inLevels'] as const)
  return { tiers, span, levels, inInterval }
}

/** Each level's constant lies above the sum of its terms, and what is a multiple of its last place it takes whole. */
function levelsOf(whole: readonly bigint[], unit: bigint, mantissaBits: number): AveragePlan['levels'] {
  const count = whole.length > 1 ? bitLength(BigInt(whole.length - 1)) : 0
  if (unit === 0n) return { head: count + 3, drop: 300, next: count - 52 }
  const exponent = (n: bigint) => bitLength(n) - 1 - 1074
  const head = exponent(whole.reduce((most, n) => (n > most ? n : most))) + 3 + count
  return { head, drop: Math.max(-1, Math.min(300, 52 - mantissaBits + exponent(unit) - head)), next: count - 52 }
}

function intervalOf(dtype: AverageDtype, weights: readonly number[], divisor: number): AveragePlan['inInterval'] {
  const single = dtype === 'BF16'
  const exact = weights.map((weight) => weight / divisor)
  const scaled = single ? Float32Array.from(exact) : Float64Array.from(exact)
  const [least, most] = single ? [2 ** -30, 2 ** 20] : [2 ** -200, 2 ** 200]
  const fits = scaled.every((weight, i) => {
    const magnitude = Math.abs(weight)
    return weights[i] === 0 ? magnitude === 0 : magnitude >= least && magnitude <= most
  })
  if (!fits) return undefined
  // a weight, a product and each addition round once, and so do the ends of the interval
  const total = [...scaled].reduce((so, weight) => so + Math.abs(weight), 0) * 1.001
  if (single) return { weights: scaled, error: Math.fround((weights.length + 4) * 2 ** -24 * total), places: 0 }
  const last = (weights.length + 6) * total
  const places = Math.ceil(last * 2 ** (CANCELLED_BINADES + 3))
  return { weights: scaled, error: last * 2 ** -53, places: places < 2 ** 30 ? places : -1 }
}
