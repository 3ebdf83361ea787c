/** What a running task tells and asks, whether it runs in worker threads or inline: progress out, cancellation in. */
import { TributaryError } from '../core/errors.ts'
import type { RunBoard } from './run-board.ts'

interface PaceWatch {
  readonly onProgress?: (bytesDone: number) => void
  /** Asked at every tile. */
  readonly isCancelled?: () => boolean
}

export interface RunWatch<Outcome> extends PaceWatch {
  /** A tensor is whole, and of an output: written. */
  readonly onTensor?: (outcome: Outcome, tensor: number) => void
}

/** A task, run by everyone who takes units of it from the board until none is left. */
export type Work<Outcome> = (board: RunBoard, watch: RunWatch<Outcome>, taken: (unit: number) => void) => void

/** Progress is told at most this many times, however small the tiles. */
const REPORTS_MAX = 256

/** Counts the bytes that all do together; throws MERGE_CANCELLED where the unit at hand is no longer wanted. */
export class Pace {
  readonly #board: RunBoard
  readonly #watch: PaceWatch
  readonly #every: number
  readonly #taken: (unit: number) => void
  #unit = 0

  constructor(board: RunBoard, watch: PaceWatch, bytes: number, taken: (unit: number) => void) {
    this.#board = board
    this.#watch = watch
    this.#every = Math.max(1, Math.floor(bytes / REPORTS_MAX))
    this.#taken = taken
  }

  /** Units as they are dealt out, until there is none or the task is no longer wanted. */
  *units<Unit>(all: readonly Unit[]): Iterable<Unit> {
    for (;;) {
      this.#unit = this.#board.take()
      this.#taken(this.#unit)
      const unit = all[this.#unit]
      if (unit === undefined) return
      this.check()
      yield unit
    }
  }

  /** Before every tile that is read or written. */
  check(): void {
    if (this.#watch.isCancelled?.() === true || !this.#board.isWanted(this.#unit)) throw cancelled()
  }

  advance(bytes: number): void {
    const before = this.#board.advance(bytes)
    const after = before + bytes
    if (Math.floor(before / this.#every) < Math.floor(after / this.#every)) this.#watch.onProgress?.(after)
    this.check()
  }
}

export const cancelled = () =>
  new TributaryError('MERGE_CANCELLED', 'the merge was cancelled', { hint: 'start it again to have it' })

/** Progress as it is told on: it only grows, and ends at the total. */
export class Progress {
  readonly #tell: ((bytesDone: number) => void) | undefined
  #told = 0

  constructor(tell: ((bytesDone: number) => void) | undefined) {
    this.#tell = tell
  }

  readonly to = (bytesDone: number): void => {
    if (bytesDone <= this.#told) return // threads overtake each other
    this.#told = bytesDone
    this.#tell?.(bytesDone)
  }
}

/** Everything done by the one who calls. */
export function runAlone<Outcome>(
  work: Work<Outcome>,
  board: RunBoard,
  bytes: number,
  { onProgress, onTensor, isCancelled }: RunWatch<Outcome>,
): readonly Outcome[] {
  const progress = new Progress(onProgress)
  const outcomes: Outcome[] = []
  const watch: RunWatch<Outcome> = {
    ...(isCancelled && { isCancelled }),
    onProgress: progress.to,
    onTensor: (outcome, tensor) => {
      outcomes[tensor] = outcome
      onTensor?.(outcome, tensor)
    },
  }
  work(board, watch, () => undefined)
  progress.to(bytes)
  return outcomes
}
