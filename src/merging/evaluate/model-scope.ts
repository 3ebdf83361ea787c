/**
 * Reductions over a whole model: the tensors of one strategy whose formulas ask for them, in byte order of their names.
 * Formulas are matched by the order in which they write their reductions, so parameters may not change that.
 */
import { TributaryError } from '../../core/errors.ts'
import { compareUtf8 } from '../../core/bytes.ts'
import type { Node, Reducing, Stream } from '../../core/graph.ts'
import { invariant } from '../../core/invariant.ts'
import { reach } from './depth.ts'
import { runPasses, settled, type Sink, sinkFor } from './sinks.ts'
import type { ModelMeasures, Setting, TensorRun } from './tensor-run.ts'

export class ModelScope<B> implements ModelMeasures<B> {
  readonly #setting: Pick<Setting<B>, 'kernels' | 'spares'>
  readonly #runs: readonly TensorRun<B>[]
  readonly #offsets = new Map<TensorRun<B>, number>()
  readonly #elements: number
  readonly #values: unknown[] = []

  constructor(setting: Pick<Setting<B>, 'kernels' | 'spares'>, runs: readonly TensorRun<B>[]) {
    this.#setting = setting
    this.#runs = runs
      .filter((run) => run.modelReductions.length > 0)
      .sort((a, b) => compareUtf8(a.tensor.name, b.tensor.name))
    let elements = 0
    for (const run of this.#runs) {
      this.#offsets.set(run, elements)
      elements += run.tensor.elements
    }
    this.#elements = elements
    this.#checkForms()
  }

  offsetOf(run: TensorRun<B>): number {
    const offset = this.#offsets.get(run)
    invariant(offset !== undefined, 'a tensor of this scope')
    return offset
  }

  value(run: TensorRun<B>, node: Reducing): unknown {
    const ordinal = run.modelReductions.indexOf(node)
    if (!(ordinal in this.#values)) this.#reduce(run, run.depthOf(node))
    return this.#values[ordinal]
  }

  /** All reductions of one depth, over all tensors. */
  #reduce(asked: TensorRun<B>, depth: number): void {
    const wave = asked.modelReductions.flatMap((node, ordinal) => (asked.depthOf(node) === depth ? [ordinal] : []))
    const { kernels, spares } = this.#setting
    const sinks = new Map<number, Sink<B>>(
      wave.map((ordinal) => [ordinal, sinkFor(asked.modelReductions[ordinal]!, kernels, spares, this.#elements)]),
    )
    runPasses(sinks.values(), (now, sampled) => {
      for (const run of this.#runs) {
        const reductions = run.modelReductions
        const shown = [...sinks].filter(([, sink]) => now.includes(sink))
        run.show(new Map(shown.map(([ordinal, sink]) => [reductions[ordinal]!, sink])), sampled)
      }
    })
    for (const [ordinal, sink] of sinks) this.#values[ordinal] = settled(sink)
  }

  #checkForms(): void {
    const [first, ...others] = this.#runs
    if (!first) return
    const form = formOf(first)
    for (const run of others)
      if (formOf(run) !== form)
        throw new TributaryError(
          'STRATEGY_PARAMS_INVALID',
          `${run.tensor.strategy.id} measures the whole model, and ${run.tensor.name} asks for another measure than ${first.tensor.name}`,
          {
            hint: 'give all tensors the same parameters, or trim and scale by tensor',
            details: { tensor: run.tensor.name },
          },
        )
  }
}

function formOf<B>(run: TensorRun<B>): string {
  const reductions = run.modelReductions.map((node) => {
    const planes = node.kind === 'pairs' ? node.planes : node.kind === 'reduce' ? [node.a, node.b] : [node.a]
    const streams = [...reach(run.program, planes).nodes].flatMap((plane) => streamOf(run, plane)).sort()
    const detail = node.kind === 'cutoff' ? [node.fraction, node.withEquals] : [node.op]
    return [node.kind, ...detail, run.depthOf(node), ...streams].join(' ')
  })
  return reductions.join('\n')
}

function streamOf<B>(run: TensorRun<B>, node: Node): readonly string[] {
  if (node.kind !== 'input') return []
  const stream: Stream = node.stream
  return [stream === 'base' ? 'base' : `${run.tensor.inputs[stream.owner]!.input}/${stream.sidecar ?? ''}`]
}
