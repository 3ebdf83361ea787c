/**
 * The primitives every merge is made of, on strip buffers `B`. The reference set (reference.ts) is readable TypeScript and
 * is the specification; any other set must give the same bits.
 *
 * Where an operation makes a buffer it takes `out`, a buffer of the same length to write into, and returns it; without
 * `out` it allocates. For element-wise operations `out` may be one of the inputs.
 */
import type { Binary, Compare, Unary } from '../core/graph-words.ts'
import type { RandomKey } from '../core/philox.ts'
import type { Dtype } from '../tensors/dtypes.ts'
import type { BlockSum, KeyRange } from './measures.ts'
import type { RunProgram, StripProgram } from './strip-program.ts'

/**
 * Many sums side by side, one for each element. A term is the f64 product plane × weight, exact where both hold f32
 * values. Nothing is rounded until it is read, so order doesn't matter and what was added can be taken away.
 */
export interface ExactSums<B> {
  readonly length: number
  add(plane: B, weight: B, sign: 1 | -1): void
  /** The same with one weight for all elements. */
  addScaled(plane: B, weight: number, sign: 1 | -1): void
  merge(other: ExactSums<B>): void
  /**
   * Each sum rounded once to f64, half to even; a zero is +0. Beyond the largest f64 it is an infinity. A term that is
   * not finite makes its element NaN until that term is taken away.
   */
  read(out?: B): B
  clear(): void
}

export interface Kernels<B> {
  /** A buffer of zeros. */
  allocate(length: number): B
  /** Bytes on their way from or to a file, and rows of counts: any others will do, where these may be faster. */
  allocateBytes(length: number): Uint8Array
  allocateCounts(length: number): Uint32Array
  /** A task has ended: every buffer given out so far may be given out again. */
  reset(): void
  /** Bytes to f64, exactly, as `tensors/dtypes.ts` has it; answers whether all elements are finite. */
  decode(dtype: Dtype, bytes: Uint8Array, into: B): boolean
  /** f64 to bytes with one rounding; answers the index of the first element that is not finite after it, or −1. */
  encode(dtype: Dtype, from: B, into: Uint8Array): number
  /** How many elements no merge could take, as `tensors/dtypes.ts` has it. */
  countNotFinite(dtype: Dtype, bytes: Uint8Array): number
  /** Elements first … first + count − 1, sharing the memory. */
  view(a: B, first: number, count: number): B
  fill(length: number, value: number, out?: B): B
  binary(op: Binary, a: B, b: B, out?: B): B
  unary(op: Unary, a: B, out?: B): B
  /** Masks are 0 and 1. */
  compare(op: Compare, a: B, b: B, out?: B): B
  /** a where the mask is not 0, else b. */
  choose(mask: B, a: B, b: B, out?: B): B
  /** A mask: element `first + i` is kept where its random word is below round(probability · 2³²), half to even. */
  keep(key: RandomKey, first: number, probability: B, out?: B): B
  /** Sum over one block of at most 4,096 elements: element i joins lane i mod 8, ((0+1)+(2+3))+((4+5)+(6+7)). */
  reduce(op: BlockSum, a: B, b?: B): number
  /** Counts magnitude keys: those above the range in the first place, those in it behind. */
  histogram(a: B, range: KeyRange, into: Uint32Array): void
  countEqual(a: B, key: number): number
  /** Index of the n-th element, from 1, with this magnitude key; −1 where fewer are here. */
  nthEqual(a: B, key: number, n: number): number
  /** A mask: magnitude key above `key`, or equal to it at an index `first + i` of at most `lastTie`. */
  aboveCutoff(a: B, first: number, key: number, lastTie: number, out?: B): B
  /** Each element's values ascending, −0 before +0, over the planes. `out` may be the planes themselves. */
  sort(planes: readonly B[], out?: readonly B[]): readonly B[]
  /** Σ weightᵢ · planeᵢ as `exactSums` has it, without keeping the sums. */
  weightedSum(planes: readonly B[], weights: readonly number[], out?: B): B
  exactSums(length: number): ExactSums<B>
  /**
   * Decode, `weightedSum`, one division and encode in one go, from bytes to bytes of one dtype. False where this set has
   * no way of doing that, or an input or a result is not finite: then `out` holds nothing of use. `out` is no stream.
   */
  average(
    dtype: Dtype,
    streams: readonly Uint8Array[],
    weights: readonly number[],
    divisor: number,
    out: Uint8Array,
  ): boolean
  /** A way of running all steps of a program in one go; undefined where this set has none, or not for all of its words. */
  compile(program: StripProgram): RunProgram | undefined
}
