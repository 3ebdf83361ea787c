/**
 * From a resolved merge to the task a merger runs: for every tensor its rule, where its streams lie and where its output
 * goes. Parameters and weights are prepared here, so what a strategy refuses is refused before a byte is read.
 */
import { isTributaryError, TributaryError } from '../core/errors.ts'
import { at, invariant } from '../core/invariant.ts'
import { type Prepared, prepareStrategy } from '../core/prepare.ts'
import type { Needs, Strategy } from '../core/strategy.ts'
import type { OutputTensor, Source } from '../recipes/align.ts'
import type { TensorParams } from '../recipes/records.ts'
import type { Resolved } from '../recipes/resolve.ts'
import { shown } from '../tensors/names.ts'
import type { MergeTask, RuleInput, Slice, TaskTensor, TensorSlice } from './task.ts'

export interface TaskRequest {
  readonly resolved: Resolved
  /** Where a tensor of the base, or of an input by its place in canonical order, lies. */
  readonly locate: (source: Source, tensor: string) => TensorSlice
  /** Where a tensor of the output goes. */
  readonly target: (tensor: OutputTensor) => Slice
  /** Where a tensor of an input's sidecar lies. */
  readonly locateSidecar?: (input: number, kind: string, tensor: string) => TensorSlice
}

export function buildTask(request: TaskRequest, tileBytes: number): MergeTask {
  const { merge, seed, inputs } = request.resolved
  return {
    merge,
    seed,
    inputs: inputs.map(({ candidate, role }) => ({
      content: candidate.content,
      label: candidate.ref,
      ...(role !== undefined && { role }),
    })),
    tensors: buildTensors(request),
    tileBytes,
  }
}

export function buildTensors(request: TaskRequest): readonly TaskTensor[] {
  const { alignment } = request.resolved
  invariant(alignment, 'a task is built once all headers are here')
  const preparing = new Preparing(request.resolved)
  return alignment.tensors.map((tensor) => ({
    name: tensor.name,
    shape: tensor.shape,
    elements: tensor.shape.reduce((product, length) => product * length, 1),
    dtype: tensor.dtype,
    target: request.target(tensor),
    rule:
      tensor.rule.kind === 'copy'
        ? { kind: 'copy', from: request.locate(tensor.rule.from, tensor.name) }
        : mergeRule(request, preparing, tensor, tensor.rule.streams),
  }))
}

type Streams = readonly { readonly input: number; readonly from: Source }[]

function mergeRule(
  { resolved, locate, locateSidecar }: TaskRequest,
  preparing: Preparing,
  { name }: OutputTensor,
  streams: Streams,
): TaskTensor['rule'] {
  const { strategy, params, inputs, hasBase } = preparing.prepare(name, streams)
  const kinds = Object.keys((strategy.needs as Needs).sidecars ?? {})
  const ruleInputs = streams.map(({ input, from }, i): RuleInput => {
    const own = at(inputs, i)
    const having = kinds.length === 0 ? [] : (at(resolved.inputs, input).candidate.sidecars ?? [])
    const sidecars = kinds.flatMap((kind) =>
      having.some(([known]) => known === kind) && locateSidecar
        ? [[kind, locateSidecar(input, kind, name)] as const]
        : [],
    )
    return {
      input,
      weight: own.weight,
      params: own.params,
      value: locate(from, name),
      ...(sidecars.length > 0 && { sidecars: Object.fromEntries(sidecars) }),
    }
  })
  return {
    kind: 'merge',
    strategy: strategy.id,
    params,
    ...(hasBase && { base: locate('base', name) }),
    inputs: strategy.laws.order === 'explicit' ? inGivenOrder(ruleInputs, resolved) : ruleInputs,
  }
}

/** As the recipe's order lists the contents; of inputs with one content, the canonically first comes first. */
function inGivenOrder(inputs: readonly RuleInput[], { recipe, inputs: all }: Resolved): readonly RuleInput[] {
  const order = recipe['order']
  invariant(Array.isArray(order), 'an explicit order is in the record')
  const left = [...inputs]
  return order.flatMap((content) => {
    const found = left.findIndex(({ input }) => at(all, input).candidate.content === content)
    return found < 0 ? [] : left.splice(found, 1)
  })
}

type Group = Prepared & { readonly hasBase: boolean }

/** Most tensors share strategy, params and inputs: each group is prepared once. */
class Preparing {
  readonly #resolved: Resolved
  readonly #strategies: ReadonlyMap<string, Strategy>
  readonly #baseNames: ReadonlySet<string>
  /** By what `paramsFor` answers, one object for all tensors that it answers alike for, and who takes part. */
  readonly #groups = new Map<TensorParams, Map<string, Group>>()

  constructor(resolved: Resolved) {
    this.#resolved = resolved
    this.#strategies = new Map(resolved.strategies.map((strategy) => [strategy.id, strategy]))
    this.#baseNames = new Set(resolved.base?.headers?.tensors.map(({ name }) => name))
  }

  prepare(tensor: string, streams: Streams): Group {
    const wanted = this.#resolved.paramsFor(tensor)
    const { strategy: id, params, perInput } = wanted
    const strategy = this.#strategies.get(id)
    invariant(strategy, 'a strategy that a tensor meets is one of the merge')
    const hasBase = (strategy.needs as Needs).base !== 'none' && this.#baseNames.has(tensor)
    let groups = this.#groups.get(wanted)
    if (!groups) this.#groups.set(wanted, (groups = new Map<string, Group>()))
    const key = `${streams.map(({ input }) => input).join()} ${hasBase}`
    let group = groups.get(key)
    if (!group) {
      const inputs = streams.map(({ input }) => {
        const { role } = at(this.#resolved.inputs, input)
        return { ...at(perInput, input), ...(role !== undefined && rolesOf(strategy).includes(role) && { role }) }
      })
      group = { ...prepareNamed(tensor, { strategy, params, inputs, hasBase }), hasBase }
      groups.set(key, group)
    }
    return group
  }
}

const rolesOf = (strategy: Strategy): readonly string[] => (strategy.needs as Needs).roles ?? []

/** A refusal that says at which tensor. */
function prepareNamed(tensor: string, asked: Parameters<typeof prepareStrategy>[0]): Prepared {
  try {
    return prepareStrategy(asked)
  } catch (error) {
    if (!isTributaryError(error)) throw error
    const { code, message, details, hint, pointer } = error
    throw new TributaryError(code, `tensor ${shown(tensor)}: ${message}`, {
      details: { ...details, tensor },
      ...(hint !== undefined && { hint }),
      ...(pointer !== undefined && { pointer }),
    })
  }
}
