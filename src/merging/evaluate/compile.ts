/** From schedules to programs that kernels run in one go, where they can. */
import { isFused, type ProgramStep, type StripProgram } from '../../kernels/strip-program.ts'
import type { Dtype } from '../../tensors/dtypes.ts'
import type { StreamRef } from './evaluation.ts'
import type { Schedule, Step } from './schedule.ts'

export interface Compilable {
  readonly program: StripProgram
  readonly streams: readonly StreamRef[]
}

/** Undefined where a step has no word in programs. `dtype`: of the output, where the schedule has one. */
export function programOf<B>(
  { steps, constants, buffers, output }: Schedule<B>,
  dtypeOf: (stream: StreamRef) => Dtype,
  dtype: Dtype | undefined,
): Compilable | undefined {
  const streams: StreamRef[] = []
  const made: ProgramStep[] = []
  for (const step of steps) {
    const words = wordsFor(step, streams)
    if (!words) return undefined
    made.push(...words)
  }
  if (output !== undefined) made.push({ do: 'write', a: output })
  return { program: { steps: made, constants, buffers, streams: streams.map(dtypeOf), dtype }, streams }
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
