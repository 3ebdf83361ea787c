/** Storage in memory, for tests and simulations: the same promises, until the process ends. `locate` names no real file. */
import { openFsBlobStore } from '../fs/fs-blob-store.ts'
import type { FileSystem } from '../file-system.ts'
import type { Facts, Storage, Transact } from '../storage.ts'
import { type Journal, createJournal } from './journal.ts'
import { createMemoryFileSystem } from './memory-file-system.ts'
import { createMemoryJobRepository } from './memory-job-repository.ts'
import { createMemoryModels } from './memory-models.ts'
import {
  createMemoryLeaseRepository,
  createMemoryOpLog,
  createMemoryReceiptRepository,
  createMemorySettingsRepository,
  createMemorySnapshotRepository,
  createMemorySpaceRepository,
} from './memory-records.ts'
import {
  createMemoryAddressRepository,
  createMemoryFetchedRepository,
  createMemoryFetchRepository,
  createMemoryManifestRepository,
  createMemoryPeerRepository,
} from './memory-replicas.ts'
import { createMemoryTensorResultRepository } from './memory-tensor-result-repository.ts'
import { createMemoryUploadRepository } from './memory-upload-repository.ts'

const DIRECTORY = '/memory'

const memoryFacts = (journal: Journal): Facts => ({
  ...createMemoryModels(journal),
  ops: createMemoryOpLog(journal),
  spaces: createMemorySpaceRepository(journal),
  receipts: createMemoryReceiptRepository(journal),
  jobs: createMemoryJobRepository(journal),
  uploads: createMemoryUploadRepository(journal),
  lease: createMemoryLeaseRepository(journal),
  settings: createMemorySettingsRepository(journal),
  peers: createMemoryPeerRepository(journal),
  addresses: createMemoryAddressRepository(journal),
  fetches: createMemoryFetchRepository(journal),
  fetched: createMemoryFetchedRepository(journal),
  manifests: createMemoryManifestRepository(journal),
  snapshots: createMemorySnapshotRepository(journal),
  results: createMemoryTensorResultRepository(journal),
})

export async function createMemoryStorage(files: FileSystem = createMemoryFileSystem()): Promise<Storage> {
  const journal = createJournal()
  await files.makeDirectory(DIRECTORY)
  return {
    ...memoryFacts(journal),
    blobs: await openFsBlobStore(files, DIRECTORY),
    transact: journal.transact as Transact,
    transactLightly: journal.transact as Transact,
    close: () => undefined,
  }
}
