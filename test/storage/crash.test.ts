/** Power cuts and failing calls: what was acknowledged stays, what was not is either whole or not there. */
import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../src/core/bytes.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { BlobStore, SealedBlob } from '../../src/storage/blob-store.ts'
import { openFsBlobStore } from '../../src/storage/fs/fs-blob-store.ts'
import { type Crash, createMemoryFileSystem } from '../../src/storage/memory/memory-file-system.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { bytesOf, namesIn, published, sealed } from '../contracts/blob-store-contract.ts'
import { type Fault, createFaultyFileSystem } from '../support/faulty-file-system.ts'
import { createFaultyStatements } from '../support/faulty-statements.ts'
import { aModel, anOp } from '../support/stored-facts.ts'
import { storageIn } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

const DIRECTORY = '/data'
const CRASHES: readonly Crash[] = ['unsynced lost', 'names kept, unsynced bytes lost', 'all kept']

/** A disk whose power can be cut, and a file system on it that can fail. */
async function aDisk() {
  const disk = createMemoryFileSystem()
  await disk.makeDirectory(DIRECTORY)
  await disk.syncDirectory('/')
  const files = createFaultyFileSystem(disk)
  return { disk, files, open: () => openFsBlobStore(files, DIRECTORY) }
}

/** Every visible name is whole. */
async function everyNameIsSound(blobs: BlobStore): Promise<void> {
  for await (const { name } of blobs.list()) expect(await blobs.verify(name)).toBe('sound')
}

/** Two blobs, published in one call: what a small upload does. */
async function upload(blobs: BlobStore): Promise<readonly SealedBlob[]> {
  const blobsSealed = [await sealed(blobs, utf8('first tensor')), await sealed(blobs, utf8('second'), 'file')]
  await blobs.publish(blobsSealed)
  return blobsSealed
}

/** Two texts whose digests begin alike. */
function inOneDirectory(): readonly string[] {
  const seen = new Map<string, string>()
  for (let i = 0; ; i++) {
    const text = `file ${i}`
    const start = sha256Hex(utf8(text)).slice(0, 4)
    const other = seen.get(start)
    if (other !== undefined) return [other, text]
    seen.set(start, text)
  }
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

describe('the order of durability', () => {
  test('[DUR-5] bytes are synced before they are renamed, and names before publish answers', async () => {
    const { files, open } = await aDisk()
    const blobs = await open()
    files.plan(undefined)
    const [first] = await upload(blobs)
    const at = (call: string) => {
      const index = files.log.indexOf(call)
      expect(index, call).toBeGreaterThanOrEqual(0)
      return index
    }
    const path = blobs.locate(first!.name)
    const rename = at(`rename ${blobs.locateTemporary(first!.temporary)} ${path}`)
    expect(at(`sync ${blobs.locateTemporary(first!.temporary)}`)).toBeLessThan(rename)
    for (let name = path; name !== DIRECTORY;) {
      name = name.slice(0, name.lastIndexOf('/'))
      expect(at(`syncDirectory ${name}`)).toBeGreaterThan(rename)
    }
    expect(new Set(files.log.filter((call) => call.startsWith('syncDirectory'))).size).toBe(
      files.log.filter((call) => call.startsWith('syncDirectory')).length,
    )
  })

  test('[DUR-6] what publish acknowledged outlives a power cut of any kind', async () => {
    for (const kind of CRASHES) {
      const { disk, open } = await aDisk()
      const names = (await upload(await open())).map(({ name }) => name)
      disk.crash(kind)
      const after = await open()
      for (const name of names) expect(await after.verify(name), kind).toBe('sound')
    }
  })

  test('[DUR-5] blobs that are published while others are go together, and each directory is synced once for them', async () => {
    for (const kind of CRASHES) {
      const { disk, files, open } = await aDisk()
      const blobs = await open()
      const many: SealedBlob[] = []
      for (let i = 0; i < 20; i++) many.push(await sealed(blobs, utf8(`small ${i}`)))
      await published(blobs, utf8('small 0'))
      files.plan(undefined)
      await Promise.all(many.map((blob) => blobs.publish([blob])))
      const synced = files.log.filter((call) => call === `syncDirectory ${DIRECTORY}/blobs/tensors`)
      expect(synced).toHaveLength(1) // that of the first was known to be durable, the other 19 came together
      disk.crash(kind)
      const after = await open()
      for (const { name } of many) expect(await after.verify(name), kind).toBe('sound')
    }
  })

  test('[DUR-5] one that cannot be published fails alone, and all fail whose directories cannot be synced', async () => {
    const { files, open } = await aDisk()
    const blobs = await open()
    const many: SealedBlob[] = []
    for (let i = 0; i < 4; i++) many.push(await sealed(blobs, utf8(`small ${i}`)))
    const outcomes = (failing: RegExp | undefined) => {
      files.plan(failing && { matching: failing })
      return Promise.all(
        many.map((blob) =>
          blobs.publish([blob]).then(
            () => 'durable',
            (error: unknown) => (error as { code: string }).code,
          ),
        ),
      )
    }
    await blobs.discardTemporary(many[2]!.temporary)
    expect(await outcomes(/^syncDirectory/)).toEqual(many.map(() => 'STORAGE_FAILED'))
    expect(await outcomes(undefined)).toEqual(['durable', 'durable', 'STORAGE_FAILED', 'durable'])
  })

  test('[DUR-6] a name that an earlier process left unsynced is made durable by the next publish of it', async () => {
    const { disk, files, open } = await aDisk()
    const first = await open()
    const blob = await sealed(first, utf8('twice'))
    files.plan({ matching: /^syncDirectory/ })
    await expect(first.publish([blob])).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    expect(await first.has(blob.name)).toBe(true) // renamed, and not durable
    files.plan(undefined)
    const second = await open()
    const name = await published(second, utf8('twice'))
    disk.crash('unsynced lost')
    expect(await (await open()).verify(name)).toBe('sound')
  })

  test('[DUR-6] a name that an earlier process left unsynced is durable once it is settled, and not before', async () => {
    for (const isSettled of [true, false]) {
      const { disk, files, open } = await aDisk()
      const first = await open()
      const blob = await sealed(first, utf8('believed'))
      files.plan({ matching: /^syncDirectory/ })
      await expect(first.publish([blob])).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
      disk.crash('all kept') // the process is killed, the machine goes on
      files.plan(undefined)
      const second = await open()
      expect(await second.has(blob.name)).toBe(true)
      if (isSettled) await second.settle([blob.name])
      disk.crash('unsynced lost')
      expect(await (await open()).verify(blob.name)).toBe(isSettled ? 'sound' : 'missing')
    }
  })

  test('[DUR-6] a sync that failed leaves nothing settled, and what is settled costs no call', async () => {
    const { disk, files, open } = await aDisk()
    const blobs = await open()
    const blob = await sealed(blobs, utf8('settled'))
    files.plan({ matching: /^syncDirectory/ })
    await expect(blobs.publish([blob])).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    await expect(blobs.settle([blob.name])).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    files.plan(undefined)
    await blobs.settle([blob.name])
    expect(files.log.filter((call) => call.startsWith('syncDirectory'))).toHaveLength(5)
    files.plan(undefined)
    await blobs.settle([blob.name])
    expect(files.calls).toBe(0)
    disk.crash('unsynced lost')
    expect(await (await open()).verify(blob.name)).toBe('sound')
  })

  test('[DUR-6] a name that comes into a settled directory unsettles it', async () => {
    const { disk, files, open } = await aDisk()
    const blobs = await open()
    const [early, late] = inOneDirectory().map((text) => utf8(text))
    await published(blobs, early!, 'file')
    const blob = await sealed(blobs, late!, 'file')
    files.plan({ matching: /^syncDirectory/ })
    await expect(blobs.publish([blob])).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    files.plan(undefined)
    await blobs.settle([blob.name])
    expect(files.log.filter((call) => call.startsWith('syncDirectory'))).toHaveLength(1)
    disk.crash('unsynced lost')
    expect(await (await open()).verify(blob.name)).toBe('sound')
  })

  test('[DUR-6] what a worker wrote is as durable once it is adopted', async () => {
    for (const kind of CRASHES) {
      const { disk, open } = await aDisk()
      const blobs = await open()
      const { name } = await sealed(blobs, utf8('by a worker'))
      const { id } = blobs.reserve()
      const file = await blobs.openTemporary(id)
      await file.write(utf8('by a worker'), 0)
      await file.close()
      await blobs.adopt([{ name, bytes: 11, temporary: id }])
      disk.crash(kind)
      expect(await (await open()).verify(name), kind).toBe('sound')
    }
  })

  test('[DUR-12] what was synced to a temporary outlives a power cut, its name too', async () => {
    for (const kind of CRASHES) {
      const { disk, open } = await aDisk()
      const blobs = await open()
      const { id } = blobs.reserve()
      const file = await blobs.openTemporary(id)
      await file.write(utf8('half an upload'), 0)
      await file.sync()
      await file.write(utf8(' and more'), 14)
      disk.crash(kind)
      const after = await (await open()).openTemporary(id)
      const bytes = new Uint8Array(14)
      expect(await after.read(bytes, 0), kind).toBe(14)
      expect(bytes).toEqual(utf8('half an upload'))
    }
  })
})

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
