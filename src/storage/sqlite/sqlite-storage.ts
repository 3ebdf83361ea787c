/** Storage of a data directory: facts in SQLite (<directory>/tributary.db), bytes in files (blobs/, tmp/). */
import { dirname, join, resolve } from 'node:path'
import type { FileSystem } from '../file-system.ts'
import { openFsBlobStore } from '../fs/fs-blob-store.ts'
import { createNodeFileSystem } from '../fs/node-file-system.ts'
import type { Facts, Storage } from '../storage.ts'
import type { Database } from './database.ts'
import { lockDirectory } from './lock-directory.ts'
import { type OpenDatabaseOptions, openDatabase, placeOf } from './open-database.ts'
import { createSqliteAddressRepository } from './sqlite-address-repository.ts'
import { createSqliteFetchRepository } from './sqlite-fetch-repository.ts'
import { createSqliteFetchedRepository } from './sqlite-fetched-repository.ts'
import { createSqliteJobRepository } from './sqlite-job-repository.ts'
import { createSqliteLeaseRepository } from './sqlite-lease-repository.ts'
import { createSqliteManifestRepository } from './sqlite-manifest-repository.ts'
import { createSqliteModelRepository } from './sqlite-model-repository.ts'
import { createSqliteOpLog } from './sqlite-op-log.ts'
import { createSqlitePeerRepository } from './sqlite-peer-repository.ts'
import { createSqlitePinRepository } from './sqlite-pin-repository.ts'
import { createSqliteReceiptRepository } from './sqlite-receipt-repository.ts'
import { createSqliteSettingsRepository } from './sqlite-settings-repository.ts'
import { createSqliteSnapshotRepository } from './sqlite-snapshot-repository.ts'
import { createSqliteSpaceRepository } from './sqlite-space-repository.ts'
import { createSqliteTensorResultRepository } from './sqlite-tensor-result-repository.ts'
import { createSqliteUploadRepository } from './sqlite-upload-repository.ts'

export interface SqliteStorageOptions extends OpenDatabaseOptions {
  /** For the blobs; SQLite reads and writes its own files. */
  readonly files?: FileSystem | undefined
}

const sqliteFacts = (db: Database, place: string): Facts => ({
  models: createSqliteModelRepository(db),
  ops: createSqliteOpLog(db),
  spaces: createSqliteSpaceRepository(db),
  receipts: createSqliteReceiptRepository(db),
  jobs: createSqliteJobRepository(db),
  uploads: createSqliteUploadRepository(db),
  lease: createSqliteLeaseRepository(db, place),
  settings: createSqliteSettingsRepository(db),
  pins: createSqlitePinRepository(db),
  peers: createSqlitePeerRepository(db),
  addresses: createSqliteAddressRepository(db),
  fetches: createSqliteFetchRepository(db),
  fetched: createSqliteFetchedRepository(db),
  manifests: createSqliteManifestRepository(db),
  snapshots: createSqliteSnapshotRepository(db),
  results: createSqliteTensorResultRepository(db),
})

/** Makes the directory, and its own name durable. */
async function makeDurably(files: FileSystem, directory: string): Promise<void> {
  const fresh: string[] = []
  for (let name = directory; (await files.stat(name)) === undefined; name = dirname(name)) fresh.push(name)
  if (fresh.length === 0) return
  await files.makeDirectory(directory)
  for (const name of fresh) await files.syncDirectory(dirname(name))
}

/** DATA_DIRECTORY_IN_USE while another process, or this one, has it open. */
export async function openSqliteStorage(path: string, options: SqliteStorageOptions = {}): Promise<Storage> {
  const directory = resolve(path)
  const files = options.files ?? createNodeFileSystem()
  await makeDurably(files, directory)
  const unlock = lockDirectory(directory)
  let db: Database | undefined
  try {
    const file = join(directory, 'tributary.db')
    const opened = (db = openDatabase(file, options))
    const facts = sqliteFacts(opened, placeOf(file))
    const blobs = await openFsBlobStore(files, directory)
    return {
      ...facts,
      blobs,
      transact: opened.transact,
      transactLightly: (work, ...rest) => opened.lightly(() => opened.transact(work, ...rest)),
      close() {
        opened.close()
        unlock()
      },
    }
  } catch (error) {
    db?.close()
    unlock()
    throw error
  }
}
