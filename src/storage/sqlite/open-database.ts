/** Opens the database of a data directory: durable commits, a checked SQLite, the newest schema. */
import { statSync } from 'node:fs'
import { TributaryError } from '../../core/errors.ts'
import { type BeforeStatement, type Database, openConnection } from './database.ts'
import { migrate } from './migrate.ts'

/** The first release whose WAL has no known way to lose a commit. */
const SQLITE_VERSION_MIN = [3, 51, 3] as const

export interface OpenDatabaseOptions {
  readonly beforeStatement?: BeforeStatement | undefined
  /** Folder of numbered SQL files; by default the program's own. */
  readonly migrations?: URL | undefined
}

export function isAtLeast(version: string, least: readonly number[]): boolean {
  const parts = version.split('.').map(Number)
  for (let i = 0; i < least.length; i++) {
    const difference = (parts[i] ?? 0) - (least[i] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return true
}

export function assertSqliteVersion(version: string): void {
  if (!isAtLeast(version, SQLITE_VERSION_MIN))
    throw new TributaryError('DATABASE_VERSION', `SQLite ${version} is too old`, {
      hint: `install a better-sqlite3 with SQLite ${SQLITE_VERSION_MIN.join('.')} or newer`,
    })
}

const PRAGMAS = `
  PRAGMA synchronous = FULL;
  PRAGMA fullfsync = ON;
  PRAGMA foreign_keys = ON;
  PRAGMA trusted_schema = OFF;
  PRAGMA cell_size_check = ON;`

export function openDatabase(path: string, options: OpenDatabaseOptions = {}): Database {
  const db = openConnection(path, { beforeStatement: options.beforeStatement })
  try {
    assertSqliteVersion(db.prepare<[], { version: string }>('SELECT sqlite_version() AS version').get()?.version ?? '0')
    const mode = db.prepare<[], { journal_mode: string }>('PRAGMA journal_mode = WAL').get()?.journal_mode
    if (mode !== 'wal')
      throw new TributaryError('STORAGE_FAILED', `${path} stays in journal mode ${String(mode)}, and wal is needed`, {
        hint: 'put the data directory on a local disk',
      })
    db.execute(PRAGMAS)
    migrate(db, path, options.migrations)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** Tells a database from its copy: moving the file keeps it, copying it does not. */
export const placeOf = (path: string): string => `inode:${statSync(path, { bigint: true }).ino}`
