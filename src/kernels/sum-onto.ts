/**
 * Programs that end with a sum of few planes by their weights, added to a base and written as bf16: the compiled kernels have one step
 * for that (assembly/sum-onto.ts), whose proof rests on how far off a result can be.
 */
import { factorOf, isFit, makerOf, ROUNDING, type Scale, SLACK } from './elect-onto.ts'
import type { ProgramStep, StripProgram } from './strip-program.ts'

const PLANES_MAX = 4

export interface SumEnding {
  /** What the one step stands for. */
  readonly steps: ReadonlySet<ProgramStep>
  /** Narrow ones, as is the base's. */
  readonly planes: readonly number[]
  readonly weights: readonly number[]
  /** What each plane is scaled by at last. */
  readonly scales: readonly (Scale | undefined)[]
  readonly base: number
  /** How far off a result may be, in parts of what all terms come to without their signs; factors, 0 where there is no plane. */
  readonly plan: readonly number[]
}

/** Its steps follow each other: planes are widened, looked at and summed; one whose weight is 1 is only widened. */
export function sumEndingOf({ steps, dtype }: StripProgram): SumEnding | undefined {
  const [widen, plus, write] = steps.slice(-3)
  if (dtype !== 'BF16' || widen?.do !== 'widen' || plus?.do !== 'binary' || plus.op !== 'plus') return undefined
  if (write?.do !== 'write' || write.a !== plus.out || (plus.a === widen.out) === (plus.b === widen.out))
    return undefined
  const terms = termsOf(steps.slice(0, -3), plus.a === widen.out ? plus.b : plus.a)
  if (!terms || new Set([...terms.planes, widen.a]).size !== terms.planes.length + 1) return undefined
  if (terms.own.some((step) => 'out' in step && step.out === widen.a)) return undefined
  const { planes, weights } = terms
  const makers = planes.map((plane) => makerOf(terms.before, plane))
  const scales = makers.map((maker) => (maker?.do === 'scale' ? maker : undefined))
  const factors = weights.map((weight, i) => weight * factorOf(scales[i]))
  if (!weights.every((weight) => Math.fround(weight) === weight)) return undefined
  if (![...weights, ...factors, ...scales.map(factorOf)].every((number) => isFit(Math.abs(number)))) return undefined
  // a term is rounded; where it is scaled, so are its factor, and the scaled element that it stands for; then sums
  const roundings = (scales.every((scale) => scale === undefined) ? 1 : 3) + planes.length - 1
  const plan = [roundings * ROUNDING * SLACK, ...factors, ...Array<number>(PLANES_MAX - planes.length).fill(0)]
  const own = scales.filter((scale) => scale !== undefined)
  return { steps: new Set([...own, ...terms.own, widen, plus, write]), planes, weights, scales, base: widen.a, plan }
}

interface Terms {
  readonly before: readonly ProgramStep[]
  readonly own: readonly ProgramStep[]
  readonly planes: readonly number[]
  readonly weights: readonly number[]
}

/** What the last steps sum into `out`. */
function termsOf(steps: readonly ProgramStep[], out: number): Terms | undefined {
  const last = steps.at(-1)
  if (last?.do === 'widen' && last.out === out)
    return { before: steps.slice(0, -1), own: [last], planes: [last.a], weights: [1] }
  if (last?.do !== 'weightedSum' || last.out !== out || last.planes.length > PLANES_MAX) return undefined
  const count = last.planes.length
  let first = steps.length - 1
  while (steps[first - 1]?.do === 'finite') first--
  const widened = steps.slice(first - count, first).map((step) => (step.do === 'widen' ? step : undefined))
  const own = steps.slice(first - count)
  const planes = last.planes.map((plane) => widened.findLast((step) => step?.out === plane)?.a)
  const isWhole = widened.length === count && planes.every((plane) => plane !== undefined)
  if (!isWhole || !own.every((step) => step.do !== 'finite' || last.planes.includes(step.a))) return undefined
  // what each is widened from is as it was before the first
  const isLate = widened.some((step, i) => widened.slice(0, i).some((before) => before?.out === step?.a))
  if (isLate) return undefined
  return { before: steps.slice(0, first - count), own, planes, weights: last.weights }
}
