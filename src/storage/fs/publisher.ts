/**
 * The step that makes blobs visible: rename, then sync the directories. Those that come while others are on their way go
 * together next, and never beside a removal: a removal between "it is there already" and "then my copy can go" would lose
 * bytes that were promised.
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
  /** What is there is durable when this is over, whoever put it there. */
  settle(paths: readonly string[]): Promise<void>
  remove(path: string, stillUnwanted: () => boolean): Promise<boolean>
  /** Out of the blobs, to a place that is no blob's. False where it is not there. */
  putAside(from: string, to: string): Promise<boolean>
}

interface Waiting {
  readonly publications: readonly Publication[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export function createPublisher(files: FileSystem, root: string): Publisher {
  /** Those that will go together, until something else is to be done: what is asked for later is done later. */
  let open: Waiting[] | undefined
  let last: Promise<unknown> = Promise.resolve()
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work)
    last = mine.catch(() => undefined)
    return mine
  }
  const afterThose = <T>(work: () => Promise<T>): Promise<T> => {
    open = undefined
    return alone(work)
  }

  /** Directories known to be there. */
  const made = new Set<string>([root])
  /** Directories synced after each name that came into them. That a name is there proves nothing: its maker may have crashed. */
  const settled = new Set<string>()

  /** All that a path hangs on, from its directory up. */
  function* above(path: string): Iterable<string> {
    for (let name = dirname(path); name.length >= root.length; name = dirname(name)) yield name
  }

  async function make(directory: string): Promise<void> {
    const fresh: string[] = []
    for (let name = directory; !made.has(name); name = dirname(name)) {
      invariant(name.length > root.length, 'blobs lie below the data directory')
      fresh.push(name)
      settled.delete(dirname(name))
    }
    if (fresh.length === 0) return
    await files.makeDirectory(directory)
    for (const name of fresh) made.add(name)
  }

  async function place({ from, to, bytes }: Publication): Promise<void> {
    const there = await files.stat(to)
    // of another length it is damaged, and the fresh copy heals it
    if (there?.kind === 'file' && there.bytes === bytes) return files.remove(from)
    if ((await files.stat(from)) === undefined)
      throw new TributaryError('STORAGE_FAILED', `${from} is gone: it was discarded, or never written`)
    settled.delete(dirname(to))
    return files.rename(from, to)
  }

  const unsettled = (paths: Iterable<string>): readonly string[] => {
    const names = new Set<string>()
    for (const path of paths) for (const name of above(path)) if (!settled.has(name)) names.add(name)
    return [...names]
  }

  async function syncAll(directories: readonly string[]): Promise<void> {
    for (let from = 0; from < directories.length; from += SYNCS_AT_ONCE) {
      const some = directories.slice(from, from + SYNCS_AT_ONCE)
      const results = await Promise.allSettled(some.map((directory) => files.syncDirectory(directory)))
      const failed = results.filter((result) => result.status === 'rejected')
      if (failed.length > 0) throw at(failed, 0).reason
    }
    for (const name of directories) settled.add(name)
  }

  /** What many small blobs cost is the syncs of their directories. */
  async function publishTogether(together: readonly Waiting[]): Promise<void> {
    const placed: Waiting[] = []
    for (const one of together) {
      try {
        for (const publication of one.publications) {
          await make(dirname(publication.to))
          await place(publication)
        }
        placed.push(one)
      } catch (error) {
        one.reject(error)
      }
    }
    try {
      await syncAll(unsettled(placed.flatMap(({ publications }) => publications.map(({ to }) => to))))
    } catch (error) {
      for (const { reject } of placed) reject(error)
      return
    }
    for (const { resolve } of placed) resolve()
  }

  return {
    async settle(paths) {
      if (unsettled(paths).length === 0) return
      await alone(async () => {
        const there: string[] = []
        for (const name of unsettled(paths)) if ((await files.stat(name)) !== undefined) there.push(name)
        await syncAll(there)
      })
    },

    publish: (publications) =>
      new Promise<void>((resolve, reject) => {
        if (open !== undefined) return void open.push({ publications, resolve, reject })
        const together = (open = [{ publications, resolve, reject }])
        void alone(() => {
          if (open === together) open = undefined
          return publishTogether(together)
        })
      }),

    remove: (path, stillUnwanted) =>
      afterThose(async () => {
        if ((await files.stat(path)) === undefined || !stillUnwanted()) return false
        await files.remove(path) // not synced: a blob that comes back is swept again
        return true
      }),

    putAside: (from, to) =>
      afterThose(async () => {
        if ((await files.stat(from)) === undefined) return false
        await files.makeDirectory(dirname(to))
        await files.rename(from, to)
        await files.syncDirectory(dirname(from)) // what comes back after a power cut is found again
        return true
      }),
  }
}
