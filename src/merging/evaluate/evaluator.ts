/**
 * Evaluates recorded formulas over streamed tensors: synchronous, in strips of 4,096 elements, with memory that grows with
 * the formula and never with a tensor. Any kernels of equal bits give equal bits here.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import { type Evaluation, type ReadStream, STRIP, type WriteStrip } from './evaluation.ts'
import { ModelScope } from './model-scope.ts'
import { Strips } from './strips.ts'
import { type Mean, type Setting, TensorRun } from './tensor-run.ts'

export interface Evaluated {
  /** The numbers from earlier passes that entered the output, in the order the formula wrote them. */
  readonly scalars: readonly number[]
}

export class Evaluator<B> implements Setting<B> {
  readonly evaluation: Evaluation
  readonly kernels: Kernels<B>
  readonly read: ReadStream<B>
  readonly strips: Strips<B>
  readonly #runs = new Map<number, TensorRun<B>>()
  readonly #scopes = new Map<string, ModelScope<B>>()

  constructor(evaluation: Evaluation, kernels: Kernels<B>, read: ReadStream<B>) {
    this.evaluation = evaluation
    this.kernels = kernels
    this.read = read
    this.strips = new Strips(kernels)
  }

  /** Writes the output of one tensor in consecutive strips, f64 and not yet rounded to a dtype. */
  evaluate(tensor: number, write: WriteStrip<B>): Evaluated {
    const run = this.#run(tensor)
    const scalars = run.scalars()
    run.compute(run.program.output, (first, plane) => {
      if (!this.strips.finite(plane)) {
        const element = this.strips.notFiniteAt(plane, Math.min(STRIP, run.tensor.elements - first))
        if (element >= 0) run.notFiniteOutput(first + element)
      }
      write(first, plane)
    })
    this.#forget(run)
    return { scalars }
  }

  /** What one pass over bytes can do in place of `evaluate`, where the formula is a plain average. */
  mean(tensor: number): (Mean & Evaluated) | undefined {
    const run = this.#run(tensor)
    const scalars = run.scalars()
    const mean = run.mean()
    return mean && { ...mean, scalars }
  }

  modelScope(run: TensorRun<B>): ModelScope<B> {
    const { id, version } = run.tensor.strategy
    const key = `${id}/${version}`
    let scope = this.#scopes.get(key)
    if (!scope) {
      const siblings = this.evaluation.tensors.flatMap(({ strategy }, i) =>
        strategy === run.tensor.strategy ? [this.#run(i)] : [],
      )
      scope = new ModelScope(this.kernels, siblings)
      this.#scopes.set(key, scope)
    }
    return scope
  }

  #run(tensor: number): TensorRun<B> {
    let run = this.#runs.get(tensor)
    if (!run) this.#runs.set(tensor, (run = new TensorRun(this, tensor)))
    return run
  }

  /** A tensor that measures only itself is not needed again. */
  #forget(run: TensorRun<B>): void {
    if (run.modelReductions.length === 0) this.#runs.delete(run.index)
  }
}
