/**
 * The FileSystem port in memory, strict about durability: what was not synced is lost in a crash, bytes and names apart.
 */
import { dirname } from 'node:path'
import { invariant } from '../../core/invariant.ts'
import type { FileSystem, OpenFile } from '../file-system.ts'
import { storageError } from '../storage-error.ts'

/** Bytes of one file, whatever its names. `durable` may share the buffer until the next write. */
interface Inode {
  buffer: Uint8Array
  bytes: number
  durable: Uint8Array
  modifiedAtMs: number
}
type Entry = Inode | 'directory'

/** What a power cut leaves of that which was not synced. A file system may do any of these. */
export type Crash = 'unsynced lost' | 'names kept, unsynced bytes lost' | 'all kept'

export interface MemoryFileSystem extends FileSystem {
  crash(kind: Crash): void
}

const failure = (code: string, doing: string) =>
  storageError(Object.assign(new Error(`${code}: in memory`), { code }), doing)

export function createMemoryFileSystem(clock: () => number = Date.now, capacityBytes = 2 ** 40): MemoryFileSystem {
  let now = new Map<string, Entry>([['/', 'directory']])
  let durable = new Map(now)

  const parentMustExist = (path: string, doing: string) => {
    const parent = dirname(path)
    if (now.get(parent) !== 'directory') throw failure('ENOENT', doing)
  }
  const usedBytes = () => [...now.values()].reduce((sum, entry) => sum + (entry === 'directory' ? 0 : entry.bytes), 0)

  function write(inode: Inode, bytes: Uint8Array, position: number): void {
    const end = position + bytes.length
    if (end > inode.buffer.length || inode.durable.buffer === inode.buffer.buffer) {
      const grown = new Uint8Array(Math.max(end, inode.bytes, Math.min(2 * inode.buffer.length, end + 2 ** 24)))
      grown.set(inode.buffer.subarray(0, inode.bytes))
      inode.buffer = grown
    }
    inode.buffer.set(bytes, position)
    inode.bytes = Math.max(inode.bytes, end)
    inode.modifiedAtMs = clock()
  }

  const openInode = (inode: Inode, path: string): OpenFile => ({
    read: async (target, position) => {
      const found = inode.buffer.subarray(position, Math.max(position, Math.min(inode.bytes, position + target.length)))
      target.set(found)
      return found.length
    },
    write: async (bytes, position) => {
      if (usedBytes() + bytes.length > capacityBytes) throw failure('ENOSPC', `write ${path}`)
      write(inode, bytes, position)
    },
    bytes: async () => inode.bytes,
    sync: async () => {
      inode.durable = inode.buffer.subarray(0, inode.bytes)
    },
    close: async () => undefined,
  })

  const make = (path: string): Inode => {
    parentMustExist(path, `open ${path}`)
    const none = new Uint8Array(0)
    const inode = { buffer: none, bytes: 0, durable: none, modifiedAtMs: clock() }
    now.set(path, inode)
    return inode
  }

  return {
    openForReading: async (path) => {
      const entry = now.get(path)
      if (entry === 'directory') throw failure('EISDIR', `open ${path}`)
      return entry === undefined ? undefined : openInode(entry, path)
    },
    openForWriting: async (path) => {
      const entry = now.get(path)
      if (entry === 'directory') throw failure('EISDIR', `open ${path}`)
      return openInode(entry ?? make(path), path)
    },
    createExclusive: async (path) => {
      if (now.has(path)) throw failure('EEXIST', `open ${path}`)
      return openInode(make(path), path)
    },
    rename: async (from, to) => {
      const entry = now.get(from)
      if (entry === undefined) throw failure('ENOENT', `rename ${from} to ${to}`)
      invariant(entry !== 'directory', 'storage renames no directory')
      parentMustExist(to, `rename ${from} to ${to}`)
      now.delete(from)
      now.set(to, entry)
    },
    makeDirectory: async (path) => {
      for (let name = path; name !== dirname(name); name = dirname(name)) {
        const entry = now.get(name)
        if (entry !== undefined && entry !== 'directory') throw failure('ENOTDIR', `make the directory ${path}`)
        now.set(name, 'directory')
      }
    },
    list: async (path) =>
      [...now.keys()]
        .filter((name) => dirname(name) === path && name !== path)
        .map((name) => name.slice(path.length + (path.endsWith('/') ? 0 : 1)))
        .sort(),
    stat: async (path) => {
      const entry = now.get(path)
      if (entry === undefined) return undefined
      if (entry === 'directory') return { kind: 'directory', bytes: 0, modifiedAtMs: 0 }
      return { kind: 'file', bytes: entry.bytes, modifiedAtMs: entry.modifiedAtMs }
    },
    remove: async (path) => {
      if (now.get(path) === 'directory') throw failure('EISDIR', `remove ${path}`)
      now.delete(path)
    },
    syncDirectory: async (path) => {
      if (now.get(path) !== 'directory') throw failure('ENOENT', `sync the directory ${path}`)
      for (const name of durable.keys()) if (dirname(name) === path && !now.has(name)) durable.delete(name)
      for (const [name, entry] of now) if (dirname(name) === path) durable.set(name, entry)
    },
    freeBytes: async () => capacityBytes - usedBytes(),

    crash(kind) {
      if (kind === 'all kept') return
      const left = kind === 'unsynced lost' ? durable : now
      const reachable = (name: string): boolean =>
        name === dirname(name) || (left.has(name) && reachable(dirname(name)))
      now = new Map()
      for (const [name, entry] of left) {
        if (!reachable(name)) continue
        if (entry === 'directory') now.set(name, entry)
        else {
          const bytes = entry.durable.slice()
          now.set(name, { buffer: bytes, bytes: bytes.length, durable: bytes, modifiedAtMs: entry.modifiedAtMs })
        }
      }
      durable = new Map(now)
    },
  }
}
