/**
 * The largest magnitudes of a scope, exactly: three counting passes find the key of the last one kept, a fourth finds the
 * last tie kept. Ties go to the lowest index, counted through the whole scope. Whoever owns the elements shows every
 * block in each pass, in order.
 */
import { invariant } from '../core/invariant.ts'
import type { Kernels } from './kernels.ts'
import { type Digit, DIGITS } from './measures.ts'
import type { Measure } from './strip-program.ts'

/** What `aboveCutoff` takes: keys above `key` are kept, equal ones up to index `lastTie`. */
export interface Cutoff {
  readonly key: number
  readonly lastTie: number
}

const NOTHING: Cutoff = { key: 0x7fffffff, lastTie: -1 }

/** How many of `length` elements a density keeps: one f64 product, truncated. 0.29 of 100 is 28, and so it stays. */
export const keepCount = (density: number, length: number): number =>
  density > 0 ? Math.trunc(Math.min(density, 1) * length) : 0

export class CutoffSearch<B> {
  readonly #kernels: Kernels<B>
  #wanted: number
  #key = 0
  #digit: Digit | 'ties' = 0
  #counts: Uint32Array
  #cutoff: Cutoff | undefined

  constructor(kernels: Kernels<B>, wanted: number) {
    this.#kernels = kernels
    this.#wanted = wanted
    this.#counts = kernels.allocateCounts(DIGITS[0].bins)
    if (wanted === 0) this.#cutoff = NOTHING
  }

  /** Known after the last pass; at once where nothing is wanted. */
  get cutoff(): Cutoff | undefined {
    return this.#cutoff
  }

  /** One block, whose elements are `first`, `first + 1`, … of the scope. */
  see(block: B, first: number): void {
    if (this.#cutoff) return
    if (this.#digit !== 'ties') {
      this.#kernels.histogram(block, this.#digit, this.#key, this.#counts)
      return
    }
    const here = this.#kernels.countEqual(block, this.#key)
    if (here < this.#wanted) this.#wanted -= here
    else
      this.#cutoff = {
        key: this.#key,
        lastTie: first + this.#kernels.nthEqual(block, this.#key, this.#wanted),
      }
  }

  /** What a program may do in place of `see`, in this pass. */
  measure(): Measure | undefined {
    const digit = this.#digit
    if (this.#cutoff || digit === 'ties') return undefined
    return { measure: 'histogram', digit, prefix: this.#key, counts: this.#counts }
  }

  /** Every block has been seen once more. */
  endPass(): void {
    if (this.#cutoff) return
    invariant(this.#digit !== 'ties', 'no more elements can be kept than there are')
    const counts = this.#counts
    let bin = counts.length - 1
    for (; counts[bin]! < this.#wanted; bin--) {
      this.#wanted -= counts[bin]!
      invariant(bin > 0, 'no more elements can be kept than there are')
    }
    this.#key = (this.#key << DIGITS[this.#digit].bits) | bin
    this.#digit = this.#digit === 0 ? 1 : this.#digit === 1 ? 2 : 'ties'
    counts.fill(0)
    if (this.#digit !== 'ties') this.#counts = counts.subarray(0, DIGITS[this.#digit].bins)
  }
}
