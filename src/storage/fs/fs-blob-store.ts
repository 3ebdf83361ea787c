/**
 * Blobs in files: written and synced in <directory>/tmp, renamed to <directory>/blobs/{tensors,files}/ab/cd/<hex>; those that
 * rotted lie in <directory>/quarantine/{tensors,files}/<hex>.
 * One process owns the directory. Paths are made from checked hex only.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { TributaryError } from '../../core/errors.ts'
import { isHex64, parseFileDigest, parseTensorRoot } from '../../core/ids.ts'
import { invariant } from '../../core/invariant.ts'
import { CHUNK_BYTES } from '../../tensors/tensor-hasher.ts'
import { createBlobHasher } from '../blob-hasher.ts'
import type { BlobKind, BlobName, BlobStore, BlobWriter, ListedBlob, SealedBlob } from '../blob-store.ts'
import type { FileSystem } from '../file-system.ts'
import { createPublisher } from './publisher.ts'

const FOLDERS = { tensor: 'tensors', file: 'files' } as const satisfies Record<BlobKind, string>
const TEMPORARY_ID = /^[0-9a-f]{32}$/

const checkedName = (kind: BlobKind, text: string): BlobName =>
  kind === 'tensor' ? { kind, digest: parseTensorRoot(text) } : { kind, digest: parseFileDigest(text) }

export async function openFsBlobStore(files: FileSystem, directory: string): Promise<BlobStore> {
  const temporaries = join(directory, 'tmp')
  const blobs = join(directory, 'blobs')
  const quarantine = join(directory, 'quarantine')
  await files.makeDirectory(temporaries)
  await files.syncDirectory(directory)

  /** Ids that this process still works on: no sweep takes them. */
  const inUse = new Set<string>()
  const publisher = createPublisher(files, directory)

  const pathOf = ({ kind, digest }: BlobName): string => {
    const { digest: hex } = checkedName(kind, digest) // a name may have come from outside whatever its type says
    return join(blobs, FOLDERS[kind], hex.slice(0, 2), hex.slice(2, 4), hex)
  }
  const pathAside = ({ kind, digest }: BlobName): string =>
    join(quarantine, FOLDERS[kind], checkedName(kind, digest).digest)
  const pathOfTemporary = (id: string): string => {
    invariant(TEMPORARY_ID.test(id), 'a temporary id is 32 hex digits')
    return join(temporaries, id)
  }
  const reserve = () => {
    const id = randomBytes(16).toString('hex')
    inUse.add(id)
    return { id, path: pathOfTemporary(id) }
  }
  const discardTemporary = async (id: string) => {
    await files.remove(pathOfTemporary(id))
    inUse.delete(id)
  }
  const publish = async (sealed: readonly SealedBlob[]) => {
    await publisher.publish(
      sealed.map(({ name, bytes, temporary }) => ({ from: pathOfTemporary(temporary), to: pathOf(name), bytes })),
    )
    for (const { temporary } of sealed) inUse.delete(temporary)
  }

  async function create(kind: BlobKind): Promise<BlobWriter> {
    const { id, path } = reserve()
    const file = await files.createExclusive(path).catch((error: unknown) => {
      inUse.delete(id)
      throw error
    })
    const hasher = createBlobHasher(kind)
    let bytes = 0
    let state: 'open' | 'broken' | 'closed' = 'open'
    return {
      async write(piece) {
        invariant(state === 'open', 'a blob is written before it is sealed, and not after a failure')
        state = 'broken' // until the write has succeeded: the hash and the file must not part
        await file.write(piece, bytes)
        hasher.update(piece)
        bytes += piece.length
        state = 'open'
      },
      async seal() {
        invariant(state === 'open', 'a blob is sealed once, and not after a failure')
        state = 'broken' // a sync that failed must not be tried again: the kernel has dropped the pages
        await file.sync()
        await file.close()
        state = 'closed'
        return { ...hasher.finish(), bytes, temporary: id }
      },
      async discard() {
        if (state !== 'closed') await file.close().catch(() => undefined) // its bytes are not wanted
        state = 'closed'
        await discardTemporary(id)
      },
    }
  }

  async function adopt(written: readonly SealedBlob[]): Promise<void> {
    for (const { temporary, bytes } of written) {
      const path = pathOfTemporary(temporary)
      const file = await files.openForReading(path)
      if (file === undefined) continue // published by an earlier call that failed later; if not, publish says so
      try {
        const actual = await file.bytes()
        if (actual !== bytes)
          throw new TributaryError('STORAGE_FAILED', `${path} should hold ${bytes} bytes and holds ${actual}`)
        await file.sync()
      } finally {
        await file.close()
      }
    }
    await publish(written)
  }

  async function* read(name: BlobName, start = 0, end?: number): AsyncIterable<Uint8Array> {
    const missing = (why: string) =>
      new TributaryError('BYTES_MISSING', `the ${name.kind} ${name.digest} ${why}`, {
        details: { digest: name.digest },
        hint: 'upload it again, or connect a replica that holds it',
      })
    const file = await files.openForReading(pathOf(name))
    if (file === undefined) throw missing('is not here')
    try {
      const bytes = await file.bytes()
      const last = end ?? bytes
      if (!Number.isSafeInteger(start) || !Number.isSafeInteger(last) || start < 0 || start > last || last > bytes)
        throw new TributaryError('RANGE_NOT_SATISFIABLE', `bytes ${start} to ${last} of ${bytes}`, {
          details: { bytes },
        })
      for (let at = start; at < last;) {
        const piece = new Uint8Array(Math.min(CHUNK_BYTES, last - at))
        if ((await file.read(piece, at)) < piece.length) throw missing('became shorter while it was read')
        yield piece
        at += piece.length
      }
    } finally {
      await file.close()
    }
  }

  const stat = async (name: BlobName) => {
    const found = await files.stat(pathOf(name))
    return found?.kind === 'file' ? { bytes: found.bytes } : undefined
  }

  async function* list(): AsyncIterable<ListedBlob> {
    for (const kind of ['tensor', 'file'] as const) {
      const top = join(blobs, FOLDERS[kind])
      for (const first of await files.list(top))
        for (const second of await files.list(join(top, first)))
          for (const hex of await files.list(join(top, first, second))) {
            if (!isHex64(hex) || !hex.startsWith(first + second)) continue // not one of ours
            const name = checkedName(kind, hex)
            const found = await stat(name)
            if (found !== undefined) yield { name, ...found }
          }
    }
  }

  async function verify(name: BlobName, seen?: (bytes: number) => Promise<void>) {
    if ((await stat(name)) === undefined) return 'missing'
    const hasher = createBlobHasher(name.kind)
    for await (const piece of read(name)) {
      hasher.update(piece)
      await seen?.(piece.length)
    }
    return hasher.finish().name.digest === name.digest ? 'sound' : 'damaged'
  }

  async function quarantined(): Promise<readonly BlobName[]> {
    const names: BlobName[] = []
    for (const kind of ['tensor', 'file'] as const)
      for (const hex of await files.list(join(quarantine, FOLDERS[kind])))
        if (isHex64(hex)) names.push(checkedName(kind, hex))
    return names
  }

  async function sweepTemporary(olderThanMs: number, nowMs: number, keep: ReadonlySet<string> = new Set()) {
    let swept = 0
    for (const id of await files.list(temporaries)) {
      if (!TEMPORARY_ID.test(id) || keep.has(id) || inUse.has(id)) continue
      const found = await files.stat(pathOfTemporary(id))
      if (found?.kind !== 'file' || nowMs - found.modifiedAtMs <= olderThanMs) continue
      await files.remove(pathOfTemporary(id))
      swept += 1
    }
    return swept
  }

  return {
    create,
    publish,
    settle: (names) => publisher.settle(names.map(pathOf)),
    reserve,
    adopt,
    async openTemporary(id) {
      const path = pathOfTemporary(id)
      const known = (await files.stat(path)) !== undefined
      const file = await files.openForWriting(path)
      if (known) return file
      try {
        await files.syncDirectory(temporaries) // an offset will be committed for this name
      } catch (error) {
        await file.close()
        throw error
      }
      return file
    },
    locateTemporary: pathOfTemporary,
    discardTemporary,
    stat,
    has: async (name) => (await stat(name)) !== undefined,
    read,
    locate: pathOf,
    remove: (name, stillUnwanted = () => true) => publisher.remove(pathOf(name), stillUnwanted),
    list,
    verify,
    quarantine: (name) => publisher.putAside(pathOf(name), pathAside(name)),
    quarantined,
    openQuarantined: (name) => files.openForReading(pathAside(name)),
    dropQuarantined: (name) => files.remove(pathAside(name)),
    sweepTemporary,
    freeBytes: () => files.freeBytes(directory),
  }
}
