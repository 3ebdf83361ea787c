/** What a merge will hold in memory, before it begins: a formula over headers, shown by plans and kept by the engine. */
import { invariant } from '../core/invariant.ts'
import type { Strategy } from '../core/strategy.ts'
import { explain } from './evaluate/explain.ts'
import type { MergeRule, MergeTask } from './task.ts'

/** A whole strip of the widest dtype: the least a tile may be. */
export const TILE_STEP_BYTES = 32 * 1024
const TILE_BYTES = 1024 * 1024
/** All tiles together, where there are many streams. */
const TILES_BYTES = 64 * 1024 * 1024
/** The program itself: Node, its heap, the kernels' memory, the lists of a model's tensors. Measured: 162 MiB at 2 GiB of output. */
export const PROGRAM_BYTES = 192 * 1024 * 1024

export const streamsOf = ({ base, inputs }: MergeRule): number =>
  (base ? 1 : 0) + inputs.reduce((sum, { sidecars }) => sum + 1 + Object.keys(sidecars ?? {}).length, 0)

/** 1 MiB a stream, less where many streams would take too much together. */
export function tileBytesFor(streams: number): number {
  const fair = Math.floor(TILES_BYTES / (streams + 1) / TILE_STEP_BYTES) * TILE_STEP_BYTES
  return Math.max(TILE_STEP_BYTES, Math.min(TILE_BYTES, fair))
}

export interface RuleFact {
  readonly passes: number
  readonly stripBytes: number
  /** Something is measured over all tensors of the strategy. */
  readonly wholeModel: boolean
}

/** What the engine knows of the rules of one task, each distinct one looked at once. */
export class RuleFacts {
  readonly #strategies: readonly Strategy[]
  readonly #known = new Map<string, RuleFact>()

  constructor(strategies: readonly Strategy[]) {
    this.#strategies = strategies
  }

  of(rule: MergeRule): RuleFact {
    const { strategy: id, params, inputs } = rule
    // what each input has of its own may decide passes; explaining takes one set, so the worst of those given counts
    const own = new Set(inputs.map((input) => JSON.stringify({ ...(params as object), ...(input.params as object) })))
    const key = `${id} ${inputs.length} ${[...own].sort().join()}`
    let facts = this.#known.get(key)
    if (facts === undefined) {
      const strategy = this.#strategies.find((one) => one.id === id)
      invariant(strategy, `${id} is a strategy of this program`)
      const all = [...own].map((text) => explain(strategy, JSON.parse(text) as Record<string, unknown>, inputs.length))
      facts = {
        passes: Math.max(...all.map(({ passes }) => passes)),
        stripBytes: Math.max(...all.map(({ stripBytes }) => stripBytes)),
        wholeModel: all.some(({ wholeModel }) => wholeModel),
      }
      this.#known.set(key, facts)
    }
    return facts
  }
}

/** Of the tensor that needs most: a tile for each stream and one for the output, the strips, and the program. */
export function peakBytes({ tensors, tileBytes }: Pick<MergeTask, 'tensors' | 'tileBytes'>, facts: RuleFacts): number {
  const most = tensors.reduce(
    (so, { rule }) =>
      rule.kind === 'copy' ? so : Math.max(so, streamsOf(rule) * tileBytes + facts.of(rule).stripBytes),
    0,
  )
  return most + tileBytes + PROGRAM_BYTES
}

/** Tiles for the tensor with the most streams. */
export const tileBytesOf = (tensors: MergeTask['tensors']): number =>
  tileBytesFor(tensors.reduce((most, { rule }) => (rule.kind === 'copy' ? most : Math.max(most, streamsOf(rule))), 1))
