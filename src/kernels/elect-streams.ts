/**
 * Programs that are nothing but what three streams of bf16 elect of their changes to a base, added to that and written: the compiled
 * kernels have one step for all of this (assembly/elect-streams.ts), which goes before the others and stands for them where it can.
 */
import type { Ending } from './elect-onto.ts'
import type { ProgramStep, StripProgram } from './strip-program.ts'

type StepOf<Do extends ProgramStep['do']> = Extract<ProgramStep, { readonly do: Do }>
type Left = StepOf<'trim'> | StepOf<'trimInTurn'> | StepOf<'pick'>

export interface StreamChange {
  readonly stream: number
  /** What is left of the change; all of it where there is none. */
  readonly left: Left | undefined
}

export interface ElectStreams {
  readonly base: number
  readonly changes: readonly StreamChange[]
  /** Whether changes are whole, trimmed or picked. */
  readonly mode: number
  /** How far off votes and results may be, in parts of the side that won; the least weight; factors; weights. */
  readonly plan: readonly number[]
}

const [WHOLE, TRIMMED, PICKED] = [0, 1, 2] as const

/** What a plane holds. */
type Held = { readonly stream: number; readonly change?: true; readonly base?: number; readonly left?: Left }

/** Of infinity: no cutoff below leaves out what is not finite. */
const INFINITY_KEY = 0x7f800000
/**
 * An error is held against the distance of a result to the middle that is nearest by its code: the result is rounded too, and below
 * a power of two the next middle is half as far away.
 */
const ROOM = 4

export function electStreamsOf({ steps, streams }: StripProgram, ending: Ending | undefined): ElectStreams | undefined {
  if (!ending?.proof || streams.length !== 4 || !streams.every((dtype) => dtype === 'BF16')) return undefined
  const planes = held(steps.filter((step) => !ending.steps.has(step)))
  const base = planes?.get(ending.base)
  const found = ending.elect.planes.map((plane) => planes?.get(plane))
  if (!base || base.change || found.some((one) => one?.change !== true || one.base !== base.stream)) return undefined
  const changes = found.map((one) => ({ stream: one!.stream, left: one!.left }))
  const modes = new Set(changes.map(({ left }) => (left === undefined ? WHOLE : left.do === 'pick' ? PICKED : TRIMMED)))
  const [mode] = modes
  if (mode === undefined || modes.size > 1) return undefined
  if (changes.some(({ left }) => left && left.do !== 'pick' && left.key >= INFINITY_KEY)) return undefined
  const [ofVote, ofResult, least, ...rest] = ending.proof.plan as [number, number, number, ...number[]]
  const share = Math.max(ofVote, ending.elect.divisors ? ofResult / least : ofResult)
  return { base: base.stream, changes, mode, plan: [ROOM * share, least, ...rest] }
}

/** What planes hold in the end; undefined where a step is another. */
function held(steps: readonly ProgramStep[]): ReadonlyMap<number, Held> | undefined {
  const planes = new Map<number, Held>()
  for (const step of steps) {
    if (step.do === 'read' && step.narrow) planes.set(step.out, { stream: step.stream })
    else if (step.do === 'change') {
      const [a, b] = [planes.get(step.a), planes.get(step.b)]
      if (!a || !b || a.change || b.change || a.stream === b.stream) return undefined
      planes.set(step.out, { stream: a.stream, change: true, base: b.stream })
    } else if (step.do === 'trim' || step.do === 'trimInTurn' || step.do === 'pick') {
      const from = planes.get(step.a)
      if (!from?.change || from.left) return undefined
      planes.set(step.out, { ...from, left: step })
    } else return undefined
  }
  return planes
}
