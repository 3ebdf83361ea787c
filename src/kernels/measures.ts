/** How elements are counted and added up: in blocks, and by the digits of their magnitudes. */
import type { Reduction } from '../core/graph-words.ts'

/** Elements in one block of the fixed-lane sums. */
export const BLOCK = 4096

/** A magnitude's 31-bit key is read in three digits, the highest first. */
export const DIGITS = [
  { shift: 20, bits: 11, bins: 2048 },
  { shift: 10, bits: 10, bins: 1024 },
  { shift: 0, bits: 10, bins: 1024 },
] as const
export type Digit = 0 | 1 | 2

/** What a block sum adds up: terms of a, or of a and b. `squaredDistance` is Σ(a − b)². */
export type BlockSum = Reduction | 'squaredDistance'
