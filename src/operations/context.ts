/** What every operation may use. Clock, luck and key come in as values, so tests choose them. */
import type { KeyPair } from '../core/signature.ts'
import type { Strategy } from '../core/strategy.ts'
import type { Merger } from '../merging/merger.ts'
import type { Storage } from '../storage/storage.ts'
import type { Compactor } from './compaction.ts'
import type { Lease } from './lease.ts'

export interface Limits {
  /** Bytes that stay free: an upload or output that would take them is refused. */
  readonly freeBytesMin: number
  /** The same for what other replicas send: it stops while uploads still have room. */
  readonly fetchFreeBytesMin: number
  /** Bytes of other replicas' models that are kept for one space. */
  readonly fetchedBytesMax: number
  readonly uploadFiles: number
  readonly uploadsUnfinished: number
  readonly uploadLifeMs: number
  /** How long what nobody holds is kept. */
  readonly orphanLifeMs: number
  /** Bytes between two durable offsets of an upload. */
  readonly uploadSyncBytes: number
  /** Bytes of finished tensors that a merge makes durable together. */
  readonly mergeSyncBytes: number
  readonly tileBytes: number
  /** Ops that are newer than the snapshot of their space, before another is made. */
  readonly snapshotOps: number
}

export const LIMITS: Limits = {
  freeBytesMin: 64 * 1024 * 1024,
  fetchFreeBytesMin: 1024 * 1024 * 1024,
  fetchedBytesMax: 512 * 1024 * 1024 * 1024,
  uploadFiles: 10_000,
  uploadsUnfinished: 64,
  uploadLifeMs: 24 * 3600 * 1000,
  orphanLifeMs: 7 * 24 * 3600 * 1000,
  uploadSyncBytes: 64 * 1024 * 1024,
  mergeSyncBytes: 64 * 1024 * 1024,
  tileBytes: 1024 * 1024,
  snapshotOps: 2000, // folding fewer takes a moment
}

export interface Context {
  readonly storage: Storage
  readonly merger: Merger
  /** Makes snapshots of large spaces; without it every start folds them. */
  readonly compactor?: Compactor | undefined
  readonly strategies: readonly Strategy[]
  readonly key: KeyPair
  readonly lease: Lease
  readonly version: string
  readonly limits: Limits
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Fresh random hex digits. */
  readonly randomHex: (bytes: number) => string
  /** For failures nobody waits for, such as a merge's. */
  readonly report: (what: string, error: unknown) => void
}

export const isoTime = (ms: number): string => new Date(ms).toISOString()
