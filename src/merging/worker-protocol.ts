/** What a merger and its worker thread say to each other, and how a failure crosses between them whole. */
import { type Details, type ErrorCode, isTributaryError, TributaryError } from '../core/errors.ts'
import type { DigestOutcome, DigestTask, MergeTask, TensorOutcome } from './task.ts'

export type Job =
  { readonly kind: 'merge'; readonly task: MergeTask } | { readonly kind: 'digest'; readonly task: DigestTask }

export interface Request {
  readonly job: Job
  /** One word of shared memory; not zero means cancelled. A message would wait until the job had ended. */
  readonly flag: SharedArrayBuffer
}

export type Reply =
  | { readonly kind: 'progress'; readonly bytesDone: number }
  | { readonly kind: 'tensor'; readonly outcome: TensorOutcome }
  | { readonly kind: 'done'; readonly outcomes: readonly TensorOutcome[] | readonly DigestOutcome[] }
  | { readonly kind: 'failed'; readonly failure: Failure }

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
