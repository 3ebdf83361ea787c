/**
 * Brings a database to the newest schema: numbered SQL files, forward only, each in one transaction, a copy of the
 * database first. What was applied is recorded by hash, so an edited migration is noticed; a newer schema is refused.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { sha256Hex } from '../../core/digest.ts'
import { utf8 } from '../../core/bytes.ts'
import { TributaryError } from '../../core/errors.ts'
import { invariant } from '../../core/invariant.ts'
import type { Database } from './database.ts'

interface Migration {
  readonly version: number
  readonly name: string
  readonly sql: string
  readonly sha256: string
}

/** The same from src/ and from dist/src/: the build copies the folder. */
const MIGRATIONS = new URL('../../../migrations/', import.meta.url)
const FILE = /^(\d{4})-([a-z0-9-]+)\.sql$/

export function readMigrations(folder: URL = MIGRATIONS): readonly Migration[] {
  const found = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()
  return found.map((file, i) => {
    const [, digits = '', name = ''] = FILE.exec(file) ?? []
    invariant(Number(digits) === i + 1, `migrations are numbered without gaps: ${file} is number ${i + 1}`)
    const sql = readFileSync(new URL(file, folder), 'utf8').replaceAll('\r\n', '\n')
    return { version: i + 1, name, sql, sha256: sha256Hex(utf8(sql)) }
  })
}

const refused = (message: string, hint: string) => new TributaryError('DATABASE_VERSION', message, { hint })

function versionOf(db: Database): number {
  return db.prepare<[], { user_version: number }>('PRAGMA user_version').get()?.user_version ?? 0
}

/** Refuses a database that this program's migrations did not make. */
function checkHistory(db: Database, path: string, version: number, known: readonly Migration[]): void {
  if (version > known.length)
    throw refused(
      `${path} has schema ${version}, and this program knows schemas up to ${known.length}`,
      'start the newer program, or restore the copy that it made before it migrated',
    )
  if (version === 0) {
    if (db.prepare<[], object>('SELECT 1 AS one FROM sqlite_schema LIMIT 1').get() !== undefined)
      throw refused(`${path} is a database of something else`, 'choose another data directory')
    return
  }
  const applied = db.prepare<[], { version: number; sha256: string }>('SELECT version, sha256 FROM migrations').all()
  for (const { version: number, name, sha256 } of known.slice(0, version))
    if (applied.find((row) => row.version === number)?.sha256 !== sha256)
      throw refused(
        `${path} was made with another migration ${number} (${name}) than this program has`,
        'start the program that made it',
      )
}

/** A copy that is whole, or is not there under this name. */
function copyBefore(db: Database, path: string, version: number): void {
  const copy = `${path}.schema-${version}`
  const unfinished = `${copy}.unfinished`
  if (existsSync(copy)) return // an earlier try got this far: the older copy is the safer one
  rmSync(unfinished, { force: true })
  db.prepare<[string]>('VACUUM INTO ?').run(unfinished)
  renameSync(unfinished, copy)
}

export function migrate(db: Database, path: string, folder?: URL): void {
  const known = readMigrations(folder)
  const version = versionOf(db)
  checkHistory(db, path, version, known)
  const wanted = known.slice(version)
  if (wanted.length === 0) return
  if (version > 0) copyBefore(db, path, version)
  db.execute('PRAGMA foreign_keys = OFF') // a table can be rebuilt; broken references are looked for before each commit
  for (const migration of wanted) apply(db, migration)
  db.execute('PRAGMA foreign_keys = ON')
}

function apply(db: Database, { version, name, sql, sha256 }: Migration): void {
  db.transact(() => {
    db.execute(sql)
    db.prepare<[number, string, string]>(
      `INSERT INTO migrations (version, name, sha256, applied_at_ms)
       VALUES (?, ?, ?, CAST(unixepoch('subsec') * 1000 AS INTEGER))`,
    ).run(version, name, sha256)
    const broken = db.prepare<[], object>('PRAGMA foreign_key_check').all()
    invariant(broken.length === 0, `migration ${version} (${name}) breaks ${broken.length} references`)
    db.execute(`PRAGMA user_version = ${version}`)
  })
}
