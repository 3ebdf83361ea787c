/** The board of each kind of job. Light: whoever starts threads needs it before anything that computes is loaded. */
import { RunBoard, type SharedBoard } from './run-board.ts'
import type { DigestTask, MergeTask } from './task.ts'

/** Address space: memory only where it is touched. Tables for some fifty cutoffs at a time, and numbers. */
export const MEASURES_BYTES = 32 * 1024 * 1024

/** Random masks that are kept of tensors, by all threads: those of three contributions of 80 million elements. */
export const MASKS_BYTES = 32 * 1024 * 1024
/** Before the masks that threads share: whose they are. */
export const OWNER_BYTES = 8

/** For the masks of one thread. */
export const maskBytesOf = ({ maskBytes }: MergeTask, workers: number): number => maskBytes ?? MASKS_BYTES / workers

export const boardOfMerge = (task: MergeTask, workers: number, shared?: SharedBoard): RunBoard =>
  new RunBoard(
    task.tensors.map(({ target }) => target.bytes),
    shared,
    ...(workers > 1 ? [MEASURES_BYTES, OWNER_BYTES + workers * maskBytesOf(task, workers)] : []),
  )

export const sizesOf = ({ tensors }: DigestTask): readonly number[] => tensors.map(({ slice }) => slice.bytes)
export const boardOfDigest = (task: DigestTask, shared?: SharedBoard): RunBoard => new RunBoard(sizesOf(task), shared)
