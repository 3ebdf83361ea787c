/** Migrations: from nothing, from each released schema, and never backwards. */
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { TensorRoot } from '../../src/core/ids.ts'
import { openConnection } from '../../src/storage/sqlite/database.ts'
import { readMigrations } from '../../src/storage/sqlite/migrate.ts'
import { openDatabase } from '../../src/storage/sqlite/open-database.ts'
import { createFaultyStatements } from '../support/faulty-statements.ts'
import { aJob, aModel, anOp, idOf } from '../support/stored-facts.ts'
import { storageIn, temporaryStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

const OWN = new URL('../../migrations/', import.meta.url)
const versionOf = (path: string) => {
  const db = openConnection(path)
  const version = db.prepare<[], { user_version: number }>('PRAGMA user_version').get()?.user_version
  db.close()
  return version
}

/** The program's migrations and one or more to come. */
async function withMigrations(more: Readonly<Record<string, string>>): Promise<URL> {
  const folder = join(await temporaryDirectory(), 'migrations')
  await cp(OWN, folder, { recursive: true })
  for (const [file, sql] of Object.entries(more)) await writeFile(join(folder, file), sql)
  return pathToFileURL(`${folder}/`)
}
const next = (name: string) => `${String(readMigrations().length + 1).padStart(4, '0')}-${name}.sql`
const NOTES = "CREATE TABLE notes (text TEXT NOT NULL) STRICT; INSERT INTO notes VALUES ('made');"

/** A database as the first release left it, with a row of each kind. */
async function aVersion1(): Promise<string> {
  const directory = await temporaryDirectory()
  const db = openConnection(join(directory, 'tributary.db'))
  db.execute(await readFile(new URL('fixtures/version-1.sql', import.meta.url), 'utf8'))
  db.close()
  return directory
}

describe('migrations', () => {
  test('[MIG-2] an empty directory gets the newest schema, every table strict', async () => {
    const storage = await temporaryStorage()
    storage.close()
    const path = join(storage.directory, 'tributary.db')
    expect(versionOf(path)).toBe(readMigrations().length)
    const db = openConnection(path)
    const tables = db
      .prepare<[], { name: string; strict: number }>(
        `SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'`,
      )
      .all()
    expect(tables.length).toBeGreaterThan(10)
    expect(tables.filter(({ strict }) => strict !== 1)).toEqual([])
    db.close()
  })

  test('[MIG-3] a database of version 1 opens with all that it held', async () => {
    const storage = await storageIn(await aVersion1())
    expect(storage.ops.find(idOf('op'))).toEqual(anOp())
    expect(storage.models.find(idOf('model'))).toEqual(aModel())
    expect(storage.jobs.find(idOf('merge'))).toMatchObject({ ...aJob(), state: 'queued' })
    expect(storage.pins.holdersOf(idOf('model'))).toEqual([`output:${idOf('merge')}`])
    expect(storage.settings.find('k')).toBe('v')
    const result = { key: idOf('key'), root: idOf<TensorRoot>('root'), scalars: [0.5] }
    storage.results.put({ merge: idOf('merge'), contents: [idOf('content')] }, [result])
    expect(storage.results.find(result.key)).toEqual(result) // of schema 2
    storage.close()
    const db = openConnection(join(storage.directory, 'tributary.db'))
    expect(db.prepare<[], object>('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
    db.close()
  })

  test('[MIG-4] a copy is made before an existing database is migrated', async () => {
    const directory = await aVersion1()
    const migrations = await withMigrations({ [next('notes')]: NOTES })
    const storage = await storageIn(directory, { migrations })
    expect(storage.settings.find('k')).toBe('v')
    storage.close()
    const path = join(directory, 'tributary.db')
    expect(versionOf(path)).toBe(readMigrations().length + 1)
    expect(versionOf(`${path}.schema-1`)).toBe(1)
    const again = await storageIn(directory, { migrations })
    again.close()
    expect(existsSync(`${path}.schema-${readMigrations().length + 1}`)).toBe(false)
  })

  test('[MIG-5] a newer schema is refused and left as it is', async () => {
    const directory = await aVersion1()
    ;(await storageIn(directory, { migrations: await withMigrations({ [next('notes')]: NOTES }) })).close()
    const before = await readFile(join(directory, 'tributary.db'))
    await expect(storageIn(directory)).rejects.toMatchObject({ code: 'DATABASE_VERSION' })
    expect(await readFile(join(directory, 'tributary.db'))).toEqual(before)
  })

  test('[MIG-6] a migration that was edited after it was applied is noticed', async () => {
    const migrations = await withMigrations({ [next('notes')]: NOTES })
    const directory = await aVersion1()
    ;(await storageIn(directory, { migrations })).close()
    const edited = await withMigrations({ [next('notes')]: `${NOTES} -- edited` })
    await expect(storageIn(directory, { migrations: edited })).rejects.toMatchObject({ code: 'DATABASE_VERSION' })
    const otherLineEnds = await withMigrations({ [next('notes')]: NOTES })
    ;(await storageIn(directory, { migrations: otherLineEnds })).close()
  })

  test('[MIG-6] a database of another program is refused', async () => {
    const directory = await temporaryDirectory()
    const path = join(directory, 'tributary.db')
    const db = openConnection(path)
    db.execute('CREATE TABLE theirs (x)')
    db.close()
    await expect(storageIn(directory)).rejects.toMatchObject({ code: 'DATABASE_VERSION' })
  })

  test('[MIG-7] a migration that fails leaves the schema before it, whichever statement it was', async () => {
    const migrations = await withMigrations({ [next('notes')]: NOTES })
    for (let at = 1; ; at++) {
      const path = join(await aVersion1(), 'tributary.db')
      const faulty = createFaultyStatements()
      faulty.plan(at)
      let failed = false
      try {
        openDatabase(path, { migrations, beforeStatement: faulty.beforeStatement }).close()
      } catch (error) {
        failed = true
        expect(error).toMatchObject({ code: 'STORAGE_FAILED' })
      }
      if (!failed) {
        expect(at).toBeGreaterThan(10)
        break
      }
      expect(versionOf(path)).toBeGreaterThanOrEqual(1) // each migration is one transaction: the schema is one of those
      openDatabase(path, { migrations }).close()
      expect(versionOf(path)).toBe(readMigrations().length + 1)
    }
  })

  test('[MIG-7] a migration that breaks a reference is undone', async () => {
    const broken = `INSERT INTO model_blobs VALUES ('${idOf('nobody')}', 'file', '${idOf('f')}');`
    const directory = await aVersion1()
    const migrations = await withMigrations({ [next('broken')]: broken })
    await expect(storageIn(directory, { migrations })).rejects.toThrow('references')
    expect(versionOf(join(directory, 'tributary.db'))).toBe(readMigrations().length)
  })

  test('[MIG-8] migrations are numbered without gaps', async () => {
    const folder = join(await temporaryDirectory(), 'migrations')
    await mkdir(folder)
    await writeFile(join(folder, '0002-late.sql'), '')
    expect(() => readMigrations(pathToFileURL(`${folder}/`))).toThrow('without gaps')
    expect(readMigrations().map(({ version }) => version)).toEqual(readMigrations().map((_, i) => i + 1))
  })
})
