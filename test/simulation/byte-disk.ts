/**
 * Where a replica's models lie: the blob store that is shipped, on files that lose what was not synced, take time, fill up
 * and rot. Each process has its own hands on them, and they are cut off with it.
 */
import { openFsBlobStore } from '../../src/storage/fs/fs-blob-store.ts'
import type { FileSystem, OpenFile } from '../../src/storage/file-system.ts'
import type { BlobName, BlobStore } from '../../src/storage/blob-store.ts'
import {
  createMemoryFileSystem,
  type Crash,
  type MemoryFileSystem,
} from '../../src/storage/memory/memory-file-system.ts'
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { storageError } from '../../src/storage/storage-error.ts'
import type { Luck } from './luck.ts'

const DIRECTORY = '/memory'
const CRASHES: readonly Crash[] = ['unsynced lost', 'names kept, unsynced bytes lost', 'all kept']

/** What a process has of a disk. */
export interface Hands {
  /** Goes on when the disk has done its work, and never once the process is gone. */
  readonly turn: () => Promise<void>
  readonly isFull: () => boolean
  /** Of what is being fetched. */
  readonly did: (what: 'write' | 'sync') => void
  /** A mistake: what was fetched is said to be durable, and is not. */
  readonly skipsSync: boolean
}

export class ByteDisk {
  #files: MemoryFileSystem = createMemoryFileSystem(() => 0)
  #storage: Promise<Storage> | undefined

  /** What is in its database, with the blobs as this process reaches them. */
  async open(hands: Hands): Promise<Storage> {
    return { ...(await this.look()), blobs: await openFsBlobStore(inHands(this.#files, hands), DIRECTORY) }
  }

  /** As the disk itself has it, whoever may be at work on it. */
  look(): Promise<Storage> {
    this.#storage ??= this.#begin()
    return this.#storage
  }

  /** The directory was there before the replica. */
  async #begin(): Promise<Storage> {
    await this.#files.makeDirectory(DIRECTORY)
    await this.#files.syncDirectory('/')
    return createMemoryStorage(this.#files)
  }

  crash(luck: Luck): void {
    this.#files.crash(luck.pick(CRASHES))
  }

  /** Another disk takes its place, with nothing on it. */
  wipe(): void {
    this.#files = createMemoryFileSystem(() => 0)
    this.#storage = undefined
  }

  /** A bit of a published blob: which blob and where, if there is one. */
  async flip(luck: Luck): Promise<{ readonly name: BlobName; readonly at: number } | undefined> {
    const blobs: BlobStore = await openFsBlobStore(this.#files, DIRECTORY)
    const names: BlobName[] = []
    for await (const { name, bytes } of blobs.list()) if (bytes > 0) names.push(name)
    if (names.length === 0) return undefined
    const name = luck.pick(names.sort((a, b) => (a.digest < b.digest ? -1 : 1)))
    const file = await this.#files.openForWriting(blobs.locate(name))
    const at = luck.below(await file.bytes())
    const byte = new Uint8Array(1)
    await file.read(byte, at)
    byte[0]! ^= 1 << luck.below(8)
    await file.write(byte, at)
    await file.sync()
    return { name, at }
  }
}

function inHands(files: FileSystem, { turn, isFull, did, skipsSync }: Hands): FileSystem {
  const needRoom = (path: string) => {
    if (isFull()) throw storageError(Object.assign(new Error('ENOSPC: simulated'), { code: 'ENOSPC' }), `write ${path}`)
  }
  const held = (file: OpenFile, path: string, isTemporary: boolean): OpenFile => ({
    ...file,
    async write(bytes, position) {
      await turn()
      needRoom(path)
      await file.write(bytes, position)
      if (isTemporary) did('write')
    },
    async sync() {
      await turn()
      if (isTemporary && skipsSync) await syncLength(file)
      else await file.sync()
      if (isTemporary) did('sync')
    },
  })
  return {
    ...files,
    async openForReading(path) {
      const file = await files.openForReading(path)
      return file && held(file, path, false)
    },
    async openForWriting(path) {
      await turn()
      needRoom(path)
      return held(await files.openForWriting(path), path, true)
    },
    async createExclusive(path) {
      await turn()
      needRoom(path)
      return held(await files.createExclusive(path), path, false)
    },
    async rename(from, to) {
      await turn()
      await files.rename(from, to)
    },
    async syncDirectory(path) {
      await turn()
      await files.syncDirectory(path)
    },
    freeBytes: async (path) => (isFull() ? 0 : files.freeBytes(path)),
  }
}

/** As some file systems have it: what was not synced has its length after a crash, and zeros. */
async function syncLength(file: OpenFile): Promise<void> {
  const bytes = new Uint8Array(await file.bytes())
  await file.read(bytes, 0)
  await file.write(new Uint8Array(bytes.length), 0)
  await file.sync()
  await file.write(bytes, 0)
}
