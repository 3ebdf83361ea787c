/** From schedules to programs that kernels run in one go, where they can. */
import { isFused, type ProgramStep, type StripProgram } from '../../kernels/strip-program.ts'
import type { Dtype } from '../../tensors/dtypes.ts'
import type { StreamRef } from './evaluation.ts'
import type { Masks } from './masks.ts'
import type { Schedule, Step } from './schedule.ts'

export interface Compilable {
  readonly program: StripProgram
  readonly streams: readonly StreamRef[]
  /** Of each mask of the program: its place among those that are kept. */
  readonly masks: readonly number[]
  /** Totals that are those of others, once a run has ended. */
  readonly copies: readonly Copy[]
}

interface Copy {
  readonly from: Float64Array
  readonly to: Float64Array
}

/** Masks that there is room for are drawn to be kept, or are there already. */
export interface MaskUse {
  readonly masks: Pick<Masks, 'placeOf'>
  readonly use: 'draw' | 'recall'
}

/** Undefined where a step has no word in programs. `dtype`: of the output, where the schedule has one. */
export function programOf<B>(
  { steps, constants, buffers, output }: Schedule<B>,
  dtypeOf: (stream: StreamRef) => Dtype,
  dtype: Dtype | undefined,
  use?: MaskUse,
): Compilable | undefined {
  const streams: StreamRef[] = []
  const masks: number[] = []
  const made: ProgramStep[] = []
  const copies: Copy[] = []
  for (const step of steps) {
    const words = (use && wordsForDrop(step, use, masks)) ?? wordsFor(step, streams)
    if (!words) return undefined
    const joined = joinedSums(made.at(-1), words)
    if (!joined) made.push(...words)
    else {
      made[made.length - 1] = joined.step
      copies.push(...joined.copies)
    }
  }
  if (output !== undefined) made.push({ do: 'write', a: output })
  const program = { steps: made, constants, buffers, streams: streams.map(dtypeOf), dtype, masks: masks.length }
  return { program, streams, masks, copies }
}

/** One step in place of two that sum the same: what a mask of all elements leaves of a change, after all of it. */
function joinedSums(before: ProgramStep | undefined, words: readonly ProgramStep[]) {
  const [after] = words
  if (words.length !== 1 || before?.do !== 'measure' || after?.do !== 'measure') return undefined
  const [one, other] = [before.measure, after.measure]
  if (one.measure !== 'sums' || other.measure !== 'sums' || one.op !== other.op) return undefined
  const shape = (step: typeof after) => [step.narrow, ...step.planes].join()
  if (shape(before) !== shape(after) || one.pairs.join() !== other.pairs.join()) return undefined
  if (!one.tellBlocks || !other.tellBlocks)
    return one.tellBlocks || other.tellBlocks
      ? undefined
      : { step: before, copies: [{ from: one.totals, to: other.totals }] }
  const tellBlocks = (sums: Float64Array): void => {
    one.tellBlocks!(sums)
    other.tellBlocks!(sums)
  }
  return { step: { ...before, measure: { ...one, tellBlocks } }, copies: [] }
}

/** Undefined where it is none of these masks. Each is drawn once. */
function wordsForDrop<B>(step: Step<B>, { masks, use }: MaskUse, places: number[]): readonly ProgramStep[] | undefined {
  const place = step.do === 'drop' ? masks.placeOf(step.key, step.probability) : undefined
  if (step.do !== 'drop' || place === undefined) return undefined
  const { key, probability, a, out } = step
  const known = places.indexOf(place)
  const mask = known < 0 ? places.push(place) - 1 : known
  const pick = { do: 'pick', mask, a, out } as const
  return use === 'recall' || known >= 0 ? [pick] : [{ do: 'draw', key, probability, mask }, pick]
}

function wordsFor<B>(step: Step<B>, streams: StreamRef[]): readonly ProgramStep[] | undefined {
  if (isFused(step)) return [step]
  switch (step.do) {
    case 'read':
      return [{ do: 'read', stream: streams.push(step.stream) - 1, narrow: step.narrow === true, out: step.out }]
    case 'weightedSum': {
      const { planes, weights, out } = step
      const checks = (step.origin ? planes : []).map((a) => ({ do: 'finite', a }) as const)
      return [...checks, { do: 'weightedSum', planes, weights, out }]
    }
    case 'sink': {
      const measure = step.sink.measure?.(step.offset)
      if (measure?.measure === 'nth' && !step.narrow) return undefined
      return measure && [{ do: 'measure', measure, planes: step.planes, narrow: step.narrow === true }]
    }
    case 'aboveCutoff':
      return step.ties ? undefined : [step]
    case 'accumulated':
    case 'clear':
    case 'add':
    case 'addScaled':
    case 'total':
      return undefined
    case 'binary':
    case 'unary':
    case 'compare':
    case 'choose':
    case 'keep':
    case 'sort':
      return [step]
  }
}
