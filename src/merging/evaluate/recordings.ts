/**
 * Recorded programs: one for all tensors that are merged alike, with what follows from it alone. A model has thousands of
 * tensors and few rules.
 */
import type { LaterNode, Node, Program } from '../../core/graph.ts'
import { at } from '../../core/invariant.ts'
import { record } from '../../core/record.ts'
import type { RunProgram } from '../../kernels/strip-program.ts'
import type { Compilable } from './compile.ts'
import { Depths, reach, type Reached } from './depth.ts'
import type { Evaluation, EvaluationTensor } from './evaluation.ts'
import type { Mean } from './mean.ts'

/** What must be measured before the first element of the output can be computed: over its own elements, or the model's. */
export type Measures = 'nothing' | 'tensor' | 'model'

export interface Compiled {
  readonly compilable: Compilable
  readonly run: RunProgram
}

export class Recording {
  readonly program: Program
  readonly reached: Reached
  readonly depths: Depths
  readonly measures: Measures
  /** Its output follows from the elements of base and inputs alone: no measure, no sidecar, no tensor's name enters. */
  readonly isPlain: boolean
  /** Of a plain one, by the dtypes of streams and output; undefined where kernels have none. */
  readonly compiled = new Map<string, Compiled | undefined>()
  /** Of a plain one: numbers that weights and params lead to, as far as they were asked for. */
  readonly known = new Map<LaterNode, unknown>()
  /** Of a plain one, once it is known. */
  mean: { readonly found: Mean | undefined } | undefined
  /** Those that enter the output, each once and in the order in which the formula wrote them. */
  readonly scalars: readonly LaterNode[]

  constructor(program: Program) {
    this.program = program
    this.reached = reach(program, [program.output])
    this.depths = new Depths(program)
    const reductions = program.reductions.filter((node) => this.reached.laters.has(node))
    this.measures =
      reductions.length === 0 ? 'nothing' : reductions.some(({ scope }) => scope === 'model') ? 'model' : 'tensor'
    this.isPlain = this.measures === 'nothing' && [...this.reached.nodes].every(readsElementsOnly)
    this.scalars = scalarsOf(program, this.reached)
  }
}

const readsElementsOnly = (node: Node): boolean =>
  node.kind === 'input' ? node.stream === 'base' || node.stream.sidecar === undefined : node.kind !== 'keep'

export function scalarsOf({ nodes }: Program, reached: Reached): readonly LaterNode[] {
  const laters = new Set<LaterNode>()
  for (const node of nodes) {
    if (!reached.nodes.has(node)) continue
    if (node.kind === 'later') laters.add(node.later)
    if (node.kind === 'blend') laters.add(node.coefficients)
  }
  return [...laters].filter(({ kind }) => kind !== 'known')
}

export function recordFor({ inputs }: Evaluation, tensor: EvaluationTensor): Program {
  const { strategy, params, hasBase } = tensor
  const contributions = tensor.inputs.map(({ input, weight, params: own }) => {
    const { role } = at(inputs, input)
    return { weight, params: own, ...(role !== undefined && { role }) }
  })
  return record(strategy, { params, hasBase, contributions })
}

/** Merged alike, by the same records. */
const isAlike = (a: EvaluationTensor, b: EvaluationTensor): boolean =>
  a.strategy === b.strategy &&
  a.params === b.params &&
  a.hasBase === b.hasBase &&
  a.inputs.length === b.inputs.length &&
  a.inputs.every(({ input, weight, params }, i) => {
    const other = b.inputs[i]!
    return input === other.input && Object.is(weight, other.weight) && params === other.params
  })

/** Where every tensor has its own rule, as with gradients over layers, the latest are as good as all. */
const KEPT_MAX = 64

export class Recordings {
  readonly #evaluation: Evaluation
  readonly #known = new Map<string, Recording>()
  /** Tasks give tensors that are merged alike the same records. */
  readonly #ids = new Map<unknown, number>()
  #latest: { readonly tensor: EvaluationTensor; readonly recording: Recording } | undefined

  constructor(evaluation: Evaluation) {
    this.#evaluation = evaluation
  }

  of(tensor: EvaluationTensor): Recording {
    const latest = this.#latest
    if (latest && isAlike(latest.tensor, tensor)) return latest.recording
    const recording = this.#find(tensor)
    this.#latest = { tensor, recording }
    return recording
  }

  #find(tensor: EvaluationTensor): Recording {
    const key = this.#keyOf(tensor)
    const known = this.#known.get(key)
    if (known) return known
    const recording = new Recording(recordFor(this.#evaluation, tensor))
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < KEPT_MAX) break
      this.#known.delete(oldest)
    }
    this.#known.set(key, recording)
    return recording
  }

  #keyOf({ strategy, params, hasBase, inputs }: EvaluationTensor): string {
    let key = `${this.#idOf(strategy)} ${this.#idOf(params)} ${hasBase}`
    for (const { input, weight, params: own } of inputs)
      key += ` ${input}/${Object.is(weight, -0) ? '-0' : weight}/${this.#idOf(own)}`
    return key
  }

  #idOf(value: unknown): number {
    let id = this.#ids.get(value)
    if (id === undefined) this.#ids.set(value, (id = this.#ids.size))
    return id
  }
}
