/** What a fetch of one tensor is told, asks for and finds out; and the bounds within which it does. */
import type { TensorRoot } from '../core/ids.ts'

export const CHUNK_BYTES = 2 ** 20
export const LEAF_BYTES = 32

export interface FetchLimits {
  /** Chunks in one request. */
  readonly rangeChunks: number
  readonly rangesMax: number
  readonly rangesPerSourceMax: number
  /** Bytes asked for and not here yet. */
  readonly windowBytes: number
  /** Bytes here before the leaves that verify them. */
  readonly unverifiedBytesMax: number
  /** A request of which nothing comes for so long has failed: that is less than 70 KiB/s. */
  readonly stalledMsMax: number
  /** How long a source rests after its first failure; doubled for each further one. */
  readonly restMs: number
  readonly failuresMax: number
  /** What one source has owed for so long is asked of another that has room. */
  readonly twiceAfterMs: number
}

export const FETCH_LIMITS: FetchLimits = {
  rangeChunks: 4,
  rangesMax: 8,
  rangesPerSourceMax: 4,
  windowBytes: 64 * CHUNK_BYTES,
  unverifiedBytesMax: 256 * CHUNK_BYTES,
  stalledMsMax: 15_000,
  restMs: 500,
  failuresMax: 4,
  twiceAfterMs: 250,
}

export type SourceId = string

/** `leaves`: all leaf hashes. `chunks`: those from `first` on, in order. */
export type FetchRequest = {
  readonly id: number
  readonly source: SourceId
} & ({ readonly kind: 'leaves' } | { readonly kind: 'chunks'; readonly first: number; readonly count: number })

/** A source that sent what it should not have: which chunk, or that the leaves don't hash to the root. */
export interface Lie {
  readonly source: SourceId
  readonly what: 'leaves' | 'chunk'
  readonly chunk?: number
}

export interface FetchPlan {
  readonly root: TensorRoot
  readonly bytes: number
  /** Chunks that an earlier run verified and made durable. */
  readonly chunks?: Uint8Array
}

export const chunksIn = (bytes: number): number => Math.ceil(bytes / CHUNK_BYTES)
