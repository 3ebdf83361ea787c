/** When a name is durable: what is synced, in which order, and what a power cut may still take. */
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../src/core/bytes.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { SealedBlob } from '../../src/storage/blob-store.ts'
import { published, sealed } from '../contracts/blob-store-contract.ts'
import { aDisk, CRASHES, DIRECTORY, upload } from './a-disk.ts'

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
