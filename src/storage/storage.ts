/**
 * Port: everything a replica keeps. Facts are synchronous and transactional, bytes are not: publish bytes first, then
 * commit the facts that name them, then tell. What `transact` answered is durable.
 */
import type { AddressRepository } from './address-repository.ts'
import type { BlobStore } from './blob-store.ts'
import type { FetchRepository } from './fetch-repository.ts'
import type { FetchedRepository } from './fetched-repository.ts'
import type { JobRepository } from './job-repository.ts'
import type { LeaseRepository } from './lease-repository.ts'
import type { ManifestRepository } from './manifest-repository.ts'
import type { ModelRepository } from './model-repository.ts'
import type { OpLog } from './op-log.ts'
import type { PeerRepository } from './peer-repository.ts'
import type { PinRepository } from './pin-repository.ts'
import type { ReceiptRepository } from './receipt-repository.ts'
import type { SettingsRepository } from './settings-repository.ts'
import type { SnapshotRepository } from './snapshot-repository.ts'
import type { SpaceRepository } from './space-repository.ts'
import type { TensorResultRepository } from './tensor-result-repository.ts'
import type { UploadRepository } from './upload-repository.ts'

/** Makes an asynchronous `work` a type error: it would be awaited after the commit. */
type NoPromise<T> = [Extract<T, PromiseLike<unknown>>] extends [never] ? [] : [never]

/** All of `work` or, when it throws, nothing. A transaction inside another is part of it. */
export type Transact = <T>(work: () => T, ...neverAsynchronous: NoPromise<T>) => T

/** What the type lets through (`any`), a driver refuses when it happens. */
export const isThenable = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

export interface Facts {
  readonly models: ModelRepository
  readonly ops: OpLog
  readonly spaces: SpaceRepository
  readonly receipts: ReceiptRepository
  readonly jobs: JobRepository
  readonly uploads: UploadRepository
  readonly lease: LeaseRepository
  readonly settings: SettingsRepository
  readonly pins: PinRepository
  readonly peers: PeerRepository
  readonly addresses: AddressRepository
  readonly fetches: FetchRepository
  readonly fetched: FetchedRepository
  readonly manifests: ManifestRepository
  readonly snapshots: SnapshotRepository
  readonly results: TensorResultRepository
}

export interface Storage extends Facts {
  readonly blobs: BlobStore
  readonly transact: Transact
  /** Its commit outlives a kill and may not outlive a power cut: for what is only fetched again. */
  readonly transactLightly: Transact
  /** Lets go of the data directory. Say `lease.markClean` before, when the stop is an orderly one. */
  close(): void
}
