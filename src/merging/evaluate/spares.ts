/** Buffers of reductions, kept for the next one: what a merge measures with does not grow with its number of tensors. */
import type { Kernels } from '../../kernels/kernels.ts'
import { KEY_BINS } from '../../kernels/measures.ts'
import { maskBytes } from '../../kernels/strip-program.ts'
import { STRIP } from './evaluation.ts'

/** Of one table of counts. */
export const COUNTS_BYTES = 4 * (1 + KEY_BINS)

export class Spares<B> {
  readonly #kernels: Kernels<B>
  readonly #counts: Uint32Array[] = []
  readonly #planes: B[] = []
  readonly #masks: Uint8Array[] = []

  constructor(kernels: Kernels<B>) {
    this.#kernels = kernels
  }

  /** Zeros, and so they must be when they are given back. */
  takeCounts(): Uint32Array {
    return this.#counts.pop() ?? this.#kernels.allocateCounts(1 + KEY_BINS)
  }
  giveCounts(counts: Uint32Array): void {
    this.#counts.push(counts)
  }

  /** Where a program finds as many masks of `count` elements, or draws them: the same ones each time. */
  masks(masks: number, count: number): readonly Uint8Array[] {
    const bytes = maskBytes(count)
    return Array.from({ length: masks }, (_, i) => {
      const known = this.#masks[i]
      const mask = known && known.length >= bytes ? known : this.#kernels.allocateBytes(bytes)
      this.#masks[i] = mask
      return mask.subarray(0, bytes)
    })
  }

  /** A strip of zeros. */
  takePlane(): B {
    const plane = this.#planes.pop()
    return plane === undefined ? this.#kernels.allocate(STRIP) : this.#kernels.fill(STRIP, 0, plane)
  }
  givePlane(plane: B): void {
    this.#planes.push(plane)
  }
}
