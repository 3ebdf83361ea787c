/** The FileSystem port on the machine's own files. */
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, stat, statfs, unlink } from 'node:fs/promises'
import type { FileStat, FileSystem, OpenFile } from '../file-system.ts'
import { codeOf, storageError } from '../storage-error.ts'

async function attempt<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw storageError(cause, doing)
  }
}

/** Undefined where the path, or a directory on the way to it, is not there. */
async function unlessAbsent<T>(doing: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined
    throw storageError(cause, doing)
  }
}

const openFile = (handle: FileHandle, path: string): OpenFile => ({
  read: (target, position) =>
    attempt(`read ${path}`, async () => {
      let done = 0
      while (done < target.length) {
        const { bytesRead } = await handle.read(target, done, target.length - done, position + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
      return done
    }),
  write: (bytes, position) =>
    attempt(`write ${path}`, async () => {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
        done += bytesWritten
      }
    }),
  bytes: () => attempt(`look at ${path}`, async () => (await handle.stat()).size),
  sync: () => attempt(`sync ${path}`, () => handle.sync()),
  close: () => attempt(`close ${path}`, () => handle.close()),
})

const openWith = (path: string, flags: number | string) =>
  attempt(`open ${path}`, async () => openFile(await open(path, flags), path))

export function createNodeFileSystem(): FileSystem {
  return {
    async openForReading(path) {
      const handle = await unlessAbsent(`open ${path}`, () => open(path, 'r'))
      return handle === undefined ? undefined : openFile(handle, path)
    },
    openForWriting: (path) => openWith(path, constants.O_RDWR | constants.O_CREAT),
    createExclusive: (path) => openWith(path, 'wx+'),
    rename: (from, to) => attempt(`rename ${from} to ${to}`, () => rename(from, to)),
    async makeDirectory(path) {
      await attempt(`make the directory ${path}`, () => mkdir(path, { recursive: true }))
    },
    list: async (path) => (await unlessAbsent(`list ${path}`, () => readdir(path)))?.sort() ?? [],
    async stat(path): Promise<FileStat | undefined> {
      const found = await unlessAbsent(`look at ${path}`, () => stat(path))
      if (found === undefined) return undefined
      const kind = found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other'
      return { kind, bytes: found.size, modifiedAtMs: found.mtimeMs }
    },
    async remove(path) {
      await unlessAbsent(`remove ${path}`, () => unlink(path))
    },
    syncDirectory: (path) =>
      attempt(`sync the directory ${path}`, async () => {
        const handle = await open(path, 'r')
        try {
          await handle.sync()
        } finally {
          await handle.close()
        }
      }),
    freeBytes: (path) =>
      attempt(`ask for the free space of ${path}`, async () => {
        const { bavail, bsize } = await statfs(path)
        return bavail * bsize
      }),
  }
}
