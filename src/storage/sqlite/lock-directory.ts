/**
 * One process a data directory. The lock is the operating system's, taken through SQLite on a file of its own, so it
 * ends with its process however that ends: no stale lock is ever left behind.
 */
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { TributaryError } from '../../core/errors.ts'
import { codeOf, storageError } from '../storage-error.ts'

/** Answers how to let go. */
export function lockDirectory(directory: string): () => void {
  let db: BetterSqlite3.Database | undefined
  try {
    db = new BetterSqlite3(join(directory, 'lock'), { timeout: 0 })
    db.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    db?.close()
    if (codeOf(cause)?.startsWith('SQLITE_BUSY') === true)
      throw new TributaryError('DATA_DIRECTORY_IN_USE', `another process is using ${directory}`, {
        hint: 'stop it, or choose another directory with --data',
        cause,
      })
    throw storageError(cause, `lock ${directory}`)
  }
  const held = db
  return () => void held.close()
}
