/**
 * The step that makes blobs visible: rename, then sync the directories. One at a time, and never beside a removal: a
 * removal between "it is there already" and "then my copy can go" would lose bytes that were promised.
 */
import { dirname } from 'node:path'
import { TributaryError } from '../../core/errors.ts'
import { at, invariant } from '../../core/invariant.ts'
import type { FileSystem } from '../file-system.ts'

/** Syncs of distinct directories share the file system's journal commit when they wait together. */
const SYNCS_AT_ONCE = 8

export interface Publication {
  readonly from: string
  readonly to: string
  readonly bytes: number
}

export interface Publisher {
  publish(publications: readonly Publication[]): Promise<void>
  remove(path: string, stillUnwanted: () => boolean): Promise<boolean>
  /** Out of the blobs, to a place that is no blob's. False where it is not there. */
  putAside(from: string, to: string): Promise<boolean>
}

export function createPublisher(files: FileSystem, root: string): Publisher {
  let last: Promise<unknown> = Promise.resolve()
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work)
    last = mine.catch(() => undefined)
    return mine
  }

  /** Directories whose own names are known to be durable. That one exists proves nothing: its maker may have crashed. */
  const durable = new Set<string>([root])

  /** Makes a directory; answers those that must be synced before its name, and the names above it, can be relied on. */
  async function prepare(directory: string): Promise<readonly string[]> {
    if (durable.has(directory)) return []
    const fresh: string[] = []
    for (let name = directory; !durable.has(name); name = dirname(name)) {
      invariant(name.length > root.length, 'blobs lie below the data directory')
      fresh.push(name)
    }
    await files.makeDirectory(directory)
    return fresh
  }

  async function place({ from, to, bytes }: Publication): Promise<void> {
    const there = await files.stat(to)
    // of another length it is damaged, and the fresh copy heals it
    if (there?.kind === 'file' && there.bytes === bytes) return files.remove(from)
    if ((await files.stat(from)) === undefined)
      throw new TributaryError('STORAGE_FAILED', `${from} is gone: it was discarded, or never written`)
    return files.rename(from, to)
  }

  async function syncAll(directories: readonly string[]): Promise<void> {
    for (let from = 0; from < directories.length; from += SYNCS_AT_ONCE) {
      const results = await Promise.allSettled(
        directories.slice(from, from + SYNCS_AT_ONCE).map((directory) => files.syncDirectory(directory)),
      )
      const failed = results.filter((result) => result.status === 'rejected')
      if (failed.length > 0) throw at(failed, 0).reason
    }
  }

  return {
    publish: (publications) =>
      alone(async () => {
        const touched = new Set<string>()
        const fresh = new Set<string>()
        for (const publication of publications) {
          const directory = dirname(publication.to)
          touched.add(directory)
          for (const name of await prepare(directory)) {
            fresh.add(name)
            touched.add(dirname(name))
          }
          await place(publication)
        }
        await syncAll([...touched])
        for (const name of fresh) durable.add(name)
      }),

    remove: (path, stillUnwanted) =>
      alone(async () => {
        if ((await files.stat(path)) === undefined || !stillUnwanted()) return false
        await files.remove(path) // not synced: a blob that comes back is swept again
        return true
      }),

    putAside: (from, to) =>
      alone(async () => {
        if ((await files.stat(from)) === undefined) return false
        await files.makeDirectory(dirname(to))
        await files.rename(from, to)
        await files.syncDirectory(dirname(from)) // what comes back after a power cut is found again
        return true
      }),
  }
}
