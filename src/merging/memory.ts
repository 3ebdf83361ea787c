/**
 * What a merge will hold in memory, before it begins: a formula over headers, shown by plans and kept by the engine. Where
 * a budget is stated, tiles and threads are chosen to fit it.
 */
import { TributaryError } from '../core/errors.ts'
import { at, invariant } from '../core/invariant.ts'
import type { Strategy } from '../core/strategy.ts'
import { maskBytes } from '../kernels/strip-program.ts'
import { MASKS_BYTES } from './boards.ts'
import { explainPrepared } from './evaluate/explain-prepared.ts'
import { masksBytes } from './evaluate/masks.ts'
import type { Resources } from './merger.ts'
import type { MergeRule, MergeTask } from './task.ts'

const MIB = 1024 * 1024
/** A whole strip of the widest dtype: the least a tile may be. */
export const TILE_STEP_BYTES = 32 * 1024
/** Three streams and an output of this size stay in the cache of a core: 6 % less time than with four times as much. */
const TILE_BYTES = MIB / 2
/** All tiles of a thread, so that they stay there: a hundred streams then take half the time. */
const TILES_BYTES = 3 * MIB
/** Below, a tile costs more than what is in it: rather fewer threads. */
const TILE_FAIR_BYTES = MIB / 4
/** Bytes of one element, at least, of what programs read at once. */
const LEAST_BYTES = 8
/** The program itself: Node and its heap. */
export const PROGRAM_BYTES = 128 * MIB
/** A thread: its heap, and what kernels keep beside tiles and strips. */
export const WORKER_BYTES = 24 * MIB

/** Of each tensor of each input and of the output, in all the lists that name it, and what they leave to be collected. */
const ENTRY_BYTES = 5 * 1024

export interface MemoryPlan {
  /** For random masks that a thread keeps; all threads share as much once more. */
  readonly maskBytes: number
  /** Bytes of one tile of one stream. */
  readonly tileBytes: number
  readonly workers: number
  readonly peakBytes: number
}

export const streamsOf = ({ base, inputs }: MergeRule): number =>
  (base ? 1 : 0) + inputs.reduce((sum, { sidecars }) => sum + 1 + Object.keys(sidecars ?? {}).length, 0)

/** 512 KiB a stream, less where many streams would take too much together. */
export const tileBytesFor = (streams: number): number => Math.min(TILE_BYTES, stepped(TILES_BYTES / (streams + 1)))

const stepped = (bytes: number): number =>
  Math.max(TILE_STEP_BYTES, Math.floor(bytes / TILE_STEP_BYTES) * TILE_STEP_BYTES)

export interface RuleFact {
  readonly passes: number
  /** Strips, and what is measured with. */
  readonly ownBytes: number
  /** Of these, what threads share besides where they measure together. */
  readonly measuringBytes: number
  /** Something is measured over all tensors of the strategy. */
  readonly wholeModel: boolean
  /** Random masks that passes over a tensor have in common. */
  readonly masks: number
}

/** What the engine knows of the rules of one task, each distinct one looked at once. */
export class RuleFacts {
  readonly #strategies: readonly Strategy[]
  readonly #known = new Map<string, RuleFact>()
  /** Of each record of params: its text. Many tensors share one record. */
  readonly #texts = new Map<unknown, string>()
  #latest: { readonly rule: MergeRule; readonly facts: RuleFact } | undefined

  constructor(strategies: readonly Strategy[]) {
    this.#strategies = strategies
  }

  of(rule: MergeRule): RuleFact {
    const latest = this.#latest
    if (latest && isAlike(latest.rule, rule)) return latest.facts
    const facts = this.#find(rule)
    this.#latest = { rule, facts }
    return facts
  }

  #find(rule: MergeRule): RuleFact {
    const { strategy: id, params, inputs } = rule
    // what each input has of its own may decide passes; explaining takes one set, so the worst of those given counts
    const texts = new Set(inputs.map((input) => this.#textOf(input.params)))
    const key = `${id} ${inputs.length} ${this.#textOf(params)} ${[...texts].sort().join()}`
    let facts = this.#known.get(key)
    if (facts === undefined) {
      const strategy = this.#strategies.find((one) => one.id === id)
      invariant(strategy, `${id} is a strategy of this program`)
      const all = [...texts].map((own) => explainPrepared(strategy, params, JSON.parse(own), inputs.length))
      facts = {
        passes: Math.max(...all.map(({ passes }) => passes)),
        ownBytes: Math.max(...all.map(({ stripBytes, measuringBytes }) => stripBytes + measuringBytes)),
        measuringBytes: Math.max(...all.map(({ measuringBytes }) => measuringBytes)),
        wholeModel: all.some(({ wholeModel }) => wholeModel),
        masks: Math.max(...all.map(({ masks }) => masks)),
      }
      this.#known.set(key, facts)
    }
    return facts
  }

  #textOf(params: unknown): string {
    let text = this.#texts.get(params)
    if (text === undefined) this.#texts.set(params, (text = JSON.stringify(params)))
    return text
  }
}

/** Of the same records: the engine knows the same of both. */
const isAlike = (a: MergeRule, b: MergeRule): boolean =>
  a.strategy === b.strategy &&
  a.params === b.params &&
  a.inputs.length === b.inputs.length &&
  a.inputs.every(({ params }, i) => params === b.inputs[i]!.params)

type Tensors = MergeTask['tensors']

/** What tensors ask for, each distinct demand once. */
interface Demand {
  readonly streams: number
  readonly ownBytes: number
  readonly masks: number
}

function demandsOf(tensors: Tensors, facts: RuleFacts): readonly Demand[] {
  const demands = new Map<number, Demand>()
  for (const { rule } of tensors) {
    if (rule.kind === 'copy') continue
    const streams = streamsOf(rule)
    const known = demands.get(streams)
    const { ownBytes, masks } = facts.of(rule)
    demands.set(streams, {
      streams,
      ownBytes: Math.max(ownBytes, known?.ownBytes ?? 0),
      masks: Math.max(masks, known?.masks ?? 0),
    })
  }
  return [...demands.values()]
}

const bytesFor = (demands: readonly Demand[], tileBytes: number): number =>
  tileBytes +
  demands.reduce(
    (most, { streams, ownBytes, masks }) =>
      Math.max(most, streams * tileBytes + ownBytes + masks * maskBytes(tileBytes / LEAST_BYTES)),
    0,
  )

/** Tiles and strips of one thread, at the tensor that needs most. */
export const bufferBytes = (tensors: Tensors, tileBytes: number, facts: RuleFacts): number =>
  bytesFor(demandsOf(tensors, facts), tileBytes)

/** Of all masks of one tensor, at most. */
const masksDemand = (tensors: Tensors, facts: RuleFacts): number =>
  tensors.reduce(
    (most, { rule, elements }) =>
      rule.kind === 'copy' ? most : Math.max(most, masksBytes(facts.of(rule).masks, elements)),
    0,
  )

/** Lists by tensor, which no budget makes smaller. */
export const listBytes = (tensors: Tensors): number =>
  ENTRY_BYTES * tensors.reduce((sum, { rule }) => sum + 1 + (rule.kind === 'copy' ? 1 : streamsOf(rule)), 0)

/** The tiles and threads of a task; a budget that not even one thread with the smallest tiles keeps is refused. */
export function planMemory(tensors: Tensors, facts: RuleFacts, { workers, memoryBytes }: Resources): MemoryPlan {
  const demands = demandsOf(tensors, facts)
  const streams = demands.reduce((most, demand) => Math.max(most, demand.streams), 1)
  const sharedBytes = tensors.reduce(
    (most, { rule }) => (rule.kind === 'copy' ? most : Math.max(most, facts.of(rule).measuringBytes)),
    0,
  )
  const lists = listBytes(tensors)
  const plans = choices(streams, workers, masksDemand(tensors, facts)).map((choice) => ({
    ...choice,
    peakBytes:
      PROGRAM_BYTES +
      lists +
      choice.workers * (WORKER_BYTES + bytesFor(demands, choice.tileBytes) + choice.maskBytes) +
      (choice.workers > 1 ? sharedBytes + choice.workers * choice.maskBytes : 0),
  }))
  const plan = plans.find(({ peakBytes }) => memoryBytes === undefined || peakBytes <= memoryBytes)
  if (plan) return plan
  const least = at(plans, plans.length - 1).peakBytes
  throw new TributaryError(
    'MEMORY_BUDGET_TOO_SMALL',
    `this merge takes at least ${least} bytes of memory, and ${memoryBytes ?? 0} are allowed`,
    { details: { least, allowed: memoryBytes ?? 0 }, hint: `allow ${Math.ceil(least / MIB)}MiB` },
  )
}

type Choice = Omit<MemoryPlan, 'peakBytes'>

/** The fastest first: smaller tiles, then no masks, then fewer threads, at last the smallest tiles in one. */
function choices(streams: number, most: number, masks: number): Choice[] {
  const found: Choice[] = []
  for (let workers = most; workers >= 1; workers--) {
    const least = workers === 1 ? TILE_STEP_BYTES : TILE_FAIR_BYTES
    for (const maskBytes of new Set([Math.min(masks, MASKS_BYTES / workers), 0])) {
      let tileBytes = tileBytesFor(streams)
      found.push({ tileBytes, maskBytes, workers })
      while (tileBytes > least) found.push({ tileBytes: (tileBytes = stepped(tileBytes / 2)), maskBytes, workers })
    }
  }
  return found
}
