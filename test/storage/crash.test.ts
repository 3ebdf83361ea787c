/** Power cuts and failing calls: what was acknowledged stays, what was not is either whole or not there. */
import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../src/core/bytes.ts'
import type { BlobStore } from '../../src/storage/blob-store.ts'
import { openFsBlobStore } from '../../src/storage/fs/fs-blob-store.ts'
import { createMemoryFileSystem } from '../../src/storage/memory/memory-file-system.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { bytesOf, namesIn, published, sealed } from '../contracts/blob-store-contract.ts'
import { type Fault, createFaultyFileSystem } from '../support/faulty-file-system.ts'
import { createFaultyStatements } from '../support/faulty-statements.ts'
import { aModel, anOp } from '../support/stored-facts.ts'
import { storageIn } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'
import { aDisk, CRASHES, DIRECTORY, upload } from './a-disk.ts'

/** Every visible name is whole. */
async function everyNameIsSound(blobs: BlobStore): Promise<void> {
  for await (const { name } of blobs.list()) expect(await blobs.verify(name)).toBe('sound')
}

/** How many calls an upload takes in a store that holds something. */
async function callsOfUpload(): Promise<number> {
  const { files, open } = await aDisk()
  const blobs = await open()
  await published(blobs, utf8('promised before'))
  files.plan(undefined)
  await upload(blobs)
  return files.calls
}

describe('bytes before facts', () => {
  /** What an operation does with an upload: bytes, then the rows that name them, then the answer. */
  async function ingest(storage: Storage): Promise<void> {
    const blobs = [await sealed(storage.blobs, utf8('tensor')), await sealed(storage.blobs, utf8('{}'), 'file')]
    const names = blobs.map(({ name }) => name)
    storage.pins.claim(names)
    await storage.blobs.publish(blobs)
    storage.transact(() => {
      storage.models.put(aModel(), names)
      storage.ops.append(anOp())
    })
  }

  test('[DUR-13] whichever call of files or database fails, no row names bytes that a power cut took', async () => {
    for (const where of ['files', 'statements'] as const)
      for (let at = 1; ; at++) {
        const directory = await temporaryDirectory()
        const disk = createMemoryFileSystem()
        await disk.makeDirectory(directory)
        for (let name = directory; name !== '/'; name = dirname(name)) await disk.syncDirectory(dirname(name))
        const [files, statements] = [createFaultyFileSystem(disk), createFaultyStatements()]
        const storage = await storageIn(directory, { files, beforeStatement: statements.beforeStatement })
        if (where === 'files') files.plan({ atCall: at })
        else statements.plan(at)
        const acknowledged = await ingest(storage).then(
          () => true,
          () => false,
        )
        statements.plan(undefined)
        disk.crash('unsynced lost')
        const after = await storage.reopen({ files: disk })
        expect([after.models.count(), after.ops.count()]).toEqual(acknowledged ? [1, 1] : [0, 0])
        for (const name of after.models.blobs(aModel().id)) expect(await after.blobs.verify(name)).toBe('sound')
        if (!acknowledged) await ingest(after)
        after.close()
        if (acknowledged) {
          expect(at, where).toBeGreaterThan(where === 'files' ? 20 : 8)
          break
        }
      }
  })
})

describe('faults', () => {
  const faults: readonly Fault[] = [
    { code: 'EIO' },
    { code: 'EIO', torn: true },
    { code: 'ENOSPC', torn: true },
    { code: 'EIO', torn: true, forGood: true },
  ]

  test('[DUR-7] whichever call fails, no torn name is visible, nothing promised is lost, and the next try works', async () => {
    const calls = await callsOfUpload()
    expect(calls).toBeGreaterThan(20)
    for (const fault of faults)
      for (let atCall = 1; atCall <= calls; atCall++)
        for (const kind of CRASHES) {
          const { disk, files, open } = await aDisk()
          const blobs = await open()
          const promised = await published(blobs, utf8('promised before'))
          files.plan({ ...fault, atCall })
          await expect(upload(blobs), `${JSON.stringify(fault)} at ${atCall}`).rejects.toMatchObject({
            code: fault.code === 'ENOSPC' ? 'DISK_FULL' : 'STORAGE_FAILED',
          })
          files.plan(undefined)
          disk.crash(kind)
          const after = await open()
          await everyNameIsSound(after)
          expect(await bytesOf(after, promised)).toEqual(utf8('promised before'))
          await after.sweepTemporary(-1, Date.now())
          expect(await disk.list(`${DIRECTORY}/tmp`)).toEqual([])
          for (const { name } of await upload(after)) expect(await after.verify(name)).toBe('sound')
          disk.crash('unsynced lost')
          expect(await namesIn(await open())).toHaveLength(3)
        }
  })

  test('[DUR-7] a publish that failed may be repeated with the same sealed blobs', async () => {
    let atCall = 1
    for (; ; atCall++) {
      const { disk, files, open } = await aDisk()
      const blobs = await open()
      const both = [await sealed(blobs, utf8('first tensor')), await sealed(blobs, utf8('second'), 'file')]
      files.plan({ atCall })
      const failed = await blobs.publish(both).then(
        () => false,
        () => true,
      )
      files.plan(undefined)
      if (!failed) break
      await blobs.publish(both)
      disk.crash('unsynced lost')
      const after = await open()
      for (const { name } of both) expect(await after.verify(name)).toBe('sound')
    }
    expect(atCall).toBeGreaterThan(10) // each call of a publish was made to fail once
  })

  test('[DUR-8] a writer that failed once never seals: a failed sync is not tried again', async () => {
    for (const doomed of ['write', 'sync'] as const) {
      const { files, open } = await aDisk()
      const blobs = await open()
      const writer = await blobs.create('tensor')
      await writer.write(utf8('a'))
      files.plan({ atCall: 1 })
      const failing = doomed === 'write' ? writer.write(utf8('b')) : writer.seal()
      await expect(failing).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
      await expect(writer.seal()).rejects.toThrow('not after a failure')
      await writer.discard()
      expect(await namesIn(blobs)).toEqual([])
    }
  })

  test('[DUR-9] a full disk is told by name, serves what it holds, and takes bytes again when there is room', async () => {
    const disk = createMemoryFileSystem(Date.now, 1_000)
    await disk.makeDirectory(DIRECTORY)
    const blobs = await openFsBlobStore(disk, DIRECTORY)
    const held = await published(blobs, new Uint8Array(600))
    const writer = await blobs.create('tensor')
    await expect(writer.write(new Uint8Array(500))).rejects.toMatchObject({ code: 'DISK_FULL' })
    await writer.discard()
    expect(await blobs.verify(held)).toBe('sound')
    await blobs.remove(held)
    expect(await blobs.stat(await published(blobs, new Uint8Array(900).fill(1)))).toEqual({ bytes: 900 })
  })

  test('[STO-5] a damaged blob of another length is replaced when its bytes come again', async () => {
    const { disk, open } = await aDisk()
    const blobs = await open()
    const name = await published(blobs, utf8('whole bytes'))
    await disk.remove(blobs.locate(name))
    const short = await disk.createExclusive(blobs.locate(name))
    await short.write(utf8('whole'), 0)
    await short.close()
    expect(await blobs.verify(name)).toBe('damaged')
    await published(blobs, utf8('whole bytes'))
    expect(await blobs.verify(name)).toBe('sound')
  })
})
