/**
 * A merge in units that threads take one by one, the same list in every thread. Where each element is computed from its own
 * inputs alone, a unit is some chunks of a tensor, or part of one, and so it is where all threads measure the tensor first;
 * one that a single thread measures is one unit, and so are all tensors of a strategy that measures the model.
 */
import { at } from '../core/invariant.ts'
import { CHUNK_BYTES } from '../tensors/tensor-hasher.ts'
import type { Measures } from './evaluate/recordings.ts'
import { type MergeTask, ruleBytes, type TaskTensor } from './task.ts'

/** Bytes `begin` to `end` of a tensor of the output, its place in the task: whole chunks, or part of one. */
export interface Part {
  readonly tensor: number
  readonly begin: number
  readonly end: number
}

export type Unit = readonly Part[]

export const isWhole = ({ begin, end }: Part, bytes: number): boolean =>
  begin % CHUNK_BYTES === 0 && (end === bytes || end % CHUNK_BYTES === 0)

/** The longest first, so that no thread begins one when the others have nothing left to do. */
export function unitsOf(
  { tensors, tileBytes }: Pick<MergeTask, 'tensors' | 'tileBytes'>,
  measuresOf: (tensor: number) => Measures,
  workers = 1,
  together: readonly number[] = [],
): readonly Unit[] {
  const models = new Map<string, Part[]>()
  const wholes: Part[] = []
  const tiles: Unit[] = []
  const most = costMax(tensors, workers)
  const addTiles = (into: Unit[], tensor: number): void => {
    const { bytes } = at(tensors, tensor).target
    const step = stepOf(at(tensors, tensor), tileBytes, most)
    let begin = 0
    do {
      const end = Math.min(bytes, begin + step)
      into.push([{ tensor, begin, end }])
      begin = end
    } while (begin < bytes)
  }
  const shared = new Set(together)
  tensors.forEach(({ rule, target: { bytes } }, tensor) => {
    const whole: Part = { tensor, begin: 0, end: bytes }
    const measures = rule.kind === 'copy' ? 'nothing' : measuresOf(tensor)
    if (rule.kind === 'merge' && measures === 'model') {
      const parts = models.get(rule.strategy) ?? []
      models.set(rule.strategy, parts)
      parts.push(whole)
    } else if (shared.has(tensor)) return
    else if (measures === 'tensor') wholes.push(whole)
    else addTiles(tiles, tensor)
  })
  wholes.sort((a, b) => b.end - a.end || a.tensor - b.tensor)
  const first: Unit[] = []
  for (const tensor of together) addTiles(first, tensor)
  return [...models.values(), ...first, ...wholes.map((part) => [part]), ...tiles]
}

/** Read and written. */
const costOf = ({ rule, target }: TaskTensor): number => target.bytes + ruleBytes(rule)
const costOfAll = (tensors: readonly TaskTensor[]): number => tensors.reduce((sum, tensor) => sum + costOf(tensor), 0)

/** Units of each thread's share of a tensor that is cut, at least: it waits no longer than one takes for the last to end. */
const UNITS_MIN = 8
/** Whole strips in every dtype. */
const PART_BYTES_MIN = 32 * 1024

/** What a unit of a tensor that is cut may cost. */
const costMax = (tensors: readonly TaskTensor[], workers: number): number =>
  workers === 1 ? Infinity : costOfAll(tensors) / workers / UNITS_MIN

/** Chunks that a tile covers; where these cost too much, one chunk, or a part of one that divides it. */
function stepOf(tensor: TaskTensor, tileBytes: number, most: number): number {
  const cost = costOf(tensor) / Math.max(1, tensor.target.bytes)
  const tile = Math.ceil(tileBytes / CHUNK_BYTES) * CHUNK_BYTES
  let step = cost * tile <= most ? tile : CHUNK_BYTES
  while (step > PART_BYTES_MIN && cost * step > most) step /= 2
  return step
}

/** A tensor of which less is read is measured sooner than threads meet. */
const TOGETHER_BYTES = 4 * 1024 * 1024
/** So much of a thread's share of all work is too much to be one unit. */
const LARGE_PART = 1 / 4

/** Tensors so large that threads would wait for the one that measures them: those they measure together, the largest first. */
export function measuredTogether(
  { tensors }: Pick<MergeTask, 'tensors'>,
  measuresOf: (tensor: number) => Measures,
  workers: number,
): readonly number[] {
  const isMeasured = ({ rule }: TaskTensor, tensor: number): boolean =>
    rule.kind === 'merge' && measuresOf(tensor) === 'tensor'
  if (workers === 1 || !tensors.some(isMeasured)) return []
  const costs = tensors.map(costOf)
  const least = Math.max(TOGETHER_BYTES, (LARGE_PART * costs.reduce((sum, cost) => sum + cost, 0)) / workers)
  return tensors
    .flatMap((one, tensor) => (at(costs, tensor) >= least && isMeasured(one, tensor) ? [tensor] : []))
    .sort((a, b) => at(costs, b) - at(costs, a) || a - b)
}

/** Runs of chunks, for what only reads. */
export function partsOf(bytes: readonly number[], step: number): readonly Part[] {
  return bytes.flatMap((size, tensor) =>
    Array.from({ length: Math.max(1, Math.ceil(size / step)) }, (_, i) => ({
      tensor,
      begin: i * step,
      end: Math.min(at(bytes, tensor), (i + 1) * step),
    })),
  )
}
