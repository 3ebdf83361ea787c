/**
 * Evaluates recorded formulas over streamed tensors: synchronous, in strips of 4,096 elements, with memory that grows with
 * the formula and never with a tensor. Any kernels of equal bits give equal bits here.
 */
import type { Reducing } from '../../core/graph.ts'
import { at } from '../../core/invariant.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { Dtype } from '../../tensors/dtypes.ts'
import {
  type ByteStreams,
  type Evaluation,
  type Learned,
  type Range,
  type ReadStream,
  STRIP,
  type WriteStrip,
} from './evaluation.ts'
import { type MaskRoom, OwnMasks } from './masks.ts'
import { ModelScope } from './model-scope.ts'
import { Spares } from './spares.ts'
import { Strips } from './strips.ts'
import type { Together } from './together.ts'
import type { Mean } from './mean.ts'
import { type Measures, Recordings } from './recordings.ts'
import type { WriteRange } from './measuring.ts'
import { type Setting, TensorRun } from './tensor-run.ts'

export interface Evaluated {
  /** The numbers from earlier passes that entered the output, in the order the formula wrote them. */
  readonly scalars: readonly number[]
}

export interface About extends Evaluated {
  /** Of a plain average. */
  readonly mean: Mean | undefined
  /** Made for a plain average only where that has no way of its own. */
  readonly write: () => WriteRange | undefined
  readonly learned: readonly Learned[]
}

/** What threads share of one tensor. */
export interface Shared {
  readonly together: Together
  readonly masks?: MaskRoom
}

export class Evaluator<B> implements Setting<B> {
  readonly evaluation: Evaluation
  readonly kernels: Kernels<B>
  readonly read: ReadStream<B>
  readonly streams: ByteStreams | undefined
  readonly strips: Strips<B>
  readonly spares: Spares<B>
  readonly recordings: Recordings
  readonly #runs = new Map<number, TensorRun<B>>()
  readonly #scopes = new Map<string, ModelScope<B>>()
  readonly #shared = new Map<number, Shared>()
  readonly #masks: MaskRoom

  /** `maskBytes`: for masks of a tensor that this thread measures alone. */
  constructor(evaluation: Evaluation, kernels: Kernels<B>, read: ReadStream<B>, streams?: ByteStreams, maskBytes = 0) {
    this.streams = streams
    this.#masks = new OwnMasks(maskBytes)
    this.evaluation = evaluation
    this.kernels = kernels
    this.read = read
    this.strips = new Strips(kernels)
    this.spares = new Spares(kernels)
    this.recordings = new Recordings(evaluation)
  }

  /** Has this tensor measured together with other threads. */
  share(tensor: number, shared: Shared): void {
    this.#shared.set(tensor, shared)
  }
  together(tensor: number): Together | undefined {
    return this.#shared.get(tensor)?.together
  }
  maskRoom(tensor: number): MaskRoom {
    return this.#shared.get(tensor)?.masks ?? this.#masks
  }

  reductionsOf(tensor: number): readonly Reducing[] {
    return this.recordings.of(at(this.evaluation.tensors, tensor)).program.reductions
  }

  /** What must be measured before the first element of this tensor can be computed. */
  measures(tensor: number): Measures {
    return this.recordings.of(at(this.evaluation.tensors, tensor)).measures
  }

  /** What enters the output from measures, and what one pass over bytes can do in place of `evaluate`. */
  about(tensor: number, dtype: Dtype): About {
    const run = this.#run(tensor)
    const scalars = run.scalars()
    const mean = run.mean()
    let kept = mean ? undefined : { write: run.inOneGo(dtype) }
    const write = () => (kept ??= { write: run.inOneGo(dtype) }).write
    return { scalars, mean, write, learned: run.learned }
  }

  /** Writes the output of one tensor, or a range of it, in consecutive strips, f64 and not yet rounded to a dtype. */
  evaluate(tensor: number, write: WriteStrip<B>, range?: Range): Evaluated {
    const run = this.#run(tensor)
    const scalars = run.scalars()
    run.compute(
      run.program.output,
      (first, plane) => {
        if (!this.strips.finite(plane)) {
          const element = this.strips.notFiniteAt(plane, Math.min(STRIP, run.tensor.elements - first))
          if (element >= 0) run.notFiniteOutput(first + element)
        }
        write(first, plane)
      },
      range,
    )
    if (!range) this.forget(tensor)
    return { scalars }
  }

  /** A tensor that measures only itself is not needed again. */
  forget(tensor: number): void {
    if (this.#runs.get(tensor)?.modelReductions.length === 0) this.#runs.delete(tensor)
  }

  modelScope(run: TensorRun<B>): ModelScope<B> {
    const { id, version } = run.tensor.strategy
    const key = `${id}/${version}`
    let scope = this.#scopes.get(key)
    if (!scope) {
      const siblings = this.evaluation.tensors.flatMap(({ strategy }, i) =>
        strategy === run.tensor.strategy ? [this.#run(i)] : [],
      )
      scope = new ModelScope(this, siblings)
      this.#scopes.set(key, scope)
    }
    return scope
  }

  #run(tensor: number): TensorRun<B> {
    let run = this.#runs.get(tensor)
    if (!run) this.#runs.set(tensor, (run = new TensorRun(this, tensor)))
    return run
  }
}
