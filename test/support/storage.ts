/** Storage for tests: in memory, or real files and SQLite in a directory that goes when the test file ends. */
import type { FileSystem } from '../../src/storage/file-system.ts'
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts'
import { type SqliteStorageOptions, openSqliteStorage } from '../../src/storage/sqlite/sqlite-storage.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { temporaryDirectory } from './temp-dir.ts'

export const memoryStorage = (files?: FileSystem): Promise<Storage> => createMemoryStorage(files)

export interface TemporaryStorage extends Storage {
  readonly directory: string
  /** Closes it and opens the same directory again, without faults unless they are given. */
  reopen(options?: SqliteStorageOptions): Promise<TemporaryStorage>
}

export async function storageIn(directory: string, options: SqliteStorageOptions = {}): Promise<TemporaryStorage> {
  const storage = await openSqliteStorage(directory, options)
  return {
    ...storage,
    directory,
    reopen(again) {
      storage.close()
      return storageIn(directory, again)
    },
  }
}

/** `files` and `beforeStatement` are where faults come in: see faulty-file-system.ts and faulty-statements.ts. */
export const temporaryStorage = async (options: SqliteStorageOptions = {}): Promise<TemporaryStorage> =>
  storageIn(await temporaryDirectory(), options)
