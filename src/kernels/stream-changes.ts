/**
 * A pass over the steps of a program: where a stream is read only for its change to a base, and that only for what a mask leaves of
 * it, or only to be summed with that, the compiled kernels have one step for all of this (assembly/changes.ts).
 */
import type { Measure, ProgramStep, StripProgram } from './strip-program.ts'

type StepOf<Do extends ProgramStep['do']> = Extract<ProgramStep, { readonly do: Do }>
type Sums = Extract<Measure, { readonly measure: 'sums' }>

export type ChangeStep =
  | {
      readonly do: 'readChange'
      readonly stream: number
      readonly base: number
      readonly mask: number | undefined
      readonly out: number
    }
  /** Of all of a change, and of what is kept of it; `spare` is a plane that may be written over. */
  | {
      readonly do: 'sumChanges'
      readonly stream: number
      readonly base: number
      readonly mask: number
      readonly all: Sums
      readonly kept: Sums
      readonly spare: number
    }

export function withStreamChanges({ steps, streams }: StripProgram): readonly (ProgramStep | ChangeStep)[] {
  const taken = new Map<number, readonly (ProgramStep | ChangeStep)[]>()
  for (let at = 0; at < steps.length; at++) {
    const step = steps[at]!
    if (step.do !== 'change' || step.a === step.b) continue
    const from = readOf(steps, at, step.a)
    const read = from === undefined ? undefined : (steps[from] as StepOf<'read'>)
    const dtype = read && streams[read.stream]
    if (from === undefined || !read || (dtype !== 'F32' && dtype !== 'BF16')) continue
    if (step.out !== step.a && isWanted(steps, at + 1, step.a)) continue
    taken.set(from, [])
    const change = { stream: read.stream, base: step.b }
    const sums = summed(steps, at + 1, step.out)
    if (sums) {
      const { draw, pick, all, kept } = sums
      // the base may be where the change would have been: who comes later asks for neither
      const spare = step.a
      taken.set(at, [...(draw ? [draw] : []), { do: 'sumChanges', ...change, mask: pick.mask, all, kept, spare }])
      for (let i = 1; i <= sums.count; i++) taken.set(at + i, [])
      at += sums.count
      continue
    }
    const pick = steps[at + 1]
    const isPicked =
      pick?.do === 'pick' && pick.a === step.out && (pick.out === pick.a || !isWanted(steps, at + 2, pick.a))
    const own = isPicked ? { mask: pick.mask, out: pick.out } : { mask: undefined, out: step.out }
    taken.set(at, [{ do: 'readChange', ...change, ...own }])
    if (isPicked) taken.set(at + 1, [])
  }
  return steps.flatMap((step, at) => taken.get(at) ?? [step])
}

/** Where the narrow plane that step `at` looks at was read, if nothing has looked at it since. */
function readOf(steps: readonly ProgramStep[], at: number, plane: number): number | undefined {
  for (let i = at - 1; i >= 0; i--) {
    const step = steps[i]!
    if (step.do === 'read' && step.out === plane) return step.narrow ? i : undefined
    if (looksAt(step, plane) || makes(step, plane)) return undefined
  }
  return undefined
}

/** From step `at` on: sums of a plane, and the same of what a mask leaves of it, neither of which is wanted later. */
function summed(steps: readonly ProgramStep[], at: number, plane: number) {
  const first = steps[at]
  const drawn = steps[at + 1]
  const draw = drawn?.do === 'draw' ? drawn : undefined
  const count = draw ? 4 : 3
  const pick = steps[at + count - 2]
  const last = steps[at + count - 1]
  if (pick?.do !== 'pick' || pick.a !== plane) return undefined
  const all = sumsOf(first, plane)
  const kept = sumsOf(last, pick.out)
  if (!all || !kept || all.op !== kept.op) return undefined
  if ([plane, pick.out].some((one) => isWanted(steps, at + count, one))) return undefined
  return { draw, pick, all, kept, count }
}

function sumsOf(step: ProgramStep | undefined, plane: number): Sums | undefined {
  if (step?.do !== 'measure' || !step.narrow || step.planes.length !== 1 || step.planes[0] !== plane) return undefined
  const { measure } = step
  return measure.measure === 'sums' && (measure.op === 'l1' || measure.op === 'l2') ? measure : undefined
}

/** Whether a step from `at` on looks at this plane before another makes it anew. */
function isWanted(steps: readonly ProgramStep[], at: number, plane: number): boolean {
  for (const step of steps.slice(at)) {
    if (looksAt(step, plane)) return true
    if (makes(step, plane)) return false
  }
  return false
}

function looksAt(step: ProgramStep, plane: number): boolean {
  if ('planes' in step && step.planes.includes(plane)) return true
  if (step.do === 'choose' && step.mask === plane) return true
  return ('a' in step && step.a === plane) || ('b' in step && step.b === plane)
}

const makes = (step: ProgramStep, plane: number): boolean =>
  ('out' in step && step.out === plane) || ('outs' in step && step.outs.includes(plane))
