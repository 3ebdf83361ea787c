/**
 * A merge in units that threads take one by one, the same list in every thread. Where each element is computed from its own
 * inputs alone, a unit is some chunks of a tensor, and so it is where all threads measure the tensor first; one that a single
 * thread measures is one unit, and so are all tensors of a strategy that measures the model.
 */
import { at } from '../core/invariant.ts'
import { CHUNK_BYTES } from '../tensors/tensor-hasher.ts'
import type { Measures } from './evaluate/recordings.ts'
import { type MergeTask, ruleBytes } from './task.ts'

/** Bytes `begin` to `end` of a tensor of the output, its place in the task; `begin` is where a chunk begins. */
export interface Part {
  readonly tensor: number
  readonly begin: number
  readonly end: number
}

export type Unit = readonly Part[]

/** The longest first, so that no thread begins one when the others have nothing left to do. */
export function unitsOf(
  { tensors, tileBytes }: MergeTask,
  measuresOf: (tensor: number) => Measures,
  together: readonly number[] = [],
): readonly Unit[] {
  const models = new Map<string, Part[]>()
  const wholes: Part[] = []
  const tiles: Unit[] = []
  const step = Math.ceil(tileBytes / CHUNK_BYTES) * CHUNK_BYTES
  const tilesOf = (tensor: number): Unit[] => {
    const { bytes } = at(tensors, tensor).target
    return partsOf([bytes], step).map((part) => [{ ...part, tensor }])
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
    else for (const tile of tilesOf(tensor)) tiles.push(tile)
  })
  wholes.sort((a, b) => b.end - a.end || a.tensor - b.tensor)
  return [...models.values(), ...together.flatMap(tilesOf), ...wholes.map((part) => [part]), ...tiles]
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
  if (workers === 1) return []
  const costs = tensors.map(({ rule, target }) => target.bytes + ruleBytes(rule))
  const least = Math.max(TOGETHER_BYTES, (LARGE_PART * costs.reduce((sum, cost) => sum + cost, 0)) / workers)
  return tensors
    .flatMap(({ rule }, tensor) =>
      at(costs, tensor) >= least && rule.kind === 'merge' && measuresOf(tensor) === 'tensor' ? [tensor] : [],
    )
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
