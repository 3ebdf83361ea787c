/**
 * The directory a merge writes: built beside its place under another name, durable, and only then put there. What fails
 * leaves nothing behind; what was there before is replaced whole, and only if it was a merge's output.
 */
import type { FileHandle } from 'node:fs/promises'
import { mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve as resolvePath } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { TributaryError } from '../../core/errors.ts'
import { shown } from '../../tensors/names.ts'

const SYNC_EVERY_MS = 100

export const RECEIPT_PATH = 'receipt.json'
export const SOURCES_PATH = '.tributary/sources.json'

const codeOf = (error: unknown) => (error as { code?: string }).code

/** A failure of the disk, by name. */
async function attempt<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = codeOf(cause)
    if (code === 'ENOSPC' || code === 'EDQUOT')
      throw new TributaryError('DISK_FULL', `the disk is full: can't ${doing}`, {
        cause,
        hint: 'free space, then run it again',
      })
    if (cause instanceof TributaryError) throw cause
    throw new TributaryError('STORAGE_FAILED', `can't ${doing}: ${cause instanceof Error ? cause.message : 'failed'}`, {
      cause,
    })
  }
}

const namesIn = async (directory: string): Promise<readonly string[] | undefined> => {
  try {
    return await readdir(directory)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const isWithin = (path: string, directory: string): boolean => {
  const way = relative(directory, path)
  return way === '' || (!way.startsWith('..') && !way.startsWith('/'))
}

/** Refuses a place where something lies that a merge must not replace. */
export async function checkPlace(out: string, inputs: readonly string[]): Promise<void> {
  const exists = (why: string, hint: string) =>
    new TributaryError('OUTPUT_EXISTS', `${shown(out)} ${why}`, { details: { out }, hint })
  const place = resolvePath(out)
  const input = inputs.find((location) => isWithin(location, place))
  if (input !== undefined)
    throw exists(`holds an input of this merge, ${shown(input)}`, 'choose another directory with --out')
  const names = await attempt(`look at ${out}`, async () => {
    const found = await stat(place).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    })
    if (found && !found.isDirectory()) throw exists('is a file', 'choose a directory that is not there yet with --out')
    return namesIn(place)
  })
  if (names === undefined || names.length === 0) return
  if (names.includes(RECEIPT_PATH) && names.includes(dirname(SOURCES_PATH))) return
  throw exists(
    'is a directory that is not empty, and not the output of an earlier merge',
    'choose another directory with --out, or empty it',
  )
}

/** Directories that are not there yet are looked for further up. */
export async function freeBytesAt(path: string): Promise<number> {
  for (let at = resolvePath(path); ; at = dirname(at))
    try {
      const { bavail, bsize } = await statfs(at)
      return bavail * bsize
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || at === dirname(at)) throw error
    }
}

export class OutputDirectory {
  readonly #place: string
  /** Where the files lie until all of them are there. */
  readonly partial: string

  readonly #reserved: string[] = []

  private constructor(place: string, partial: string) {
    this.#place = place
    this.partial = partial
  }

  static async begin(out: string, merge: string): Promise<OutputDirectory> {
    const place = resolvePath(out)
    const partial = join(dirname(place), `.${basename(place)}.tributary-${merge.slice(0, 12)}.partial`)
    await attempt(`make ${partial}`, async () => {
      await rm(partial, { recursive: true, force: true })
      await mkdir(partial, { recursive: true })
    })
    return new OutputDirectory(place, partial)
  }

  locate(path: string): string {
    return join(this.partial, ...path.split('/'))
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    await this.#create(path, (handle) => handle.writeFile(bytes))
  }

  /**
   * Does the work while the disk takes in what is reserved and written already: less is left to wait for at the end. What
   * fails here will fail again when the output is published.
   */
  async whileSyncing<T>(work: Promise<T>): Promise<T> {
    const done = new AbortController()
    const syncing = (async () => {
      while (!done.signal.aborted) {
        await sleep(SYNC_EVERY_MS, undefined, { signal: done.signal, ref: false }).catch(() => undefined)
        for (const path of this.#reserved) if (!done.signal.aborted) await syncData(path).catch(() => undefined)
      }
    })()
    try {
      return await work
    } finally {
      done.abort()
      await syncing
    }
  }

  /** A file that begins with these bytes and has room for the rest. */
  async reserve(path: string, start: Uint8Array, bytes: number): Promise<void> {
    this.#reserved.push(this.locate(path))
    await this.#create(path, async (handle) => {
      await handle.writeFile(start)
      await handle.truncate(bytes)
    })
  }

  async copy(path: string, from: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#create(path, async (handle) => {
      for await (const chunk of from) await handle.writeFile(chunk)
    })
  }

  async #create(path: string, fill: (handle: FileHandle) => Promise<void>): Promise<void> {
    const location = this.locate(path)
    await attempt(`write ${location}`, async () => {
      await mkdir(dirname(location), { recursive: true })
      const handle = await open(location, 'wx')
      try {
        await fill(handle)
      } finally {
        await handle.close()
      }
    })
  }

  /** All of it durable, then at its place in one step; an earlier output stands until then. */
  async publish(): Promise<void> {
    await attempt(`finish ${this.#place}`, async () => {
      await syncAll(this.partial)
      const before = `${this.partial}.before`
      await rm(before, { recursive: true, force: true })
      const replaced = (await namesIn(this.#place)) !== undefined
      if (replaced) await rename(this.#place, before)
      try {
        await rename(this.partial, this.#place)
      } catch (error) {
        if (replaced) await rename(before, this.#place)
        throw error
      }
      await sync(dirname(this.#place))
      await rm(before, { recursive: true, force: true })
    })
  }

  async discard(): Promise<void> {
    await rm(this.partial, { recursive: true, force: true })
  }
}

async function syncData(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.datasync()
  } finally {
    await handle.close()
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function syncAll(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) await syncAll(path)
    else await sync(path)
  }
  await sync(directory)
}
