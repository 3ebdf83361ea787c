/**
 * A pass over the steps of a program, before planes are dealt out: what holds f32 values is kept as f32 where the kernels
 * have words for it (changes to a base, and what trimming or dropping leaves of them). No bit changes.
 */
import { isFused } from '../../kernels/strip-program.ts'
import { keepBelow } from '../../kernels/reference.ts'
import { makesOf, type Step, usesOf } from './schedule.ts'

type Value = number

/** `fresh` names a new value. */
export function narrowed<B>(
  steps: readonly Step<B>[],
  constants: ReadonlyMap<Value, number>,
  fresh: () => Value,
): readonly Step<B>[] {
  const makers = new Map<Value, Step<B>>()
  for (const step of steps) if ('out' in step) makers.set(step.out, step)
  const narrow = new Set<Value>()
  const taken = new Map<Step<B>, Step<B>>()

  /** A change of narrow planes, or what is left of one. */
  function narrowForm(step: Step<B>): Step<B> | undefined {
    if (step.do === 'unary' && step.op === 'f32') {
      const from = makers.get(step.a)
      if (from?.do !== 'binary') return undefined
      const { op, a, b } = from
      if (op === 'minus' && [a, b].every((value) => makers.get(value)?.do === 'read'))
        return { do: 'change', a, b, out: step.out }
      const by = constants.get(b)
      return (op === 'times' || op === 'over') && by !== undefined && narrow.has(a)
        ? { do: 'scale', op, a, by, out: step.out }
        : undefined
    }
    if (step.do !== 'choose' || !narrow.has(step.a) || constants.get(step.b) !== 0) return undefined
    const mask = makers.get(step.mask)
    if (mask?.do === 'aboveCutoff' && mask.a === step.a) {
      const { a, key, ties } = mask
      return ties ? { do: 'trimInTurn', a, key, ties, out: step.out } : { ...mask, do: 'trim', out: step.out }
    }
    const probability = mask?.do === 'keep' ? constants.get(mask.a) : undefined
    if (mask?.do !== 'keep' || probability === undefined || keepBelow(probability) === 2 ** 32) return undefined
    return { do: 'drop', key: mask.key, probability, a: step.a, out: step.out }
  }

  for (const step of steps) {
    const form = narrowForm(step)
    if (!form) continue
    taken.set(step, form)
    if ('out' in form) narrow.add(form.out)
    if (form.do === 'change') for (const stream of [form.a, form.b]) narrow.add(stream)
  }
  for (const step of steps) {
    if (step.do !== 'sink' || step.sink.narrow !== true) continue
    const planes = step.planes.map((value) => [value, makers.get(value)] as const)
    if (planes.every(([value, maker]) => narrow.has(value) || maker?.do === 'read'))
      for (const [value] of planes) narrow.add(value)
  }
  const wide = new Map<Value, Value>()
  const made: Step<B>[] = []
  const widened = (value: Value): Value => {
    if (!narrow.has(value)) return value
    let out = wide.get(value)
    if (out === undefined) {
      out = fresh()
      wide.set(value, out)
      made.push({ do: 'widen', a: value, out })
    }
    return out
  }
  /** As a narrow plane. */
  const kept = (value: Value): Value => {
    if (narrow.has(value)) return value
    const out = fresh()
    made.push({ do: 'narrow', a: value, out })
    return out
  }
  for (const step of steps) {
    const form = taken.get(step)
    if (form) made.push(form)
    else if (step.do === 'read') made.push(narrow.has(step.out) ? { ...step, narrow: true } : step)
    else if (step.do === 'sink' && step.sink.narrow === true && step.planes.every((value) => narrow.has(value)))
      made.push({ ...step, narrow: true })
    else if (step.do === 'votes' || step.do === 'elect') made.push({ ...step, planes: step.planes.map(kept) })
    else made.push(withOperands(step, widened))
  }
  return made
}

/** Without the steps that make what nothing uses. */
export function used<B>(steps: readonly Step<B>[], output: Value | undefined): readonly Step<B>[] {
  const wanted = new Set<Value>(output === undefined ? [] : [output])
  const left: Step<B>[] = []
  for (const step of steps.toReversed()) {
    const makes = makesOf(step)
    if (makes.length > 0 && !makes.some((value) => wanted.has(value))) continue
    left.push(step)
    for (const value of usesOf(step)) wanted.add(value)
  }
  return left.reverse()
}

/** Widens where that is first asked for, so that a step may take narrow planes and what they are added to. */
export function widenedLate<B>(steps: readonly Step<B>[]): readonly Step<B>[] {
  const waiting = new Map<Value, Step<B>>()
  const made = steps.flatMap((step) => {
    if (step.do === 'widen') {
      waiting.set(step.out, step)
      return []
    }
    const wanted = usesOf(step).flatMap((value) => waiting.get(value) ?? [])
    for (const value of usesOf(step)) waiting.delete(value)
    return [...new Set(wanted), step]
  })
  return [...made, ...waiting.values()]
}

function withOperands<B>(step: Step<B>, to: (value: Value) => Value): Step<B> {
  if (isFused(step)) return step
  switch (step.do) {
    case 'binary':
    case 'compare':
      return { ...step, a: to(step.a), b: to(step.b) }
    case 'choose':
      return { ...step, mask: to(step.mask), a: to(step.a), b: to(step.b) }
    case 'unary':
    case 'keep':
    case 'aboveCutoff':
    case 'addScaled':
      return { ...step, a: to(step.a) }
    case 'add':
      return { ...step, a: to(step.a), weight: to(step.weight) }
    case 'weightedSum':
    case 'sort':
    case 'sink':
      return { ...step, planes: step.planes.map(to) }
    case 'read':
    case 'accumulated':
    case 'clear':
    case 'total':
      return step
  }
}
