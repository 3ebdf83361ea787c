/** What a merge will hold in memory, before it begins: a formula over headers, shown by plans and kept by the engine. */
import type { Strategy } from '../core/strategy.ts'
import { explain } from './evaluate/explain.ts'
import type { MergeRule, MergeTask } from './task.ts'

/** A whole strip of the widest dtype: the least a tile may be. */
export const TILE_STEP_BYTES = 32 * 1024
const TILE_BYTES = 1024 * 1024
/** All tiles together, where there are many streams. */
const TILES_BYTES = 64 * 1024 * 1024
/** The program itself: Node, its heap, the lists of a model's tensors. */
export const PROGRAM_BYTES = 150 * 1024 * 1024

export const streamsOf = ({ base, inputs }: MergeRule): number =>
  (base ? 1 : 0) + inputs.reduce((sum, { sidecars }) => sum + 1 + Object.keys(sidecars ?? {}).length, 0)

/** 1 MiB a stream, less where many streams would take too much together. */
export function tileBytesFor(streams: number): number {
  const fair = Math.floor(TILES_BYTES / (streams + 1) / TILE_STEP_BYTES) * TILE_STEP_BYTES
  return Math.max(TILE_STEP_BYTES, Math.min(TILE_BYTES, fair))
}

/** Of the tensor that needs most: a tile for each stream and one for the output, the strips, and the program. */
export function peakBytes(task: Pick<MergeTask, 'tensors' | 'tileBytes'>, strategies: readonly Strategy[]): number {
  const strips = new Map<string, number>()
  let most = 0
  for (const { rule } of task.tensors) {
    if (rule.kind === 'copy') continue
    const key = `${rule.strategy} ${rule.inputs.length} ${JSON.stringify(rule.params)}`
    let stripBytes = strips.get(key)
    if (stripBytes === undefined) {
      stripBytes = stripBytesOf(rule, strategies)
      strips.set(key, stripBytes)
    }
    most = Math.max(most, streamsOf(rule) * task.tileBytes + stripBytes)
  }
  return most + task.tileBytes + PROGRAM_BYTES
}

function stripBytesOf({ strategy: id, params, inputs }: MergeRule, strategies: readonly Strategy[]): number {
  const strategy = strategies.find((one) => one.id === id)
  return strategy === undefined
    ? 0
    : explain(strategy, params as Readonly<Record<string, unknown>>, inputs.length).stripBytes
}

/** Tiles for the tensor with the most streams. */
export const tileBytesOf = (tensors: MergeTask['tensors']): number =>
  tileBytesFor(tensors.reduce((most, { rule }) => (rule.kind === 'copy' ? most : Math.max(most, streamsOf(rule))), 1))
