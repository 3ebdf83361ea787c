/**
 * The largest magnitudes of a scope, exactly: passes that count keys close in on the one of the last element kept, and a
 * last one finds the last tie kept. Ties go to the lowest index, counted through the whole scope. Whoever owns the elements
 * shows every block in each pass, in order; where the scope is large, first only some of them, anywhere.
 */
import { invariant } from '../core/invariant.ts'
import type { Kernels } from './kernels.ts'
import { KEY_BINS, KEY_MAX, type KeyRange } from './measures.ts'
import type { Measure } from './strip-program.ts'

/** What `aboveCutoff` takes: keys above `key` are kept, equal ones up to index `lastTie`. */
export interface Cutoff {
  readonly key: number
  readonly lastTie: number
}

/** A cutoff of which only the last tie is not known: how many ties are still to come, and the index of the last or −1. */
export interface OpenCutoff {
  readonly key: number
  readonly ties: Float64Array
}

const NOTHING: Cutoff = { key: KEY_MAX, lastTie: -1 }
/** Sampled keys are told apart no finer than this. */
const SAMPLE_SHIFT = 15
/** Scopes of fewer elements are not sampled. */
const SAMPLED_MIN = 2 ** 20
/** Standard deviations within which a rank in a sample is looked for, and the least part of the sample to either side. */
const DEVIATIONS = 6
const LEAST_PART = 0.002

/** How many of `length` elements a density keeps: one f64 product, truncated. 0.29 of 100 is 28, and so it stays. */
export const keepCount = (density: number, length: number): number =>
  density > 0 ? Math.trunc(Math.min(density, 1) * length) : 0

const STAGES = ['sample', 'count', 'ties'] as const
/** More than any tensor has, so that all are counted. */
const COUNTLESS = 2 ** 53
/** Of a search, as another thread goes on with it. */
export const SEARCH_NUMBERS = 11
const LEFT = 6
const LAST = 7

const everything = (): KeyRange => ({ low: 0, high: KEY_MAX, shift: SAMPLE_SHIFT })
function between(low: number, high: number): KeyRange {
  let shift = 0
  while ((high - low) >>> shift >= KEY_BINS) shift += 1
  return { low, high, shift }
}

export class CutoffSearch<B> {
  readonly #kernels: Kernels<B>
  readonly #elements: number
  readonly #wanted: number
  #stage: (typeof STAGES)[number] = 'count'
  #range = everything()
  /** Keys above the range so far, and elements seen in the sample. */
  #above = 0
  #sampled = 0
  /** Of ties: how many are kept; then how many are still to come, and the index of the last. */
  #tied = 0
  readonly #ties = Float64Array.of(0, -1)
  /** Keys above the range, then those in it. */
  readonly #counts: Uint32Array
  #cutoff: Cutoff | undefined

  /** Of `elements` in the scope. `counts` are zeros, and are so again once the cutoff is known. */
  constructor(kernels: Kernels<B>, counts: Uint32Array, wanted: number, elements = 0, sampledMin = SAMPLED_MIN) {
    this.#kernels = kernels
    this.#wanted = wanted
    this.#elements = elements
    this.#counts = counts
    if (elements >= sampledMin) this.#stage = 'sample'
    if (wanted === 0) this.#cutoff = NOTHING
  }

  /** Known after the last pass; at once where nothing is wanted. */
  get cutoff(): Cutoff | undefined {
    return this.#cutoff
  }

  /** All but the last tie is known: whoever goes through the scope once more, in order, can find it on the way. */
  get open(): OpenCutoff | undefined {
    return this.#stage === 'ties' && !this.#cutoff ? { key: this.#range.low, ties: this.#ties } : undefined
  }

  /** Of ties none was found yet: somebody else gave up. */
  restart(): void {
    this.#ties.set([this.#tied, -1])
  }

  /** Whether some blocks will do in this pass. */
  get samples(): boolean {
    return this.#stage === 'sample'
  }

  /** One block, whose elements are `first`, `first + 1`, … of the scope. */
  see(block: B, first: number): void {
    if (this.#cutoff) return
    if (this.#stage !== 'ties') {
      this.#kernels.histogram(block, this.#range, this.#counts)
      return
    }
    const { low } = this.#range
    const wanted = this.#ties[0]!
    if (wanted === 0) return
    const here = this.#kernels.countEqual(block, low)
    if (here >= wanted) this.#ties[1] = first + this.#kernels.nthEqual(block, low, wanted)
    this.#ties[0] = Math.max(0, wanted - here)
  }

  /** What a program may do in place of `see`, in this pass, for elements of which the first is `offset` of the scope. */
  measure(offset = 0): Measure | undefined {
    if (this.#cutoff) return undefined
    if (this.#stage === 'ties') return { measure: 'nth', key: this.#range.low, offset, state: this.#ties }
    return { measure: 'histogram', range: this.#range, counts: this.#counts }
  }

  /** What is seen from here on is a part of the scope, and is joined with others by `join` and `pour`. */
  beginPart(): void {
    this.#ties[0] = COUNTLESS
    this.#ties[1] = -1
  }

  get tiesOfPart(): number {
    return COUNTLESS - this.#ties[0]!
  }

  /** Of parts in the order of the scope: how many ties are left, and the last. `again` shows this part, of so many, once more. */
  join(numbers: Float64Array, here: number, again: () => void): void {
    if (this.#stage !== 'ties') return
    const left = numbers[LEFT]!
    if (left > 0 && here >= left) {
      this.#ties[0] = left
      again()
      numbers[LAST] = this.#ties[1]!
    }
    numbers[LEFT] = Math.max(0, left - here)
  }

  /** Counts of parts, in whatever order, into those of all threads. */
  pour(counts: Uint32Array): void {
    const own = this.#counts
    for (let i = 0; i < own.length; i++) if (own[i] !== 0) Atomics.add(counts, i, own[i]!)
    own.fill(0)
  }

  /** Takes over what all threads have counted in this pass. */
  gather(numbers: Float64Array, counts: Uint32Array): void {
    this.#counts.set(counts)
    counts.fill(0)
    this.#ties.set(numbers.subarray(LEFT, LAST + 1))
  }

  save(to: Float64Array): void {
    const { low, high, shift } = this.#range
    const { key, lastTie } = this.#cutoff ?? NOTHING
    const known = this.#cutoff ? 1 : 0
    to.set([
      STAGES.indexOf(this.#stage),
      low,
      high,
      shift,
      this.#above,
      this.#sampled,
      ...this.#ties,
      known,
      key,
      lastTie,
    ])
  }

  load(from: Float64Array): void {
    const [stage, low, high, shift, above, sampled, left, last, known, key, lastTie] = from
    this.#stage = STAGES[stage!]!
    this.#range = { low: low!, high: high!, shift: shift! }
    this.#above = above!
    this.#sampled = sampled!
    this.#ties.set([left!, last!])
    this.#cutoff = known === 1 ? { key: key!, lastTie: lastTie! } : undefined
  }

  /** A tensor of the scope has been seen whole, so what it counted fits 32 bits. */
  endTensor(): void {
    this.#above += this.#counts[0]!
    this.#counts[0] = 0
  }

  /** Every block has been seen once more. */
  endPass(): void {
    if (this.#cutoff) return
    if (this.#stage === 'ties') {
      const [left, lastTie] = this.#ties
      invariant(left === 0, 'no more elements can be kept than there are')
      this.#cutoff = { key: this.#range.low, lastTie: lastTie! }
      return
    }
    this.endTensor()
    if (this.#stage === 'sample') this.#closeIn()
    else this.#count()
    this.#counts.fill(0, 1)
    this.#above = 0
  }

  /** A sample says where the key most likely is. */
  #closeIn(): void {
    this.#stage = 'count'
    const counts = this.#counts
    this.#sampled = counts.reduce((sum, count) => sum + count, 0)
    if (this.#sampled === 0) return
    const part = this.#wanted / this.#elements
    const rank = part * this.#sampled
    const off = Math.max(DEVIATIONS * Math.sqrt(rank * (1 - part)), LEAST_PART * this.#sampled)
    const { low } = this.#range
    const binOf = (wanted: number): number => {
      let left = wanted
      let bin = KEY_MAX >>> SAMPLE_SHIFT
      for (; bin > 0 && counts[1 + bin]! < left; bin--) left -= counts[1 + bin]!
      return bin
    }
    const top = binOf(Math.max(1, rank - off))
    const bottom = rank + off >= this.#sampled ? 0 : binOf(rank + off)
    this.#range = between(low + bottom * 2 ** SAMPLE_SHIFT, low + (top + 1) * 2 ** SAMPLE_SHIFT - 1)
  }

  #count(): void {
    const counts = this.#counts
    const { low, high, shift } = this.#range
    let left = this.#wanted - this.#above
    let bin = (high - low) >>> shift
    for (; bin >= 0 && counts[1 + bin]! < left; bin--) left -= counts[1 + bin]!
    if (left <= 0 || bin < 0) {
      // the sample misled
      invariant(low > 0 || high < KEY_MAX, 'no more elements can be kept than there are')
      this.#range = everything()
      return
    }
    const key = low + bin * 2 ** shift
    this.#range = between(key, Math.min(high, key + 2 ** shift - 1))
    if (shift > 0) return
    this.#stage = 'ties'
    this.#tied = left
    this.restart()
    if (left === counts[1 + bin]! && this.#elements > 0) this.#cutoff = { key, lastTie: this.#elements - 1 }
  }
}
