/** The SQLite driver: commits that survive, failures that leave nothing, one process a directory. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, cp, readdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ContentRoot, ModelId, ReplicaId, TensorRoot } from '../../src/core/ids.ts'
import { assertSqliteVersion } from '../../src/storage/sqlite/open-database.ts'
import { openConnection } from '../../src/storage/sqlite/database.ts'
import { createFaultyStatements } from '../support/faulty-statements.ts'
import { aJob, aModel, anOp, idOf } from '../support/stored-facts.ts'
import { storageIn, temporaryStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

const rid = idOf<ReplicaId>('replica')

describe('crashes', () => {
  test('[DUR-10] what was committed is there when the process ends without closing', async () => {
    const storage = await temporaryStorage()
    storage.ops.append(anOp())
    storage.transact(() => {
      storage.jobs.add(aJob())
      storage.jobs.claimNext(2_000)
    })
    const copy = await temporaryDirectory()
    for (const file of await readdir(storage.directory))
      if (file.startsWith('tributary.db')) await copyFile(join(storage.directory, file), join(copy, file))
    expect((await readdir(copy)).sort()).toContain('tributary.db-wal') // nothing was checkpointed for us
    const after = await storageIn(copy)
    expect(after.ops.find(idOf('op'))).toEqual(anOp())
    expect(after.jobs.recover(3_000)).toBe(1)
    after.close()
    storage.close()
  })

  test('[DUR-10] commits are synced: journal_mode is wal and synchronous is full', async () => {
    const seen: string[] = []
    const storage = await temporaryStorage({ beforeStatement: (sql) => seen.push(sql) })
    expect(seen.join(';')).toMatch(/journal_mode = WAL[^]*synchronous = FULL[^]*trusted_schema = OFF/)
    storage.close()
  })

  test('[DUR-10] how far a fetch is waits for no sync, what is committed after it does, and it outlives a kill', async () => {
    const seen: string[] = []
    const storage = await temporaryStorage({ beforeStatement: (sql) => seen.push(sql.trim().split('\n')[0]!) })
    const fetch = { root: idOf<TensorRoot>('t'), bytes: 9, temporary: 'a', chunks: Uint8Array.of(1), updatedAtMs: 1 }
    seen.length = 0
    storage.fetches.put(fetch)
    expect(seen).toEqual(['PRAGMA synchronous = NORMAL', expect.stringMatching(/^INSERT/), 'PRAGMA synchronous = FULL'])
    seen.length = 0
    storage.transact(() => storage.fetches.put({ ...fetch, chunks: Uint8Array.of(0) }))
    expect(seen).toEqual(['BEGIN IMMEDIATE', expect.stringMatching(/^INSERT/), 'COMMIT'])
    seen.length = 0
    const manifest = {
      id: idOf<ModelId>('m'),
      content: idOf<ContentRoot>('c'),
      manifest: Uint8Array.of(1),
      fetchedAtMs: 1,
    }
    storage.manifests.put(manifest)
    expect([seen.at(0), seen.at(-1)]).toEqual(['PRAGMA synchronous = NORMAL', 'PRAGMA synchronous = FULL'])
    seen.length = 0
    storage.transactLightly(() => storage.models.put(aModel(), []))
    expect([seen.at(0), seen.at(1), seen.at(-2), seen.at(-1)]).toEqual([
      ...['PRAGMA synchronous = NORMAL', 'BEGIN IMMEDIATE', 'COMMIT', 'PRAGMA synchronous = FULL'],
    ])
    expect(() =>
      storage.transactLightly(() => {
        storage.manifests.remove(manifest.id)
        throw new Error('no')
      }),
    ).toThrow('no')
    expect([seen.at(-1), storage.manifests.has(manifest.id)]).toEqual(['PRAGMA synchronous = FULL', true])
    const copy = await temporaryDirectory() // as a kill leaves it
    for (const file of await readdir(storage.directory))
      if (file.startsWith('tributary.db')) await copyFile(join(storage.directory, file), join(copy, file))
    const after = await storageIn(copy)
    expect(after.fetches.find(fetch.root)?.chunks).toEqual(Uint8Array.of(0))
    expect([after.manifests.has(manifest.id), after.models.has(aModel().id)]).toEqual([true, true])
    after.close()
    storage.close()
  })

  test('[DUR-11] whichever statement fails, commit included, a transaction leaves nothing', async () => {
    const faulty = createFaultyStatements()
    const storage = await temporaryStorage({ beforeStatement: faulty.beforeStatement })
    const work = () =>
      storage.transact(() => {
        storage.ops.append(anOp())
        storage.models.put(aModel(), [{ kind: 'tensor', digest: idOf('t') }])
        storage.settings.set('k', 'v')
      })
    const nothing = () => {
      faulty.plan(undefined)
      expect([storage.ops.count(), storage.models.count(), storage.settings.find('k')]).toEqual([0, 0, undefined])
    }
    let at = 1
    for (; ; at++) {
      faulty.plan(at)
      if (faulty.statements.length > 0) break
      let failed = false
      try {
        work()
      } catch (error) {
        failed = true
        expect(error).toMatchObject({ code: 'STORAGE_FAILED', cause: { code: 'SQLITE_IOERR' } })
      }
      if (!failed) break
      nothing()
    }
    expect(faulty.statements.at(-1)).toBe('COMMIT')
    expect(at).toBe(faulty.statements.length + 1) // every one of them was made to fail
    faulty.plan(undefined)
    expect(storage.ops.count()).toBe(1)
    storage.close()
  })

  test('[DUR-9] a database without room answers DISK_FULL and goes on reading', async () => {
    const faulty = createFaultyStatements()
    const storage = await temporaryStorage({ beforeStatement: faulty.beforeStatement })
    storage.ops.append(anOp())
    faulty.plan(1, 'SQLITE_FULL')
    expect(() => storage.ops.append(anOp({ id: idOf('late') }))).toThrow(expect.objectContaining({ code: 'DISK_FULL' }))
    expect(storage.ops.find(idOf('op'))).toEqual(anOp())
    expect(storage.ops.append(anOp({ id: idOf('late') }))).toBe(true)
    storage.close()
  })

  test('[DUR-11] a transaction that SQLite ended by itself commits nothing afterwards', async () => {
    const db = openConnection(':memory:')
    db.execute('CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT')
    const insert = db.prepare<[number]>('INSERT INTO t (x) VALUES (?)')
    const count = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM t')
    expect(() =>
      db.transact(() => {
        insert.run(1)
        db.execute('ROLLBACK') // as after some failures of the disk
        insert.run(2)
      }),
    ).toThrow('ended by a failure')
    expect(count.get()).toEqual({ n: 0 })
    db.close()
  })
})

describe('one process a directory', () => {
  test('[STO-26] a data directory in use is refused by name, and free again after close', async () => {
    const storage = await temporaryStorage()
    await expect(storageIn(storage.directory)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_IN_USE' })
    storage.close()
    ;(await storageIn(storage.directory)).close()
  })

  test('[STO-26] the lock ends with its process, however that ends', async () => {
    const directory = await temporaryDirectory()
    const driver = createRequire(import.meta.url).resolve('better-sqlite3')
    const program = `
      const db = require(${JSON.stringify(driver)})(${JSON.stringify(join(directory, 'lock'))})
      db.exec('BEGIN EXCLUSIVE')
      console.log('locked')
      setInterval(() => undefined, 1e9)`
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    await expect(storageIn(directory)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_IN_USE' })
    child.kill('SIGKILL')
    await once(child, 'exit')
    ;(await storageIn(directory)).close()
  })

  test('[STO-26] a directory that failed to open is not left locked', async () => {
    const directory = await temporaryDirectory()
    await writeFile(join(directory, 'tributary.db'), 'this is not a database, and long enough to be looked at')
    for (let i = 0; i < 2; i++) await expect(storageIn(directory)).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  })
})

describe('the lease', () => {
  test('[DUR-4] a restart keeps the epoch after a clean stop, and begins a new one after any other', async () => {
    let storage = await temporaryStorage()
    expect(storage.lease.boot(rid, 'a')).toBe(0)
    storage.lease.markClean(rid)
    storage = await storage.reopen()
    expect(storage.lease.boot(rid, 'b')).toBe(0)
    storage = await storage.reopen()
    expect(storage.lease.boot(rid, 'c')).toBe(1)
    storage.close()
  })

  test('[DUR-4] a copy of a data directory begins a new epoch, even of a clean one', async () => {
    const storage = await temporaryStorage()
    storage.lease.boot(rid, 'a')
    storage.lease.markClean(rid)
    storage.close()
    const copy = join(await temporaryDirectory(), 'copy')
    await cp(storage.directory, copy, { recursive: true })
    const copied = await storageIn(copy)
    expect(copied.lease.boot(rid, 'b')).toBe(1)
    copied.close()
    const original = await storageIn(storage.directory)
    expect(original.lease.boot(rid, 'b')).toBe(0)
    original.close()
  })

  test('[DUR-4] an epoch that could not be committed is not given out', async () => {
    const faulty = createFaultyStatements()
    const storage = await temporaryStorage({ beforeStatement: faulty.beforeStatement })
    storage.lease.boot(rid, 'a')
    faulty.plan(4) // BEGIN, SELECT, INSERT, COMMIT
    expect(() => storage.lease.boot(rid, 'b')).toThrow(expect.objectContaining({ code: 'STORAGE_FAILED' }))
    expect(faulty.statements.at(-1)).toBe('COMMIT')
    faulty.plan(undefined)
    expect(storage.lease.boot(rid, 'c')).toBe(1)
    storage.close()
  })
})

test('[MIG-1] an SQLite older than 3.51.3 is refused', () => {
  for (const old of ['3.51.2', '3.50.9', '2.99.99', '3.9'])
    expect(() => assertSqliteVersion(old)).toThrow(expect.objectContaining({ code: 'DATABASE_VERSION' }))
  for (const fine of ['3.51.3', '3.52.0', '3.53.2', '4.0.0']) expect(() => assertSqliteVersion(fine)).not.toThrow()
})
