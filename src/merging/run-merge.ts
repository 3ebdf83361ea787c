/**
 * Runs a merge task: tile by tile from the inputs' files through the evaluator into the output's, hashed on the way.
 * Memory is tiles and strips, whatever the sizes of tensors and of the model.
 */
import { TributaryError } from '../core/errors.ts'
import type { ContentRoot } from '../core/ids.ts'
import { at, invariant } from '../core/invariant.ts'
import type { Seed } from '../core/seed.ts'
import type { Strategy } from '../core/strategy.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { TileFiles } from '../storage/tile-files.ts'
import { bytesPerElement, positionOf } from '../tensors/dtypes.ts'
import { shown } from '../tensors/names.ts'
import { TensorHasher } from '../tensors/tensor-hasher.ts'
import { type Evaluation, STRIP } from './evaluate/evaluation.ts'
import { Evaluator } from './evaluate/evaluator.ts'
import { OpenTileFiles } from './open-tile-files.ts'
import { Pace, type RunWatch } from './run.ts'
import { type MergeRule, type MergeTask, taskBytes, type TaskTensor, type TensorOutcome } from './task.ts'
import { TileStreams } from './tile-streams.ts'

export interface Engine {
  readonly files: TileFiles
  readonly kernels: Kernels<Float64Array>
  readonly strategies: readonly Strategy[]
}

export function runMerge(task: MergeTask, engine: Engine, watch: RunWatch = {}): readonly TensorOutcome[] {
  invariant(task.tileBytes > 0 && task.tileBytes % (STRIP * 8) === 0, 'tiles are of whole strips in every dtype')
  const files = new OpenTileFiles(engine.files)
  try {
    return new MergeRun(task, engine, files, watch).run()
  } finally {
    files.close()
    engine.kernels.reset()
  }
}

class MergeRun {
  readonly #task: MergeTask
  readonly #kernels: Kernels<Float64Array>
  readonly #files: OpenTileFiles
  readonly #pace: Pace
  readonly #onTensor: RunWatch['onTensor']
  readonly #streams: TileStreams
  readonly #evaluator: Evaluator<Float64Array>
  /** Bytes of the output, or of a copy, on their way to the disk. */
  readonly #out: Uint8Array

  constructor(task: MergeTask, { kernels, strategies }: Engine, files: OpenTileFiles, watch: RunWatch) {
    this.#task = task
    this.#kernels = kernels
    this.#files = files
    this.#pace = new Pace(watch, taskBytes(task))
    this.#onTensor = watch.onTensor
    this.#out = kernels.allocateBytes(task.tileBytes)
    const rules = task.tensors.map(({ rule }) => rule).filter((rule) => rule.kind === 'merge')
    this.#streams = new TileStreams(files, kernels, task.tileBytes, rules, this.#pace)
    this.#evaluator = new Evaluator(evaluationOf(task, strategies), kernels, this.#streams.read)
  }

  run(): readonly TensorOutcome[] {
    const outcomes: TensorOutcome[] = []
    let merged = 0
    this.#pace.check()
    for (const tensor of this.#task.tensors) {
      const outcome = tensor.rule.kind === 'copy' ? this.#copy(tensor, tensor.rule.from) : this.#merge(tensor, merged++)
      this.#onTensor?.(outcome)
      outcomes.push(outcome)
    }
    this.#pace.finish()
    return outcomes
  }

  #copy({ name, target }: TaskTensor, from: { readonly path: string; readonly offset: number }): TensorOutcome {
    const hasher = new TensorHasher()
    for (let done = 0; done < target.bytes; done += this.#out.length) {
      const part = this.#out.subarray(0, Math.min(this.#out.length, target.bytes - done))
      this.#files.read(from.path, part, from.offset + done)
      this.#put(target, done, part, hasher)
    }
    return { name, root: hasher.finish().root, scalars: [] }
  }

  /** A plain average from bytes to bytes; undefined where this one is not, or holds what the evaluator must name. */
  #average({ name, dtype, target }: TaskTensor, index: number): TensorOutcome | undefined {
    const mean = this.#evaluator.mean(index)
    if (!mean) return undefined
    const hasher = new TensorHasher()
    for (let begin = 0; begin < target.bytes; begin += this.#out.length) {
      const end = Math.min(target.bytes, begin + this.#out.length)
      const streams = mean.streams.map((stream) => this.#streams.bytes(dtype, stream, index, begin, end))
      if (!streams.every((bytes) => bytes !== undefined)) return undefined
      const out = this.#out.subarray(0, end - begin)
      if (!this.#kernels.average(dtype, streams, mean.weights, mean.divisor, out)) return undefined
      this.#put(target, begin, out, hasher)
    }
    return { name, root: hasher.finish().root, scalars: mean.scalars }
  }

  #merge(tensor: TaskTensor, index: number): TensorOutcome {
    return this.#average(tensor, index) ?? this.#evaluate(tensor, index)
  }

  #evaluate({ name, shape, dtype, target }: TaskTensor, index: number): TensorOutcome {
    const size = bytesPerElement(dtype)
    const hasher = new TensorHasher()
    let written = 0
    let filled = 0
    const flush = (): void => {
      this.#put(target, written, this.#out.subarray(0, filled), hasher)
      written += filled
      filled = 0
    }
    const { scalars } = this.#evaluator.evaluate(index, (first, plane) => {
      const bytes = plane.length * size
      const notFinite = this.#kernels.encode(dtype, plane, this.#out.subarray(filled, filled + bytes))
      if (notFinite >= 0) throw tooLarge(name, shape, dtype, first + notFinite, at([...plane], notFinite))
      filled += bytes
      if (filled === this.#out.length) flush()
    })
    if (filled > 0) flush()
    invariant(written === target.bytes, `all of ${name} was written`)
    return { name, root: hasher.finish().root, scalars }
  }

  #put(target: TaskTensor['target'], offset: number, bytes: Uint8Array, hasher: TensorHasher): void {
    this.#files.write(target.path, bytes, target.offset + offset)
    hasher.update(bytes)
    this.#pace.advance(bytes.length)
  }
}

const tooLarge = (name: string, shape: readonly number[], dtype: string, element: number, value: number) =>
  new TributaryError(
    'MERGE_NOT_FINITE',
    `tensor ${shown(name)}: the merged value ${value} at [${positionOf(element, shape).join(', ')}] is beyond what ${dtype} holds`,
    {
      details: { tensor: name, element },
      hint: 'ask for a wider output dtype, use smaller weights, or leave out the contribution that is far from the others',
    },
  )

function evaluationOf(task: MergeTask, strategies: readonly Strategy[]): Evaluation {
  const known = new Map(strategies.map((strategy) => [strategy.id, strategy]))
  const tensors = task.tensors.flatMap(({ name, elements, rule }) =>
    rule.kind === 'copy' ? [] : [{ name, elements, ...ruleOf(rule, known) }],
  )
  const inputs = task.inputs.map(({ content, label, role }) => ({
    content: content as ContentRoot,
    label,
    ...(role !== undefined && { role }),
  }))
  return { seed: task.seed as Seed, inputs, tensors }
}

function ruleOf({ strategy: id, params, base, inputs }: MergeRule, known: ReadonlyMap<string, Strategy>) {
  const strategy = known.get(id)
  invariant(strategy, `a plan names only strategies of this program, unlike ${id}`)
  return {
    strategy,
    params,
    hasBase: base !== undefined,
    inputs: inputs.map(({ input, weight, params: own }) => ({ input, weight, params: own })),
  }
}
