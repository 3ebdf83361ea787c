/** What a merger and its worker thread say to each other, and how a failure crosses between them whole. */
import { type Details, type ErrorCode, isTributaryError, TributaryError } from '../core/errors.ts'
import type { SharedBoard } from './run-board.ts'
import type { PackedTask } from './pack-task.ts'
import type { DigestOutcome, DigestTask, TensorOutcome } from './task.ts'

export type Job =
  { readonly kind: 'merge'; readonly task: PackedTask } | { readonly kind: 'digest'; readonly task: DigestTask }

/** One thread's share of a job: all threads of it get the same board. */
export interface Request {
  readonly job: Job
  readonly board: SharedBoard
  /** Threads that work on this job. */
  readonly workers: number
}

export type Reply =
  /** Before all others: all that the thread runs is loaded. */
  | { readonly kind: 'loaded' }
  | { readonly kind: 'progress'; readonly bytesDone: number }
  | {
      readonly kind: 'tensors'
      readonly outcomes: readonly (readonly [tensor: number, TensorOutcome | DigestOutcome])[]
    }
  | { readonly kind: 'done' }
  | {
      readonly kind: 'failed'
      readonly failure: Failure
      /** In the order in which units are dealt out. */
      readonly unit: number
    }

export interface Failure {
  /** Absent for a bug. */
  readonly code?: ErrorCode
  readonly message: string
  readonly details?: Details
  readonly hint?: string
  readonly pointer?: string
  readonly stack?: string
}

export function failureOf(error: unknown): Failure {
  if (isTributaryError(error)) {
    const { code, message, details, hint, pointer } = error
    return { code, message, details, ...(hint !== undefined && { hint }), ...(pointer !== undefined && { pointer }) }
  }
  if (!(error instanceof Error)) return { message: String(error) }
  return { message: error.message, ...(error.stack !== undefined && { stack: error.stack }) }
}

export function errorOf({ code, message, details, hint, pointer, stack }: Failure): Error {
  if (code !== undefined)
    return new TributaryError(code, message, {
      ...(details && { details }),
      ...(hint !== undefined && { hint }),
      ...(pointer !== undefined && { pointer }),
    })
  const bug = new Error(message)
  if (stack !== undefined) bug.stack = stack
  return bug
}
