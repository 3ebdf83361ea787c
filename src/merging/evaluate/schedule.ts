/**
 * A schedule: the steps that compute some planes of a program strip by strip, each naming the buffers it works on. Buffers
 * are dealt out by last use, so a schedule needs as many as are alive at once, whatever the tensor's size.
 */
import type { Computation, Fused } from '../../kernels/strip-program.ts'
import type { StreamRef } from './evaluation.ts'
import type { Sink } from './sinks.ts'

/** Whose each plane is, where it is one contribution's alone. */
export type Origin = readonly (number | undefined)[]

/** Numbers in a step name values while it is built, and buffers once it is laid out. */
export type Step<B> =
  | Computation
  | Fused
  | {
      readonly do: 'read'
      readonly stream: StreamRef
      readonly check: boolean
      readonly narrow?: true
      readonly out: number
    }
  | { readonly do: 'accumulated'; readonly site: number; readonly part: string; readonly out: number }
  | {
      readonly do: 'weightedSum'
      readonly planes: readonly number[]
      readonly weights: readonly number[]
      readonly origin: Origin | undefined
      readonly out: number
    }
  | { readonly do: 'clear'; readonly sums: number }
  | {
      readonly do: 'add'
      readonly sums: number
      readonly a: number
      readonly weight: number
      readonly origin: Origin | undefined
    }
  | {
      readonly do: 'addScaled'
      readonly sums: number
      readonly a: number
      readonly by: number
      readonly origin: Origin | undefined
    }
  | { readonly do: 'total'; readonly sums: number; readonly out: number }
  | {
      readonly do: 'sink'
      readonly sink: Sink<B>
      readonly offset: number
      readonly planes: readonly number[]
      readonly narrow?: true
      readonly origin: Origin
    }

export interface Schedule<B> {
  readonly steps: readonly Step<B>[]
  /** Buffers filled once, before the first strip. */
  readonly constants: readonly { readonly buffer: number; readonly value: number }[]
  readonly buffers: number
  readonly sums: number
  /** The buffer of the plane that was asked for, if one was. */
  readonly output: number | undefined
}

export function usesOf(step: Step<unknown>): readonly number[] {
  switch (step.do) {
    case 'read':
    case 'accumulated':
    case 'clear':
    case 'total':
      return []
    case 'binary':
    case 'compare':
    case 'change':
      return [step.a, step.b]
    case 'unary':
    case 'keep':
    case 'aboveCutoff':
    case 'addScaled':
    case 'widen':
    case 'narrow':
    case 'scale':
    case 'trim':
    case 'trimInTurn':
    case 'drop':
      return [step.a]
    case 'add':
      return [step.a, step.weight]
    case 'choose':
      return [step.mask, step.a, step.b]
    case 'weightedSum':
    case 'sort':
    case 'votes':
    case 'elect':
    case 'sink':
      return step.planes
  }
}

export const makesOf = (step: Step<unknown>): readonly number[] =>
  step.do === 'sort' || step.do === 'votes' ? step.outs : 'out' in step ? [step.out] : []

/** Element by element, so the result may be written over an operand. */
const inPlace = (step: Step<unknown>): boolean =>
  step.do === 'binary' ||
  step.do === 'unary' ||
  step.do === 'compare' ||
  step.do === 'choose' ||
  step.do === 'aboveCutoff' ||
  step.do === 'change' ||
  step.do === 'scale' ||
  step.do === 'trim' ||
  step.do === 'trimInTurn' ||
  step.do === 'drop'

function renamed<B>(step: Step<B>, to: (value: number) => number): Step<B> {
  switch (step.do) {
    case 'read':
    case 'accumulated':
    case 'total':
      return { ...step, out: to(step.out) }
    case 'binary':
    case 'compare':
    case 'change':
      return { ...step, a: to(step.a), b: to(step.b), out: to(step.out) }
    case 'unary':
    case 'keep':
    case 'aboveCutoff':
    case 'widen':
    case 'narrow':
    case 'scale':
    case 'trim':
    case 'trimInTurn':
    case 'drop':
      return { ...step, a: to(step.a), out: to(step.out) }
    case 'choose':
      return { ...step, mask: to(step.mask), a: to(step.a), b: to(step.b), out: to(step.out) }
    case 'weightedSum':
    case 'elect':
      return { ...step, planes: step.planes.map(to), out: to(step.out) }
    case 'clear':
      return step
    case 'add':
      return { ...step, a: to(step.a), weight: to(step.weight) }
    case 'addScaled':
      return { ...step, a: to(step.a) }
    case 'sort':
    case 'votes':
      return { ...step, planes: step.planes.map(to), outs: step.outs.map(to) }
    case 'sink':
      return { ...step, planes: step.planes.map(to) }
  }
}

/** Deals out buffers: one is free again after the last step that reads it. Constants keep theirs. */
export function layOut<B>(
  steps: readonly Step<B>[],
  constants: ReadonlyMap<number, number>,
  sums: number,
  output: number | undefined,
): Schedule<B> {
  const lastUse = new Map<number, number>()
  steps.forEach((step, i) => {
    for (const value of makesOf(step)) lastUse.set(value, i)
    for (const value of usesOf(step)) lastUse.set(value, i)
  })
  if (output !== undefined) lastUse.set(output, steps.length)

  const place = new Map<number, number>()
  const free: number[] = []
  let buffers = 0
  const take = (value: number) => place.set(value, free.pop() ?? buffers++)
  for (const value of constants.keys()) take(value)

  const laid = steps.map((step, i) => {
    const release = (values: readonly number[]) => {
      for (const value of new Set(values))
        if (lastUse.get(value) === i && !constants.has(value)) free.push(place.get(value)!)
    }
    const made = makesOf(step)
    if (inPlace(step)) release(usesOf(step))
    const before = new Map(usesOf(step).map((value) => [value, place.get(value)!]))
    for (const value of made) take(value)
    if (!inPlace(step)) release(usesOf(step))
    release(made)
    return renamed(step, (value) => (made.includes(value) ? place.get(value)! : before.get(value)!))
  })
  return {
    steps: laid,
    constants: [...constants].map(([value, number]) => ({ buffer: place.get(value)!, value: number })),
    buffers,
    sums,
    output: output === undefined ? undefined : place.get(output)!,
  }
}
