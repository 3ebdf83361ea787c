/** What every BlobStore promises. `reopen` opens the same bytes as another process would. */
import { describe, expect, test } from 'vitest'
import { concat, equalBytes, fromHex, utf8 } from '../../src/core/bytes.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { FileDigest, TensorRoot } from '../../src/core/ids.ts'
import type { BlobKind, BlobName, BlobStore, SealedBlob } from '../../src/storage/blob-store.ts'
import { golden } from '../support/golden.ts'

const CHUNK = 2 ** 20
const pattern = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + Math.floor(i / 251)) % 256)

export async function sealed(blobs: BlobStore, bytes: Uint8Array, kind: BlobKind = 'tensor'): Promise<SealedBlob> {
  const writer = await blobs.create(kind)
  await writer.write(bytes)
  return writer.seal()
}
export async function published(blobs: BlobStore, bytes: Uint8Array, kind: BlobKind = 'tensor'): Promise<BlobName> {
  const blob = await sealed(blobs, bytes, kind)
  await blobs.publish([blob])
  return blob.name
}
export async function bytesOf(blobs: BlobStore, name: BlobName, start?: number, end?: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of blobs.read(name, start, end)) pieces.push(piece)
  return concat(...pieces)
}
export async function namesIn(blobs: BlobStore): Promise<readonly string[]> {
  const names: string[] = []
  for await (const { name } of blobs.list()) names.push(`${name.kind} ${name.digest}`)
  return names.sort()
}

export function describeBlobStore(
  name: string,
  open: () => Promise<{ readonly blobs: BlobStore; reopen: () => Promise<BlobStore> }>,
): void {
  describe(name, () => {
    test('[STO-2] names are those that an independent program works out, however the bytes are cut', async () => {
      const { blobs } = await open()
      const { blobs: rows } = golden<{ blobs: { bytes: number; file: string; tensor: string; leaves: string }[] }>(
        'storage_blobs',
      )
      expect(rows.length).toBeGreaterThan(5)
      for (const row of rows) {
        const bytes = pattern(row.bytes)
        expect((await sealed(blobs, bytes, 'file')).name).toEqual({ kind: 'file', digest: row.file })
        for (const cut of [65_537, CHUNK, 4 * CHUNK]) {
          const writer = await blobs.create('tensor')
          for (let from = 0; from < bytes.length; from += cut) await writer.write(bytes.subarray(from, from + cut))
          expect(await writer.seal()).toMatchObject({
            name: { kind: 'tensor', digest: row.tensor },
            bytes: row.bytes,
            leaves: fromHex(row.leaves),
          })
        }
      }
    })

    test('[STO-36] a blob that is put aside is none, until a sound copy takes its name; what was put aside can be read', async () => {
      const { blobs, reopen } = await open()
      const bytes = pattern(5000)
      const name = await published(blobs, bytes)
      const file = await published(blobs, bytes, 'file')
      expect(await blobs.quarantine(name)).toBe(true)
      expect([await blobs.quarantine(name), await blobs.has(name), await blobs.has(file)]).toEqual([false, false, true])
      expect([await namesIn(blobs), await blobs.verify(name)]).toEqual([[`file ${file.digest}`], 'missing'])
      await published(blobs, bytes)
      const later = await reopen()
      expect([await later.verify(name), await later.quarantined()]).toEqual(['sound', [name]])
      expect(await later.openQuarantined(file)).toBeUndefined()
      const aside = (await later.openQuarantined(name))!
      const target = new Uint8Array(5000)
      expect([await aside.read(target, 0), equalBytes(target, bytes)]).toEqual([5000, true])
      await aside.close()
      await later.dropQuarantined(name)
      expect(await later.quarantined()).toEqual([])
    })

    test('[STO-3] the two kinds of name never mix', async () => {
      const { blobs } = await open()
      const chunk = utf8('weights')
      const file = concat(Uint8Array.of(0), chunk) // its plain SHA-256 is the root of the one-chunk tensor
      const tensor = await published(blobs, chunk, 'tensor')
      const other: BlobName = { kind: 'file', digest: tensor.digest as string as FileDigest }
      expect(sha256Hex(file)).toBe(tensor.digest)
      expect(await blobs.has(other)).toBe(false)
      expect(await published(blobs, file, 'file')).toEqual(other)
      expect(await bytesOf(blobs, tensor)).toEqual(chunk)
      expect(await bytesOf(blobs, other)).toEqual(file)
      expect(await blobs.remove(other)).toBe(true)
      expect(await blobs.verify(tensor)).toBe('sound')
    })

    test('[STO-4] a blob is visible only once it is published', async () => {
      const { blobs, reopen } = await open()
      const blob = await sealed(blobs, utf8('x'))
      expect([await blobs.has(blob.name), await namesIn(blobs), await blobs.verify(blob.name)]).toEqual([
        false,
        [],
        'missing',
      ])
      await blobs.publish([blob])
      expect(await blobs.stat(blob.name)).toEqual({ bytes: 1 })
      const again = await reopen()
      expect(await namesIn(again)).toEqual([`tensor ${blob.name.digest}`])
      expect(await bytesOf(again, blob.name)).toEqual(utf8('x'))
    })

    test('[STO-5] the same bytes are kept once, and publishing may be repeated', async () => {
      const { blobs, reopen } = await open()
      const blob = await sealed(blobs, utf8('same'))
      const twin = await sealed(blobs, utf8('same'))
      await blobs.publish([blob, twin])
      await blobs.publish([blob])
      await blobs.publish([await sealed(blobs, utf8('same'))])
      expect(await namesIn(blobs)).toHaveLength(1)
      expect(await (await reopen()).sweepTemporary(-1e12, Date.now())).toBe(0) // no copy was left behind
    })

    test('[STO-10] what is published after it was to be removed is here, whatever was on its way before', async () => {
      const { blobs } = await open()
      const name = await published(blobs, utf8('unwanted, then wanted'))
      const again = await sealed(blobs, utf8('unwanted, then wanted'))
      const other = await sealed(blobs, utf8('other'))
      await Promise.all([blobs.publish([other]), blobs.remove(name), blobs.publish([again])])
      expect(await blobs.verify(name)).toBe('sound')
    })

    test('[STO-5] what is here is settled, and what is not is passed over', async () => {
      const { blobs } = await open()
      const here = await published(blobs, utf8('here'))
      const { name: sealedOnly } = await sealed(blobs, utf8('sealed, and not published'))
      await blobs.settle([sealedOnly, here])
      expect([await blobs.verify(here), await blobs.has(sealedOnly)]).toEqual(['sound', false])
    })

    test('[STO-5] a sealed blob that was discarded cannot be published', async () => {
      const { blobs } = await open()
      const writer = await blobs.create('file')
      await writer.write(utf8('gone'))
      const blob = await writer.seal()
      await writer.discard()
      await expect(blobs.publish([blob])).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
      expect(await blobs.has(blob.name)).toBe(false)
    })

    test('[STO-6] any range is read exactly, in pieces of at most 1 MiB', async () => {
      const { blobs } = await open()
      const bytes = pattern(2 * CHUNK + 5)
      const name = await published(blobs, bytes)
      for (const [start, end] of [
        [0, 0],
        [0, 1],
        [CHUNK - 1, CHUNK + 1],
        [3, 2 * CHUNK + 4],
        [bytes.length, bytes.length],
      ] as const)
        expect(equalBytes(await bytesOf(blobs, name, start, end), bytes.subarray(start, end))).toBe(true)
      expect(equalBytes(await bytesOf(blobs, name, 2 * CHUNK), bytes.subarray(2 * CHUNK))).toBe(true)
      const lengths: number[] = []
      for await (const piece of blobs.read(name)) lengths.push(piece.length)
      expect(lengths).toEqual([CHUNK, CHUNK, 5])
    })

    test('[STO-6] a range beyond the blob, and a blob that is not there, are refused by name', async () => {
      const { blobs } = await open()
      const name = await published(blobs, utf8('abc'))
      for (const [start, end] of [
        [0, 4],
        [-1, 2],
        [2, 1],
        [0.5, 1],
      ] as const)
        await expect(bytesOf(blobs, name, start, end)).rejects.toMatchObject({ code: 'RANGE_NOT_SATISFIABLE' })
      const absent: BlobName = { kind: 'tensor', digest: sha256Hex(utf8('?')) as TensorRoot }
      await expect(bytesOf(blobs, absent)).rejects.toMatchObject({ code: 'BYTES_MISSING' })
      expect(await blobs.remove(absent)).toBe(false)
    })

    test('[STO-7] a name that is not 64 lowercase hex digits never becomes a path', async () => {
      const { blobs } = await open()
      for (const digest of ['', '../../etc/passwd', 'A'.repeat(64), `${'a'.repeat(63)}/`, `${'a'.repeat(64)}\n`]) {
        const hostile = { kind: 'tensor', digest } as unknown as BlobName
        await expect(blobs.has(hostile)).rejects.toMatchObject({ code: 'ID_INVALID' })
        await expect(bytesOf(blobs, hostile)).rejects.toMatchObject({ code: 'ID_INVALID' })
        expect(() => blobs.locate(hostile)).toThrow(expect.objectContaining({ code: 'ID_INVALID' }))
      }
      for (const id of ['', '..', '../blobs', 'a'.repeat(33)]) expect(() => blobs.locateTemporary(id)).toThrow('hex')
    })

    test('[STO-8] a file that a worker wrote is adopted under the name that the worker vouches for', async () => {
      const { blobs } = await open()
      const bytes = utf8('by a worker')
      const { name } = await sealed(blobs, bytes)
      const { id } = blobs.reserve()
      const file = await blobs.openTemporary(id)
      await file.write(bytes, 0)
      await file.close()
      await expect(blobs.adopt([{ name, bytes: 12, temporary: id }])).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
      expect(await blobs.has(name)).toBe(false)
      await blobs.adopt([{ name, bytes: 11, temporary: id }])
      expect(await blobs.verify(name)).toBe('sound')
      await blobs.adopt([{ name, bytes: 11, temporary: id }])
      const never = blobs.reserve()
      const other = (await sealed(blobs, utf8('other'))).name
      await expect(blobs.adopt([{ name: other, bytes: 5, temporary: never.id }])).rejects.toMatchObject({
        code: 'STORAGE_FAILED',
      })
    })

    test('[STO-9] a temporary is filled over many calls and survives a restart', async () => {
      const { blobs, reopen } = await open()
      const { id } = blobs.reserve()
      const first = await blobs.openTemporary(id)
      await first.write(utf8('half '), 0)
      await first.sync()
      await first.close()
      const again = await reopen()
      const second = await again.openTemporary(id)
      await second.write(utf8('whole'), 5)
      const all = new Uint8Array(10)
      expect(await second.read(all, 0)).toBe(10)
      await second.close()
      expect(all).toEqual(utf8('half whole'))
      await again.discardTemporary(id)
      const fresh = await again.openTemporary(id)
      expect(await fresh.bytes()).toBe(0)
      await fresh.close()
    })

    test('[STO-10] a removal asks at the last moment whether the blob is still unwanted', async () => {
      const { blobs } = await open()
      const name = await published(blobs, utf8('wanted'))
      expect(await blobs.remove(name, () => false)).toBe(false)
      expect(await blobs.has(name)).toBe(true)
      expect(await blobs.remove(name, () => true)).toBe(true)
      expect(await blobs.has(name)).toBe(false)
    })

    test('[STO-10] a publish and a removal of one name at once never lose what was published', async () => {
      const { blobs } = await open()
      let unclaimed = true
      const name = await published(blobs, utf8('raced'))
      for (let round = 0; round < 20; round++) {
        const blob = await sealed(blobs, utf8('raced'))
        unclaimed = true
        const removal = blobs.remove(name, () => unclaimed)
        unclaimed = round % 2 === 0 // claimed before the publish in every other round
        await Promise.all([removal, blobs.publish([blob])])
        expect(await blobs.has(name)).toBe(true)
      }
    })

    test('[STO-11] a sweep drops old temporaries, except those in use, those to keep, and young ones', async () => {
      const { blobs, reopen } = await open()
      const dropped = await sealed(blobs, utf8('dropped'))
      const kept = await sealed(blobs, utf8('kept'))
      const now = Date.now()
      expect(await blobs.sweepTemporary(0, now + 1e6)).toBe(0) // this process may still publish them
      const again = await reopen()
      expect(await again.sweepTemporary(1e6, now)).toBe(0)
      expect(await again.sweepTemporary(1e5, now + 1e6, new Set([kept.temporary]))).toBe(1)
      await again.publish([kept])
      await expect(again.publish([dropped])).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    })

    test('[STO-4] listing names all kinds, and free space is told', async () => {
      const { blobs } = await open()
      const names = [await published(blobs, utf8('1')), await published(blobs, utf8('2'), 'file')]
      expect(await namesIn(blobs)).toEqual(names.map(({ kind, digest }) => `${kind} ${digest}`).sort())
      expect(await blobs.freeBytes()).toBeGreaterThan(0)
      expect(blobs.locate(names[0]!)).toMatch(/blobs.tensors.[0-9a-f]{2}.[0-9a-f]{2}.[0-9a-f]{64}$/)
    })
  })
}
