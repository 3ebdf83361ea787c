/**
 * A merge in units that threads take one by one, the same list in every thread. Where each element is computed from its own
 * inputs alone, a unit is some chunks of a tensor; a tensor that is measured first is one unit, and so are all tensors of a
 * strategy that measures the model.
 */
import { at } from '../core/invariant.ts'
import { CHUNK_BYTES } from '../tensors/tensor-hasher.ts'
import type { Measures } from './evaluate/recordings.ts'
import type { MergeTask } from './task.ts'

/** Bytes `begin` to `end` of a tensor of the output, its place in the task; `begin` is where a chunk begins. */
export interface Part {
  readonly tensor: number
  readonly begin: number
  readonly end: number
}

export type Unit = readonly Part[]

/** The longest first, so that no thread begins one when the others have nothing left to do. */
export function unitsOf({ tensors, tileBytes }: MergeTask, measuresOf: (tensor: number) => Measures): readonly Unit[] {
  const models = new Map<string, Part[]>()
  const wholes: Part[] = []
  const tiles: Unit[] = []
  const step = Math.ceil(tileBytes / CHUNK_BYTES) * CHUNK_BYTES
  tensors.forEach(({ rule, target: { bytes } }, tensor) => {
    const whole: Part = { tensor, begin: 0, end: bytes }
    const measures = rule.kind === 'copy' ? 'nothing' : measuresOf(tensor)
    if (rule.kind === 'merge' && measures === 'model') {
      const parts = models.get(rule.strategy) ?? []
      models.set(rule.strategy, parts)
      parts.push(whole)
    } else if (measures === 'tensor') wholes.push(whole)
    else if (bytes === 0) tiles.push([whole])
    else
      for (let begin = 0; begin < bytes; begin += step)
        tiles.push([{ tensor, begin, end: Math.min(bytes, begin + step) }])
  })
  wholes.sort((a, b) => b.end - a.end || a.tensor - b.tensor)
  return [...models.values(), ...wholes.map((part) => [part]), ...tiles]
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
