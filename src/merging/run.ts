/** What a running task tells and asks, whether it runs in a worker thread or inline: progress out, cancellation in. */
import { TributaryError } from '../core/errors.ts'
import type { TensorOutcome } from './task.ts'

export interface RunWatch {
  readonly onProgress?: (bytesDone: number) => void
  /** A tensor of the output is whole and written. */
  readonly onTensor?: (outcome: TensorOutcome) => void
  /** Asked at every tile. */
  readonly isCancelled?: () => boolean
}

/** Progress is told at most this many times, however small the tiles. */
const REPORTS_MAX = 256

/** Counts bytes; throws MERGE_CANCELLED where the task is no longer wanted. */
export class Pace {
  readonly #watch: RunWatch
  readonly #every: number
  #done = 0
  #told = 0

  constructor(watch: RunWatch, bytes: number) {
    this.#watch = watch
    this.#every = Math.max(1, Math.floor(bytes / REPORTS_MAX))
  }

  /** Before every tile that is read or written. */
  check(): void {
    if (this.#watch.isCancelled?.() === true)
      throw new TributaryError('MERGE_CANCELLED', 'the merge was cancelled', { hint: 'start it again to have it' })
  }

  advance(bytes: number): void {
    this.#done += bytes
    if (this.#done - this.#told >= this.#every) this.#tell()
    this.check()
  }

  finish(): void {
    if (this.#done > this.#told) this.#tell()
  }

  #tell(): void {
    this.#told = this.#done
    this.#watch.onProgress?.(this.#done)
  }
}
