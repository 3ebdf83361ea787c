/**
 * What a tensor of a merge follows from, as one digest: a result that is known under it need not be computed. Keys are a
 * shortcut of this program and never leave the machine, hence a label of their own, outside the domains of shared ids.
 */
import { compareUtf8, utf8 } from '../core/bytes.ts'
import { type Canonical, canonicalBytes, canonicalText } from '../core/canonical.ts'
import { sha256Hex } from '../core/digest.ts'
import { at, invariant } from '../core/invariant.ts'
import { NUMERIC_PROFILE } from '../core/numeric-profile.ts'
import type { Needs, Strategy } from '../core/strategy.ts'
import { RuleFacts } from './memory.ts'
import type { MergeRule, MergeTask, RuleInput, TaskTensor, TensorOutcome, TensorSlice } from './task.ts'

const LABEL = utf8('tributary local tensor result 1\0')

export interface TensorKeys {
  /** Of the bytes, whatever order the inputs come in, where the strategy leaves no trace of it. */
  readonly anyOrder: string
  /** Of the scalars too, which are told input by input. */
  readonly thisOrder: string
  /** Tensors that are measured together: all of them are known, or all are computed. */
  readonly group?: string
}

/** Under which key a result can be found again: one scalar is the same in any order. */
export const keyOf = ({ anyOrder, thisOrder }: TensorKeys, { scalars }: Pick<TensorOutcome, 'scalars'>): string =>
  scalars.length > 1 ? thisOrder : anyOrder

type Merged = TaskTensor & { readonly rule: MergeRule }

/** By name; copied tensors have none, nor have those that read what nobody has named by its root. */
export function tensorKeys(task: MergeTask, strategies: readonly Strategy[]): ReadonlyMap<string, TensorKeys> {
  const facts = new RuleFacts(strategies)
  const strategyOf = (id: string): Strategy => {
    const strategy = strategies.find((one) => one.id === id)
    invariant(strategy, `${id} is a strategy of this program`)
    return strategy
  }
  const merged = task.tensors.filter((tensor): tensor is Merged => tensor.rule.kind === 'merge')
  const keys = new Map<string, TensorKeys>()
  const groups = new Map<string, Merged[]>()
  for (const tensor of merged) {
    if (facts.of(tensor.rule).wholeModel) {
      const { strategy } = tensor.rule
      groups.set(strategy, [...(groups.get(strategy) ?? []), tensor])
    } else if (streamsOf(tensor.rule).every(hasRoot)) {
      const strategy = strategyOf(tensor.rule.strategy)
      const thisOrder = digest(described(task, tensor, strategy, 'this order'))
      const free = strategy.laws.order === 'free'
      keys.set(tensor.name, {
        thisOrder,
        anyOrder: free ? digest(described(task, tensor, strategy, 'any order')) : thisOrder,
      })
    }
  }
  for (const [group, tensors] of groups) {
    if (!tensors.every(({ rule }) => streamsOf(rule).every(hasRoot))) continue
    const sorted = [...tensors].sort((a, b) => compareUtf8(a.name, b.name))
    // which input a stream belongs to counts here: what is measured of one input runs over all tensors
    const members = sorted.map((tensor) => [
      digest(described(task, tensor, strategyOf(group), 'this order')),
      tensor.rule.inputs.map(({ input }) => input),
    ])
    const together = digest(members)
    for (const [index, { name }] of sorted.entries()) {
      const key = digest([together, index])
      keys.set(name, { anyOrder: key, thisOrder: key, group })
    }
  }
  return keys
}

const digest = (value: Canonical): string => sha256Hex(LABEL, canonicalBytes(value))

const streamsOf = ({ base, inputs }: MergeRule): readonly TensorSlice[] => [
  ...(base ? [base] : []),
  ...inputs.flatMap(({ value, sidecars }) => [value, ...Object.values(sidecars ?? {})]),
]
const hasRoot = ({ root }: TensorSlice): boolean => root !== undefined

function described(
  { inputs, seed }: MergeTask,
  { name, shape, dtype, rule }: Merged,
  strategy: Strategy,
  order: 'any order' | 'this order',
): Canonical {
  const random = (strategy.needs as Needs).stochastic === true
  const ofInput = ({ input, weight, params, value, sidecars = {} }: RuleInput): Canonical => {
    const { content, role } = at(inputs, input)
    return {
      value: stream(value),
      weight: plain(weight),
      params: plain(params),
      ...(role !== undefined && { role }),
      ...(random && { content }),
      sidecars: pairsOf(sidecars).map(([kind, slice]) => [kind, stream(slice)]),
    }
  }
  const each = rule.inputs.map(ofInput)
  if (order === 'any order') each.sort((a, b) => compareUtf8(canonicalText(a), canonicalText(b)))
  return {
    numeric_profile: NUMERIC_PROFILE,
    strategy: strategy.id,
    version: strategy.version,
    params: plain(rule.params),
    shape: [...shape],
    dtype,
    ...(rule.base && { base: stream(rule.base) }),
    inputs: each,
    ...(random && { seed, name }),
  }
}

function stream({ root, dtype }: TensorSlice): Canonical {
  invariant(root, 'a stream of a key has a root')
  return [root, dtype]
}

const pairsOf = <T>(record: Readonly<Record<string, T>>): readonly (readonly [string, T])[] =>
  Object.entries(record).sort(([a], [b]) => compareUtf8(a, b))

/** Parameters as canonical JSON, which has neither fractions nor fields that are there and undefined. */
function plain(value: unknown): Canonical {
  if (typeof value === 'number') return ['number', Object.is(value, -0) ? '-0' : String(value)]
  if (Array.isArray(value)) return ['list', ...value.map(plain)]
  if (typeof value !== 'object' || value === null) return typeof value === 'boolean' ? value : String(value)
  const fields = pairsOf(value as Record<string, unknown>).filter(([, field]) => field !== undefined)
  return ['record', ...fields.map(([name, field]) => [name, plain(field)])]
}
