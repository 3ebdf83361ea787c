/**
 * Runs a merge task: tile by tile from the inputs' files through the evaluator into the output's, hashed on the way.
 * Memory is tiles and strips, whatever the sizes of tensors and of the model.
 */
import { TributaryError } from '../core/errors.ts'
import type { ContentRoot } from '../core/ids.ts'
import { at, invariant } from '../core/invariant.ts'
import type { Seed } from '../core/seed.ts'
import type { Strategy } from '../core/strategy.ts'
import type { KernelSource } from '../kernels/choose-kernels.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { TileFiles } from '../storage/tile-files.ts'
import { bytesPerElement, type Dtype, positionOf } from '../tensors/dtypes.ts'
import { shown } from '../tensors/names.ts'
import { CHUNK_BYTES, TensorHasher } from '../tensors/tensor-hasher.ts'
import { type Evaluation, type Learned, type Recall, STRIP, type StreamRef } from './evaluate/evaluation.ts'
import { type About, Evaluator } from './evaluate/evaluator.ts'
import { SharedMasks } from './evaluate/masks.ts'
import type { Measures } from './evaluate/recordings.ts'
import { Together } from './evaluate/together.ts'
import { averageTiles, type AverageTile } from './average-tiles.ts'
import { boardOfMerge, maskBytesOf } from './boards.ts'
import { dealMeasures } from './measure-memory.ts'
import { bufferBytes, RuleFacts } from './memory.ts'
import { OpenTileFiles } from './open-tile-files.ts'
import type { RunBoard } from './run-board.ts'
import { cancelled, Pace, runAlone, type RunWatch, type Work } from './run.ts'
import {
  type MergeRule,
  type MergeTask,
  type Slice,
  taskBytes,
  type TaskTensor,
  type TensorOutcome,
  type TensorSlice,
  streamIdentityOf,
} from './task.ts'
import { TileStreams } from './tile-streams.ts'
import { isWhole, measuredTogether, type Part, unitsOf } from './units.ts'

export interface Engine {
  readonly files: TileFiles
  readonly kernels: KernelSource
  readonly strategies: readonly Strategy[]
}

export function runMerge(
  task: MergeTask,
  engine: Engine,
  watch: RunWatch<TensorOutcome> = {},
): readonly TensorOutcome[] {
  return runAlone(mergeWork(task, engine, 1), boardOfMerge(task, 1), taskBytes(task), watch)
}

/** The share of one thread, where `workers` work on the task. */
export function mergeWork(task: MergeTask, engine: Engine, workers: number): Work<TensorOutcome> {
  invariant(task.tileBytes > 0 && task.tileBytes % (STRIP * 8) === 0, 'tiles are of whole strips in every dtype')
  return (board, watch, taken) => {
    const files = new OpenTileFiles(engine.files, workers)
    const kernels = engine.kernels(bufferBytes(task.tensors, task.tileBytes, new RuleFacts(engine.strategies)))
    try {
      new MergeRun(task, workers, engine.strategies, kernels, files, board, watch, taken).run(workers)
    } finally {
      files.close()
      kernels.reset()
    }
  }
}

/** Absent for a part of a chunk. */
type Hasher = TensorHasher | undefined

/** What is known of the tensor at hand. */
interface Latest extends About {
  readonly place: number
  readonly average: AverageTile | undefined
}

interface Shared {
  readonly tensor: number
  readonly place: number
  readonly together: Together
}

class MergeRun {
  readonly #task: MergeTask
  readonly #kernels: Kernels<Float64Array>
  readonly #files: OpenTileFiles
  readonly #board: RunBoard
  readonly #pace: Pace
  readonly #onTensor: RunWatch<TensorOutcome>['onTensor']
  readonly #streams: TileStreams
  readonly #evaluator: Evaluator<Float64Array>
  /** Bytes of the output, or of a copy, on their way to the disk. */
  readonly #out: Uint8Array
  /** Of each tensor of the task: its place in the evaluation. */
  readonly #places: readonly number[]
  #latest: Latest | undefined
  /** Tensors that all threads measure together, one after the other. */
  #shared: readonly Shared[] = []

  constructor(
    task: MergeTask,
    workers: number,
    strategies: readonly Strategy[],
    kernels: Kernels<Float64Array>,
    files: OpenTileFiles,
    board: RunBoard,
    watch: RunWatch<TensorOutcome>,
    taken: (unit: number) => void,
  ) {
    this.#task = task
    this.#kernels = kernels
    this.#files = files
    this.#board = board
    this.#pace = new Pace(board, watch, taskBytes(task), taken)
    this.#onTensor = watch.onTensor
    this.#out = kernels.allocateBytes(task.tileBytes)
    const rules = task.tensors.map(({ rule }) => rule).filter((rule) => rule.kind === 'merge')
    this.#streams = new TileStreams(files, kernels, task.tileBytes, rules, this.#pace)
    const evaluation = evaluationOf(task, strategies)
    const maskBytes = maskBytesOf(task, workers)
    this.#evaluator = new Evaluator(evaluation, kernels, this.#streams.read, this.#streams, maskBytes)
    let merged = 0
    this.#places = task.tensors.map(({ rule }) => (rule.kind === 'copy' ? -1 : merged++))
  }

  run(workers: number): void {
    const measuresOf = (tensor: number): Measures => this.#evaluator.measures(at(this.#places, tensor))
    this.#share(measuredTogether(this.#task, measuresOf, workers))
    const units = unitsOf(
      this.#task,
      measuresOf,
      workers,
      this.#shared.map(({ tensor }) => tensor),
    )
    for (const unit of this.#pace.units(units)) for (const part of unit) this.#part(part)
  }

  #share(tensors: readonly number[]): void {
    const places = tensors.map((tensor) => at(this.#places, tensor))
    const memories = dealMeasures(
      this.#board.shared.measures,
      places.map((place) => this.#evaluator.reductionsOf(place)),
    )
    const isWritten = (place: number): boolean => this.#board.isFinished(this.#places.indexOf(place))
    const masks = tensors.length === 0 ? undefined : new SharedMasks(this.#board.shared.masks, isWritten)
    const check = (): void => {
      this.#pace.check()
    }
    this.#shared = tensors.flatMap((tensor, i) => {
      const memory = memories[i]
      if (!memory) return []
      const place = at(places, i)
      const together = new Together(memory, check, cancelled)
      this.#evaluator.share(place, { together, ...(masks && { masks }) })
      return [{ tensor, place, together }]
    })
  }

  /** Those before it first, which every thread measures in the same order: they use the same tables. */
  #measureTogether(place: number): void {
    if (!this.#shared.some((shared) => shared.place === place)) return
    for (const shared of this.#shared) {
      const { dtype } = at(this.#task.tensors, shared.tensor)
      if (!shared.together.finished) {
        this.#evaluator.about(shared.place, dtype)
        shared.together.finish()
      }
      if (shared.place === place) return
      this.#evaluator.forget(shared.place)
    }
  }

  #part(part: Part): void {
    const { tensor: index, begin, end } = part
    const tensor = at(this.#task.tensors, index)
    const hasher = isWhole(part, tensor.target.bytes) ? new TensorHasher() : undefined
    const { rule } = tensor
    const scalars =
      rule.kind === 'copy'
        ? this.#copy(tensor, rule.from, begin, end, hasher)
        : this.#merge(tensor, at(this.#places, index), begin, end, hasher)
    const isLast = hasher
      ? this.#board.finish(index, begin, { leaves: hasher.finishLeaves() })
      : this.#finishChunk(part, tensor.target)
    if (!isLast) return
    const learned = rule.kind === 'copy' ? [] : (this.#latest?.learned ?? [])
    const outcome = { name: tensor.name, root: this.#board.rootOf(index), scalars }
    this.#onTensor?.({ ...outcome, ...(learned.length > 0 && { learned }) }, index)
  }

  /** Of a part of a chunk: who wrote the last one hashes them all, since a hash takes bytes in order. */
  #finishChunk({ tensor, begin, end }: Part, target: Slice): boolean {
    if (!this.#board.fill(tensor, begin, end)) return false
    const from = begin - (begin % CHUNK_BYTES)
    const to = Math.min(target.bytes, from + CHUNK_BYTES)
    const hasher = new TensorHasher()
    for (let done = from; done < to; done += this.#out.length) {
      const bytes = this.#out.subarray(0, Math.min(this.#out.length, to - done))
      this.#files.readBack(target.path, bytes, target.offset + done)
      hasher.update(bytes)
    }
    return this.#board.finish(tensor, from, { leaves: hasher.finishLeaves() })
  }

  #copy({ target }: TaskTensor, from: Slice, begin: number, end: number, hasher: Hasher): readonly number[] {
    for (let done = begin; done < end; done += this.#out.length) {
      const part = this.#out.subarray(0, Math.min(this.#out.length, end - done))
      this.#files.read(from.path, part, from.offset + done)
      this.#put(target, done, part, hasher)
    }
    return []
  }

  #merge(tensor: TaskTensor, place: number, begin: number, end: number, hasher: Hasher): readonly number[] {
    const size = bytesPerElement(tensor.dtype)
    this.#streams.until(Infinity) // what is measured is measured whole, and may lie in other tensors
    const { scalars, average } = this.#about(place, tensor.dtype)
    let done = begin
    while (done < end) {
      const out = end - done < this.#out.length ? this.#out.subarray(0, end - done) : this.#out
      if (average?.(done, out) !== true && !this.#directly(tensor, place, done, out)) break
      this.#put(tensor.target, done, out, hasher)
      done += out.length
    }
    this.#streams.until(end / size)
    if (done < end || end === 0) this.#evaluate(tensor, place, done, end, hasher)
    return scalars
  }

  /** What is known of a tensor before its first element is computed, kept while its parts follow each other. */
  #about(place: number, dtype: Dtype): Latest {
    if (this.#latest?.place !== place) {
      if (this.#latest) this.#evaluator.forget(this.#latest.place)
      this.#measureTogether(place)
      const about = this.#evaluator.about(place, dtype)
      this.#latest = { place, ...about, average: averageTiles(about.mean, place, dtype, this.#streams, this.#kernels) }
    }
    return this.#latest
  }

  /** Part of a tensor from bytes to bytes, without the evaluator: false where there is no way, or for what it must name. */
  #directly({ dtype }: TaskTensor, place: number, begin: number, out: Uint8Array): boolean {
    const size = bytesPerElement(dtype)
    const write = this.#about(place, dtype).write()
    if (!write) return false
    const step = this.#streams.atOnce * size
    for (let done = 0; done < out.length; done += step) {
      const part = out.subarray(done, done + step)
      const first = (begin + done) / size
      const count = part.length / size
      this.#streams.until(first + count) // no more of each stream than what the cache of a core keeps of all of them
      if (!write(first, count, part)) return false
    }
    return true
  }

  #evaluate(
    { name, shape, dtype, target }: TaskTensor,
    place: number,
    begin: number,
    end: number,
    hasher: Hasher,
  ): void {
    const size = bytesPerElement(dtype)
    let written = begin
    let filled = 0
    const flush = (): void => {
      this.#put(target, written, this.#out.subarray(0, filled), hasher)
      written += filled
      filled = 0
    }
    const write = (first: number, plane: Float64Array): void => {
      const bytes = plane.length * size
      const notFinite = this.#kernels.encode(dtype, plane, this.#out.subarray(filled, filled + bytes))
      if (notFinite >= 0) throw tooLarge(name, shape, dtype, first + notFinite, at([...plane], notFinite))
      filled += bytes
      if (filled === this.#out.length) flush()
    }
    this.#evaluator.evaluate(place, write, { from: begin / size, to: end / size })
    if (filled > 0) flush()
    invariant(written === end, `all of ${name} was written`)
  }

  #put(target: Slice, offset: number, bytes: Uint8Array, hasher: Hasher): void {
    this.#files.write(target.path, bytes, target.offset + offset)
    hasher?.update(bytes)
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
  const tensors = task.tensors.flatMap(({ name, elements, rule, recalled }) =>
    rule.kind === 'copy'
      ? []
      : [{ name, elements, ...ruleOf(rule, known), ...(recalled && { recall: recallOf(rule, recalled) }) }],
  )
  const inputs = task.inputs.map(({ content, label, role }) => ({
    content: content as ContentRoot,
    label,
    ...(role !== undefined && { role }),
  }))
  return { seed: task.seed as Seed, inputs, tensors }
}

function recallOf({ base, inputs }: MergeRule, recalled: readonly Learned[]): Recall {
  const sliceOf = (stream: StreamRef): TensorSlice | undefined => {
    if (stream === 'base') return base
    const own = inputs.find(({ input }) => input === stream.input)
    return stream.sidecar === undefined ? own?.value : own?.sidecars?.[stream.sidecar]
  }
  return {
    known: new Map(recalled.map(([key, value]) => [key, value])),
    identityOf(stream) {
      const { root, dtype } = sliceOf(stream) ?? {}
      return root === undefined || dtype === undefined ? undefined : streamIdentityOf({ root, dtype })
    },
  }
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
