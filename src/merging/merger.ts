/**
 * Port: something that runs merge and digest tasks: a worker thread in a replica, the same code inline in tests.
 * Tasks given while another runs wait their turn.
 */
import type { DigestOutcome, DigestTask, MergeTask, TensorOutcome } from './task.ts'

export interface Watch {
  /** Bytes of output written, or of input hashed, so far. */
  readonly onProgress?: (bytesDone: number) => void
  /** A tensor is whole, and its bytes are written. Tensors may come in any order. */
  readonly onTensor?: (outcome: TensorOutcome) => void
  /** Aborting ends the task with MERGE_CANCELLED at the next tile. */
  readonly signal?: AbortSignal
}

/** What a merger may use of the machine. */
export interface Resources {
  /** Threads that compute. */
  readonly workers: number
  /** Of the whole program while it merges; absent: what a merge takes by itself. */
  readonly memoryBytes?: number
}

export interface Merger {
  readonly resources: Resources
  merge(task: MergeTask, watch?: Watch): Promise<readonly TensorOutcome[]>
  digest(task: DigestTask, watch?: Watch): Promise<readonly DigestOutcome[]>
  /** One task comes soon, which reads so many bytes, and little after it: whatever takes time to start may start now. */
  warm?(bytes: number): void
  /** No task is expected any more: what takes time to stop may stop now. One that comes all the same is served. */
  dismiss?(): void
  close(): Promise<void>
}
