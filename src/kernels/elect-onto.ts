/**
 * Programs that end with what three elect, added to a base and written: the compiled kernels have one step for that. Of bf16
 * (assembly/elect-onto.ts) its proofs rest on how far off each of its numbers can be; of f32 (assembly/elect-onto-f32.ts) it
 * computes what its steps do.
 */
import type { ProgramStep, StripProgram } from './strip-program.ts'

type StepOf<Do extends ProgramStep['do']> = Extract<ProgramStep, { readonly do: Do }>
export type Scale = StepOf<'scale'>

export interface Ending {
  /** What the one step stands for. */
  readonly steps: ReadonlySet<ProgramStep>
  readonly elect: StepOf<'elect'>
  /** What each plane is scaled by at last. */
  readonly scales: readonly (Scale | undefined)[]
  /** The base's plane, which is narrow. */
  readonly base: number
  /** Of bf16. */
  readonly proof: Proof | undefined
}

export interface Proof {
  /** Whether all elements but zeros are at least 2⁻⁷⁰. */
  readonly isLarge: boolean
  /** How far off a vote and a result may be, in parts of the side that won; the least weight; factors; weights. All are f32. */
  readonly plan: readonly number[]
}

/** What elements are multiplied and divided by, so that all that is made of 2⁻⁷⁰ is normal. */
const LEAST = 2 ** -16
const MOST = 2 ** 16
/** The bits of 2⁻⁷⁰. */
const LARGE_KEY = 0x1c800000
/** Of one rounding to f32. */
export const ROUNDING = 2 ** -24
/**
 * For what is lost where shares are computed with, and where a result and the middle that it is held against lie in different
 * binades: then it may be rounded twice as coarsely, and an error is at least 2⁻⁹ of either.
 */
export const SLACK = 1 + 2 ** -6

export function endingOf({ steps, dtype }: StripProgram): Ending | undefined {
  const [elect, widen, plus, write] = steps.slice(-4)
  if (elect?.do !== 'elect' || widen?.do !== 'widen' || elect.planes.length !== 3) return undefined
  if (plus?.do !== 'binary' || plus.op !== 'plus' || write?.do !== 'write' || write.a !== plus.out) return undefined
  const isSum = new Set([plus.a, plus.b, widen.out, elect.out]).size === 2 && plus.a !== plus.b
  if (!isSum || new Set([...elect.planes, elect.out, widen.a]).size !== 5) return undefined
  const before = steps.slice(0, -4)
  const makers = elect.planes.map((plane) => makerOf(before, plane))
  const made = makers.map((maker) => (maker?.do === 'scale' ? maker : undefined))
  const scales = dtype === 'F32' ? made.map(factor) : made
  const plan = dtype === 'BF16' ? planOf(elect, scales) : undefined
  if (dtype === 'F32' ? elect.divisors : !plan) return undefined
  const own = scales.filter((scale) => scale !== undefined)
  const isLarge = makers.every((maker) => isTrim(maker) && maker.key >= LARGE_KEY)
  const taken = new Set<ProgramStep>([...own, elect, widen, plus, write])
  return { steps: taken, elect, scales, base: widen.a, proof: plan && { isLarge, plan } }
}

/** 2⁻¹⁰⁰, of which the reciprocal is far from the ends of f64. */
const LEAST_POWER = 2 ** -100

/** One that is a product by what is above zero, or a quotient that is such. */
function factor(scale: Scale | undefined): Scale | undefined {
  if (!scale || !(scale.by > 0 && scale.by < Infinity)) return undefined
  if (scale.op === 'times') return scale
  return scale.by >= LEAST_POWER && scale.by <= 1 && isPower(scale.by) ? scale : undefined
}

/** Of numbers up to 1. */
function isPower(number: number): boolean {
  let power = 1
  while (power > number) power /= 2
  return power === number
}

const isTrim = (step: ProgramStep | undefined) => step?.do === 'trim' || step?.do === 'trimInTurn'

/** Steps that look at one narrow plane, or two, and make one. */
const NARROW: ReadonlySet<ProgramStep['do']> = new Set([
  'draw',
  'read',
  'change',
  'trim',
  'trimInTurn',
  'drop',
  'pick',
  'scale',
] as const)

/** The step that made a narrow plane what it is, where that is known, and no other has looked at it since. */
export function makerOf(steps: readonly ProgramStep[], plane: number): ProgramStep | undefined {
  for (const step of steps.toReversed()) {
    if (!NARROW.has(step.do)) return undefined
    const looks = ('a' in step && step.a === plane) || ('b' in step && step.b === plane)
    if ('out' in step && step.out === plane) return step.do === 'scale' && !looks ? undefined : step
    if (looks) return undefined
  }
  return undefined
}

export const factorOf = (scale: Scale | undefined): number =>
  scale === undefined ? 1 : scale.op === 'times' ? scale.by : 1 / scale.by

/** A number that f32 holds to a share of it, in whatever it multiplies. */
export const isFit = (number: number): boolean => number >= LEAST && number <= MOST

/** Undefined where nothing is proved of such numbers. */
function planOf({ weights, divisors }: Ending['elect'], scales: Ending['scales']): readonly number[] | undefined {
  if (!weights.every((weight) => Math.fround(weight) === weight)) return undefined
  const factors = weights.map((weight, i) => weight * factorOf(scales[i]))
  if (![...weights, ...factors, ...scales.map(factorOf)].every(isFit)) return undefined
  const weightOf = (members: number): number =>
    weights.reduce((sum, weight, i) => (members & (1 << i) ? sum + weight : sum), 0)
  const isTheirs = (divisor: number, members: number): boolean =>
    members === 0 ? divisor > 0 : divisor === weightOf(members)
  if (divisors?.every(isTheirs) === false) return undefined
  // a term is rounded; where it is scaled, so are its factor, and the scaled element that it stands for; then two sums
  const sum = (scales.every((scale) => scale === undefined) ? 3 : 5) * ROUNDING
  // both sides may be as great; two sums of weights, and a quotient
  const shares = [2 * sum * SLACK, (sum + (divisors ? 3 : 0) * ROUNDING) * SLACK]
  return [...shares, Math.min(...weights), ...factors, ...weights]
}
