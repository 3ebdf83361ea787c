/**
 * What is known of Σ weight · stream ÷ divisor before an element is seen: which proofs can hold, and how wide they may
 * be. Elements of these dtypes are whole numbers of `mantissaBits` + 1 bits times a power of two, and so are weights.
 */
import { units } from './exact.ts'

/** Ways to a sum, cheapest first; the last of a plan needs no other. */
export type AverageTier =
  'inF32' | 'inRatio' | 'inInterval' | 'inParts' | 'besideMiddles' | 'inSpan' | 'inLevels' | 'anyScales'

export interface AveragePlan {
  readonly tiers: readonly AverageTier[]
  /** Greatest difference of two codes at which no partial sum in f64 can round. */
  readonly span: number
  /** Constants of two levels of exact sums, as assembly/plan.ts has them. */
  readonly levels: { readonly head: number; readonly drop: number; readonly next: number }
  /** The smallest product there can be beside zero, and the greatest weight. */
  readonly scales: { readonly least: number; readonly greatest: number }
  /** How far off a sum in f64 can be, per unit of the greatest magnitude. */
  readonly sumError: number
  /** A weight is no f32 value, so that products may have more than 48 bits. */
  readonly isWide: boolean
  /** No product has more than 32 bits. */
  readonly isNarrow: boolean
  /** For bf16 with weights of a small whole sum: the codes that are sorted in their stead (assembly/average-sorted.ts). */
  readonly rows?: CodeRows
  /** For bf16: how many binades below the greatest element an f64 sum may lie whose code is known beside a middle. */
  readonly middleReach: number
  /**
   * For bf16 with weights that are as whole numbers of a small sum, and f16 with equal ones: those in f32, and the divisor to
   * go with them.
   */
  readonly inF32?: { readonly span: number; readonly weights: Float32Array; readonly divisor: number }
  /** For two or three of bf16 with weights that are nearly as whole numbers of a small sum: see average-ratio.ts. */
  readonly inRatio?: {
    readonly span: number
    /** Of each, the whole number and how far the weight by the divisor is off that by `divisor`, in turn. */
    readonly weights: Float32Array
    readonly divisor: number
    /** How many codes a quotient may lie below the greatest element. */
    readonly reach: number
    /** How many codes below the greatest element the sign of what is off may be wrong. */
    readonly doubt: number
  }
  /** Weights by the divisor, and how far off the sum can be, per unit of the greatest magnitude. */
  readonly inInterval?: {
    readonly weights: Float32Array | Float64Array
    readonly error: number
    readonly places: number
  }
  /** For bf16: each weight by the divisor in two parts, first and rest in turn, with what average-parts.ts asks of them. */
  readonly inParts?: {
    readonly parts: Float32Array
    /** From the exponent field of the greatest element to the constant's code. */
    readonly head: number
    /** How many codes a result may lie below the greatest element. */
    readonly reach: number
    /** How far off the sum can be, per unit of the constant. */
    readonly error: number
  }
}

/** Each row is a stream, how often it is doubled, and whether its sign is turned; the sum of all is multiplied by `scale`. */
export interface CodeRows {
  readonly scale: number
  /** By which the sum of all is divided without the scale; 0 where that has too many bits. */
  readonly divisor: number
  readonly rows: readonly { readonly stream: number; readonly doublings: number; readonly isTurned: boolean }[]
}

const FORMS = {
  BF16: { mantissaBits: 7, spanBits: 45, least: 2 ** -133 },
  F16: { mantissaBits: 10, spanBits: 42, least: 2 ** -136 }, // as assembly/codes.ts widens it
  F32: { mantissaBits: 23, spanBits: 29, least: 2 ** -149 },
} as const
export type AverageDtype = keyof typeof FORMS
export const AVERAGE_DTYPES = Object.keys(FORMS) as readonly AverageDtype[]

/** Binades over which sums of whole weights must be proved exact to be worth trying first: of few wholes, many sums are ties. */
const SPAN_BINADES_MIN = { F16: 32, F32: 11 } as const
/** Of so few terms no proof is cheaper than what takes any scales; of fewer, levels need none (assembly/two-levels.ts). */
const FEW = 8
const FEW_WIDE = 4
/** Bits of a product that such a bin takes. */
const NARROW_BITS = 32
/** As many rows as are sorted together. */
const ROWS = [4, 8, 16, 24, 32]
const ROWS_MAX = 32
/** Of more, too many sums of f16 lie too far apart for f32. */
const EQUAL_F16_MAX = 8
/** A row is doubled no more often. */
const DOUBLINGS_MAX = 4
/** An f64 sum is looked at more closely where it is this many binades below the greatest element. */
const CANCELLED_BINADES = { F16: 10, F32: 12 } as const
/** What an f16 in an f32 is short of. */
const F16_SCALE = 2 ** 112

const bitLength = (n: bigint): number => n.toString(2).length
const size = (n: bigint): bigint => (n < 0n ? -n : n)
const oddPart = (value: number): bigint => {
  const n = size(units(value))
  return n === 0n ? 0n : n / (n & -n)
}

/** Magnitudes in the greatest power of two that all are whole multiples of. */
function sumOf(whole: readonly bigint[]): { readonly unit: bigint; readonly sum: bigint } {
  const all = whole.reduce((so, n) => so | n, 0n)
  const unit = all & -all
  return { unit, sum: unit === 0n ? 0n : whole.reduce((so, n) => so + n, 0n) / unit }
}

/** Greatest difference of two codes at which no partial sum rounds, where so many bits are left to weights and binades. */
const spanOf = (bits: number, sum: bigint, mantissaBits: number): number =>
  Math.max(0, bits - (sum > 1n ? bitLength(sum - 1n) : 0)) * 2 ** mantissaBits

/** Beyond f32, weights whose products with any element are exact or rounded to 53 bits, and none is lost. */
export const canAverage = (weights: readonly number[]): boolean =>
  weights.every((weight) => {
    const size = Math.abs(weight)
    return size < Infinity && (Math.fround(weight) === weight || (size >= 2 ** -200 && size <= 2 ** 200))
  })

/** Weights of which `canAverage` is true. */
export function planAverage(dtype: AverageDtype, weights: readonly number[], divisor: number): AveragePlan {
  const whole = weights.map((weight) => size(units(weight)))
  const { unit, sum } = sumOf(whole)
  const { mantissaBits, spanBits } = FORMS[dtype]
  const span = spanOf(spanBits, sum, mantissaBits)
  const levels = levelsOf(whole, unit, mantissaBits)
  const sizes = weights.map(Math.abs).filter((weight) => weight > 0)
  const scales = { least: FORMS[dtype].least * Math.min(1, ...sizes), greatest: Math.max(0, ...sizes) }
  const sumError = (weights.length + 6) * 2 ** -53 * sizes.reduce((so, weight) => so + weight, 0) * 1.001
  const isWide = weights.some((weight) => Math.fround(weight) !== weight)
  const isNarrow = weights.every((weight) => bitLength(oddPart(weight)) + mantissaBits < NARROW_BITS)
  const middleReach = dtype === 'BF16' ? middleReachOf(sumError / Math.abs(divisor)) : 0
  const rows = dtype === 'BF16' ? rowsOf(weights, divisor, whole, unit) : undefined
  const always = { span, levels, scales, sumError, isWide, isNarrow, middleReach, ...(rows && { rows }) }
  const beside: readonly AverageTier[] = middleReach > 0 && weights.length > 2 ? ['besideMiddles'] : []

  const last = lastTiers(dtype, weights.length, isWide, rows !== undefined)

  const inF32 = dtype === 'F32' ? undefined : inF32Of(dtype, weights, whole, divisor)
  if (inF32) return { tiers: ['inF32', ...beside, 'inSpan', ...last], ...always, inF32 }
  const spanIsBest = dtype !== 'BF16' && (weights.length <= 2 || spanBits - bitLength(sum) >= SPAN_BINADES_MIN[dtype])
  const inInterval = spanIsBest ? undefined : intervalOf(dtype, weights, divisor)
  if (!inInterval) return { tiers: [...beside, 'inSpan', ...last], ...always }
  if (dtype === 'F32') return { tiers: ['inInterval', ...last], ...always, inInterval }
  if (dtype === 'F16') return { tiers: ['inInterval', 'inSpan', ...last], ...always, inInterval }
  const inParts = partsOf(weights, divisor)
  const inRatio = ratioOf(weights, divisor)
  const [first, second] = [inRatio ? 'inRatio' : 'inInterval', inParts ? (['inParts'] as const) : []] as const
  const tiers = [first, ...second, ...beside, 'inSpan', ...last] as const
  return { tiers, ...always, inInterval, ...(inParts && { inParts }), ...(inRatio && { inRatio }) }
}

/** Where all proofs have failed. */
function lastTiers(dtype: AverageDtype, k: number, isWide: boolean, areRows: boolean): readonly AverageTier[] {
  if (k <= 3) return ['inLevels']
  if (areRows || (dtype !== 'BF16' && k <= (isWide ? FEW_WIDE : FEW))) return ['anyScales']
  return ['inLevels', 'anyScales']
}

/** Of a weight as many rows as it has bits, and of all together no more than are sorted at the price of one for each. */
function rowsOf(
  weights: readonly number[],
  divisor: number,
  whole: readonly bigint[],
  unit: bigint,
): CodeRows | undefined {
  if (weights.length < 4 || weights.length > ROWS_MAX || whole.includes(0n)) return undefined
  const all = whole.map((n) => n / unit)
  if (all.some((n) => n >= 2n << BigInt(DOUBLINGS_MAX))) return undefined
  const bits = Array.from({ length: DOUBLINGS_MAX + 1 }, (_, doublings) => doublings)
  const rows = weights.flatMap((weight, stream) =>
    bits
      .filter((doublings) => (all[stream]! >> BigInt(doublings)) % 2n === 1n)
      .map((doublings) => ({ stream, doublings, isTurned: weight < 0 })),
  )
  const sorted = ROWS.find((count) => weights.length <= count)!
  const scale = Math.abs(weights[0]!) / Number(all[0])
  const by = divisor / scale
  const isShort = by >= 1 && by <= 2 ** 13 && oddPart(by) < 1n << 15n
  return rows.length <= sorted ? { scale, divisor: isShort ? by : 0, rows } : undefined
}

/** Wholes of a greater divisor have few quotients on a middle, and then an interval is cheaper. */
const RATIO_DIVISOR_MAX = 100
/** Over fewer, too many elements would be left open. */
const RATIO_BINADES_MIN = 7
/** Loops of average-ratio.ts are for so few. */
const RATIO_TERMS_MAX = 3

/** Weights by the divisor that are off wholes by the least divisor that will do no farther than decimals in f32 are. */
function ratioOf(weights: readonly number[], divisor: number): AveragePlan['inRatio'] {
  const exact = weights.map((weight) => weight / divisor)
  const total = exact.reduce((so, weight) => so + Math.abs(weight), 0)
  if (weights.length < 2 || weights.length > RATIO_TERMS_MAX || !(total >= 2 ** -4 && total <= 2 ** 4)) return undefined
  for (let wholes = 1; wholes <= RATIO_DIVISOR_MAX; wholes++) {
    const whole = exact.map((weight) => Math.round(weight * wholes))
    // of numbers so near each other the difference is exact; the quotients round
    const off = exact.map((weight, i) => weight - whole[i]! / wholes)
    if (whole.includes(0) || off.some((far) => Math.abs(far) > 2 ** -22 * total)) continue
    const sum = whole.reduce((so, n) => so + Math.abs(n), 0)
    // what is off, with what the law's own two roundings may move, per unit of the greatest magnitude
    const moved = off.reduce((so, far) => so + Math.abs(far), 0) + 2 ** -49 * total
    // a quotient beside a middle is off it by a place of the smallest element, or of the middle, by the divisor at least
    const clear = -binades(wholes * moved)
    const narrow = Math.min(
      15 - binades(sum + 1),
      14 - binades(wholes) - Math.max(0, binades(sum / wholes)),
      clear - 10,
    )
    const reach = Math.min(clear - 13, 8)
    // the sign: off and products and additions round in f32, quotients above and the law in f64
    const doubt = -binades((weights.length + 3) * 2 ** -24 * moved + 2 ** -49 * total)
    // what is off by next to nothing leaves every middle in doubt
    if (narrow < RATIO_BINADES_MIN || reach < 4 || moved < 2 ** (10 - doubt)) return undefined
    const { mantissaBits } = FORMS.BF16
    return {
      span: narrow * 2 ** mantissaBits,
      weights: Float32Array.from(whole.flatMap((n, i) => [n, off[i]!])),
      divisor: wholes,
      reach: reach * 2 ** mantissaBits,
      doubt: doubt * 2 ** mantissaBits,
    }
  }
  return undefined
}

/** Binades at which the error of a quotient, and what the law's own two steps round, is half of 2⁻²⁰ of it. */
function middleReachOf(error: number): number {
  let binades = 0
  while (binades < 40 && error * 1.01 * 2 ** (binades + 1) <= 2 ** -22) binades++
  return binades
}

/** Bits of a first part: times a bf16, its product is exact in f32. */
const FIRST_BITS = 16

/** Weights by the divisor, whose magnitudes add up to neither little nor much. */
function partsOf(weights: readonly number[], divisor: number): AveragePlan['inParts'] {
  const exact = weights.map((weight) => weight / divisor)
  const total = exact.reduce((so, weight) => so + Math.abs(weight), 0)
  if (!(total >= 2 ** -8 && total <= 2 ** 8)) return undefined
  const first = exact.map((weight) => cut(weight, FIRST_BITS))
  const rest = exact.map((weight, i) => weight - first[i]!)
  // the greatest magnitude is below 2 to its exponent + 1, and all partial sums lie within a quarter of the constant
  let head = 3
  while (2 ** (head - 2) < total * 1.001) head++
  const left = rest.reduce((so, weight) => so + Math.abs(weight), 0) + weights.length * 2 ** (head - 24)
  // what is left, its products and additions round in f32; weights by the divisor, and the law's own steps, in f64
  const error = (2 * weights.length + 3) * 2 ** -24 * left * 1.01 + 2 ** -50 * total
  // beyond it, the error could come near half a last place of the sum in f32
  let binades = 0
  while (binades < 8 && error * 1.02 * 2 ** (binades + 1) <= 2 ** -26 && left * 2 ** (binades + 3) <= 1) binades++
  if (binades === 0) return undefined
  const parts = Float32Array.from(exact.flatMap((_, i) => [first[i]!, rest[i]!]))
  const { mantissaBits } = FORMS.BF16
  const code = (binadesUp: number) => binadesUp * 2 ** mantissaBits
  return {
    parts,
    head: code(head) + 2 ** (mantissaBits - 1),
    reach: code(binades),
    error: (error * 2 ** (1 - head) * (1 + 2 ** -20)) / 1.5,
  }
}

/** The nearest value of so many bits, and what is left of it, are exact. */
function cut(value: number, bits: number): number {
  const far = value * (2 ** (53 - bits) + 1)
  return far - (far - value)
}

/** The exponent of the least power of two that is no smaller. */
function binades(value: number): number {
  let exponent = -64
  while (2 ** exponent < value) exponent++
  return exponent
}

const near = (value: number) => value === 0 || (Math.abs(value) >= 2 ** -8 && Math.abs(value) <= 2 ** 8)

function inF32Of(
  dtype: 'BF16' | 'F16',
  weights: readonly number[],
  whole: readonly bigint[],
  divisor: number,
): AveragePlan['inF32'] {
  const least = inLeastTerms(weights, whole, divisor)
  if (dtype === 'BF16') return bf16InF32Of(weights, divisor) ?? bf16InF32Of(...least)
  const [terms, own] = least
  const fits = terms.length <= EQUAL_F16_MAX && terms.every((weight) => weight === 1)
  // a sum that is no normal f16 must not come out as one
  if (!fits || !(own >= 1 && own <= 2 ** 8) || oddPart(own) > 1n << 11n) return undefined
  return { span: spanOf(13, BigInt(terms.length), FORMS.F16.mantissaBits), weights: new Float32Array(), divisor: own }
}

/** Whole weights of a small sum, and a divisor whose quotients lie on a middle of two codes or well beside it. */
function bf16InF32Of(weights: readonly number[], divisor: number): AveragePlan['inF32'] {
  const { sum } = sumOf(weights.map((weight) => size(units(weight))))
  const fits = sum > 0n && sum <= 16n && weights.every(near) && divisor > 0 && near(divisor)
  return fits && oddPart(divisor) <= 1n << 15n
    ? { span: spanOf(16, sum, FORMS.BF16.mantissaBits), weights: Float32Array.from(weights), divisor }
    : undefined
}

/** Counts as 18000, 12000 and 30000 are to each other as 3, 2 and 5, and so are their exact sums by an exact divisor. */
function inLeastTerms(weights: readonly number[], whole: readonly bigint[], divisor: number): [number[], number] {
  const common = whole.reduce(greatestCommon, 0n)
  if (common === 0n || units(divisor) % common !== 0n) return [[], 0]
  return [weights.map((weight) => Number(units(weight) / common)), Number(units(divisor) / common)]
}

const greatestCommon = (a: bigint, b: bigint): bigint => (b === 0n ? a : greatestCommon(b, a % b))

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
  const scaled = single
    ? Float32Array.from(exact)
    : Float64Array.from(exact, (weight) => weight * (dtype === 'F16' ? F16_SCALE : 1))
  const [least, most] = single ? [2 ** -30, 2 ** 20] : [2 ** -200, 2 ** 200]
  const fits = scaled.every((weight, i) => {
    const magnitude = Math.abs(weight)
    return weights[i] === 0 ? magnitude === 0 : magnitude >= least && magnitude <= most
  })
  if (!fits) return undefined
  // a weight, a product and each addition round once, and so do the ends of the interval
  const total = exact.reduce((so, weight) => so + Math.abs(weight), 0) * 1.001
  if (single) return { weights: scaled, error: Math.fround((weights.length + 4) * 2 ** -24 * total), places: 0 }
  const last = (weights.length + 6) * total
  // of f16, whose places are not shifted, a code is known to half of it
  const places = Math.ceil(
    last * (dtype === 'F16' ? 2 ** (CANCELLED_BINADES.F16 + 1) : 2 ** (CANCELLED_BINADES.F32 + 3)),
  )
  if (dtype === 'F16' && places >= 2 ** 30) return undefined
  return { weights: scaled, error: last * 2 ** -53, places: places < 2 ** 30 ? places : -1 }
}
