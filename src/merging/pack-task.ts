/**
 * A task on its way to a thread: rules that many tensors share once, paths once, and the rest as numbers side by side. A list
 * of objects takes a hundred times as long to cross, for each thread again.
 */
import { at, invariant } from '../core/invariant.ts'
import { DTYPES, type Dtype } from '../tensors/dtypes.ts'
import type { CopyRule, MergeRule, MergeTask, RuleInput, Slice, TaskTensor, TensorSlice } from './task.ts'

export interface PackedTask extends Omit<MergeTask, 'tensors'> {
  readonly tensors: {
    readonly names: readonly string[]
    readonly paths: readonly string[]
    readonly rules: readonly PackedRule[]
    /** Of each tensor: rule, dtype, target, dimensions, then the slices that its rule reads. */
    readonly numbers: Float64Array
    /** Of tensors with something to recall, that, and the roots of their slices. */
    readonly recalled: readonly (readonly [
      tensor: number,
      recalled: TaskTensor['recalled'],
      roots: readonly (string | undefined)[],
    ])[]
  }
}

/** All of a rule but slices; the one that copies has no inputs and no strategy. */
type PackedRule =
  | { readonly kind: 'copy' }
  | (Omit<MergeRule, 'base' | 'inputs'> & {
      readonly hasBase: boolean
      readonly inputs: readonly (Omit<RuleInput, 'value' | 'sidecars'> & { readonly kinds: readonly string[] })[]
    })

const CODES = Object.keys(DTYPES) as readonly Dtype[]
const NO_KINDS: readonly string[] = []

const slicesOf = (rule: CopyRule | MergeRule): readonly TensorSlice[] =>
  rule.kind === 'copy'
    ? [rule.from]
    : [
        ...(rule.base ? [rule.base] : []),
        ...rule.inputs.flatMap(({ value, sidecars }) => (sidecars ? [value, ...Object.values(sidecars)] : [value])),
      ]

/** Numbers for values, in the order in which they come. */
class Numbering<T> {
  readonly all: T[] = []
  readonly #known = new Map<T, number>()
  of(value: T): number {
    let number = this.#known.get(value)
    if (number === undefined) {
      number = this.all.push(value) - 1
      this.#known.set(value, number)
    }
    return number
  }
}

export function packTask({ tensors, ...task }: MergeTask): PackedTask {
  const paths = new Numbering<string>()
  const params = new Numbering<unknown>()
  const rules = new Map<string, number>()
  const packed: PackedRule[] = []
  const numbers: number[] = []
  let latest: { readonly rule: TaskTensor['rule']; readonly number: number } | undefined
  const ruleOf = (rule: TaskTensor['rule']): number => {
    if (!latest || !isAlike(latest.rule, rule)) latest = { rule, number: numberOf(rule) }
    return latest.number
  }
  const numberOf = (rule: TaskTensor['rule']): number => {
    const key = keyOf(rule, params)
    let known = rules.get(key)
    if (known === undefined) rules.set(key, (known = packed.push(withoutSlices(rule)) - 1))
    return known
  }
  const recalled = tensors.flatMap((tensor, i) => {
    const { rule, dtype, target, shape } = tensor
    const slices = slicesOf(rule)
    numbers.push(ruleOf(rule), CODES.indexOf(dtype), paths.of(target.path), target.offset, target.bytes)
    numbers.push(shape.length, ...shape)
    for (const slice of slices)
      numbers.push(paths.of(slice.path), slice.offset, slice.bytes, CODES.indexOf(slice.dtype))
    return tensor.recalled ? [[i, tensor.recalled, slices.map(({ root }) => root)] as const] : []
  })
  const names = tensors.map(({ name }) => name)
  return { ...task, tensors: { names, paths: paths.all, rules: packed, numbers: Float64Array.from(numbers), recalled } }
}

/** As `keyOf` has them, of rules without sidecars; most follow one like them. */
const isAlike = (a: TaskTensor['rule'], b: TaskTensor['rule']): boolean =>
  a.kind === 'merge' &&
  b.kind === 'merge' &&
  a.strategy === b.strategy &&
  a.params === b.params &&
  (a.base === undefined) === (b.base === undefined) &&
  a.inputs.length === b.inputs.length &&
  a.inputs.every(({ input, weight, params, sidecars }, i) => {
    const other = b.inputs[i]!
    const isBare = sidecars === undefined && other.sidecars === undefined
    return isBare && input === other.input && Object.is(weight, other.weight) && params === other.params
  })

function keyOf(rule: TaskTensor['rule'], params: Numbering<unknown>): string {
  if (rule.kind === 'copy') return ''
  let key = `${rule.strategy} ${params.of(rule.params)} ${rule.base !== undefined}`
  for (const { input, weight, params: own, sidecars } of rule.inputs)
    key += ` ${input}/${Object.is(weight, -0) ? '-0' : weight}/${params.of(own)}/${sidecars ? Object.keys(sidecars).join() : ''}`
  return key
}

function withoutSlices(rule: TaskTensor['rule']): PackedRule {
  if (rule.kind === 'copy') return { kind: 'copy' }
  const { base, inputs, ...own } = rule
  return {
    ...own,
    hasBase: base !== undefined,
    inputs: inputs.map(({ input, weight, params, sidecars }) => {
      const kinds = sidecars ? Object.keys(sidecars) : NO_KINDS
      return { input, weight, params, kinds }
    }),
  }
}

export function unpackTask({ tensors: { names, paths, rules, numbers, recalled }, ...task }: PackedTask): MergeTask {
  let next = 0
  const take = (): number => numbers[next++]!
  const slice = (): Slice => ({ path: at(paths, take()), offset: take(), bytes: take() })
  const more = new Map(recalled.map(([tensor, known, roots]) => [tensor, { known, roots }]))
  const tensors = names.map((name, i): TaskTensor => {
    const { known, roots } = more.get(i) ?? {}
    let read = 0
    const tensorSlice = (): TensorSlice => {
      const own = { path: at(paths, take()), offset: take(), bytes: take(), dtype: at(CODES, take()) }
      const root = roots?.[read++]
      return root === undefined ? own : { ...own, root }
    }
    const rule = at(rules, take())
    const dtype = at(CODES, take())
    const target = slice()
    const shape = Array.from({ length: take() }, take)
    const elements = shape.reduce((product, length) => product * length, 1)
    const tensor = { name, shape, elements, dtype, target, rule: withSlices(rule, tensorSlice) }
    return known === undefined ? tensor : { ...tensor, recalled: known }
  })
  invariant(next === numbers.length, 'a task crosses whole')
  return { ...task, tensors }
}

function withSlices(rule: PackedRule, slice: () => TensorSlice): TaskTensor['rule'] {
  if (rule.kind === 'copy') return { kind: 'copy', from: slice() }
  const { kind, strategy, params, hasBase, inputs } = rule
  const base = hasBase ? { base: slice() } : {}
  const ruleInputs = inputs.map(({ input, weight, params: own, kinds }): RuleInput => {
    const whole = { input, weight, params: own, value: slice() }
    return kinds.length === 0
      ? whole
      : { ...whole, sidecars: Object.fromEntries(kinds.map((sidecar) => [sidecar, slice()])) }
  })
  return { kind, strategy, params, ...base, inputs: ruleInputs }
}
