/** How elements are counted and added up: in blocks, and by their magnitudes. */
import type { Reduction } from '../core/graph-words.ts'

/** Elements in one block of the fixed-lane sums. */
export const BLOCK = 4096

/** Magnitudes are compared by 31 bits: those of |value| as an f32. */
export const KEY_MAX = 0x7fffffff
/** Counts that a histogram of keys may have, the one of the keys above it aside. */
export const KEY_BINS = 2 ** 17

/** Keys from `low` to `high`, told apart by 2^shift. */
export interface KeyRange {
  readonly low: number
  readonly high: number
  readonly shift: number
}

/** What a block sum adds up: terms of a, or of a and b. `squaredDistance` is Σ(a − b)². */
export type BlockSum = Reduction | 'squaredDistance'

/** Sums that there are of narrow planes: of one plane alone, or every dot of two. */
export const isNarrowSum = (op: BlockSum, pairs: readonly (readonly [number, number])[]): boolean =>
  op === 'dot' ? pairs.join(' ') === '0,0 0,1 1,1' : op !== 'squaredDistance' && pairs.join(' ') === '0,0'
