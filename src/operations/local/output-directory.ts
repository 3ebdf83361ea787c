/**
 * The directory a merge writes: built beside its place under another name, durable, and only then put there. What fails
 * leaves nothing behind, what is killed leaves its weights and a journal of them, for the next run of the same merge. What
 * was there before is replaced whole, and only if it was a merge's output.
 */
import type { FileHandle } from 'node:fs/promises'
import { mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve as resolvePath } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { TributaryError } from '../../core/errors.ts'
import { shown } from '../../tensors/names.ts'
import { MergeJournal } from './merge-journal.ts'

/** So that little is left at the end. A sync that takes in less costs no more CPU. */
const SYNC_EVERY_MS = 30
const SYNCS_AT_ONCE = 4

export const RECEIPT_PATH = 'receipt.json'
export const SOURCES_PATH = '.tributary/sources.json'

export const codeOf = (error: unknown) => (error as { code?: string }).code

/** A failure of the disk, by name. */
export async function attempt<T>(doing: string, work: () => Promise<T>): Promise<T> {
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

/** How the names of unfinished outputs of this place begin. */
const partialsOf = (place: string): string => `.${basename(place)}.tributary-`
const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

export class OutputDirectory {
  readonly #place: string
  /** Where the files lie until all of them are there. */
  readonly partial: string

  readonly #weights: string[] = []
  /** Asked for every tensor. */
  readonly #places = new Map<string, string>()
  /** What is being synced already, and what failed of it. */
  #syncing: Promise<readonly unknown[]> = Promise.resolve([])
  readonly journal: MergeJournal

  private constructor(place: string, partial: string, merge: string) {
    this.#place = place
    this.partial = partial
    this.journal = new MergeJournal(`${partial}.journal`, merge)
  }

  /** While the output is locked. Nothing is made yet. */
  static at(out: string, merge: string): OutputDirectory {
    const place = resolvePath(out)
    return new OutputDirectory(place, join(dirname(place), `${partialsOf(place)}${merge.slice(0, 12)}.partial`), merge)
  }

  /**
   * Weights files with their headers and room for the rest. Those of a run before stay, where they are as these will be;
   * answers whether all of them did. What other merges left of this output goes.
   */
  async begin(files: readonly { readonly path: string; readonly header: Uint8Array; readonly bytes: number }[]) {
    return attempt(`make ${this.partial}`, async () => {
      const [directory, own] = [dirname(this.partial), basename(this.partial)]
      for (const name of (await namesIn(directory)) ?? []) {
        if (!name.startsWith(partialsOf(this.#place)) || name === own || name === `${own}.journal`) continue
        const isEarlier = name.endsWith('.before') && (await namesIn(this.#place)) === undefined
        // a run that was killed in its last step had put the earlier output aside
        if (isEarlier) await rename(join(directory, name), this.#place)
        else await rm(join(directory, name), { recursive: true, force: true })
      }
      const names = (await namesIn(this.partial)) ?? []
      const kept = await Promise.all(files.map((file) => this.#begins(file)))
      const isWhole = names.length > 0 && kept.every((keeps) => keeps)
      if (!isWhole) await rm(this.partial, { recursive: true, force: true })
      await mkdir(this.partial, { recursive: true })
      const weights = new Set(files.map(({ path }) => path))
      for (const name of names)
        if (!weights.has(name)) await rm(join(this.partial, name), { recursive: true, force: true })
      if (!isWhole) for (const { path, header, bytes } of files) await this.#reserve(path, header, bytes)
      this.#weights.push(...files.map(({ path }) => this.locate(path)))
      return isWhole
    })
  }

  async #begins({ path, header, bytes }: { path: string; header: Uint8Array; bytes: number }): Promise<boolean> {
    const handle = await open(this.locate(path)).catch(() => undefined)
    if (handle === undefined) return false
    try {
      const start = new Uint8Array(header.length)
      const { bytesRead } = await handle.read(start, 0, start.length, 0)
      return bytesRead === start.length && equalBytes(start, header) && (await handle.stat()).size === bytes
    } finally {
      await handle.close()
    }
  }

  locate(path: string): string {
    let place = this.#places.get(path)
    if (place === undefined) this.#places.set(path, (place = join(this.partial, ...path.split('/'))))
    return place
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    await this.#create(path, (handle) => handle.writeFile(bytes))
  }

  /**
   * Does the work while the disk takes in the weights that are written already, and has it take the last of them while more
   * is written beside them: less is left to wait for at the end. A sync that failed fails the output: a later one could
   * succeed without the bytes.
   */
  async whileSyncing<T>(work: Promise<T>): Promise<T> {
    const done = new AbortController()
    const syncing = this.#syncUntil(done.signal)
    this.#syncing = syncing
    const result = await work.finally(() => {
      done.abort()
    })
    this.#syncing = syncing.then(async (failures) => [...failures, ...(await this.#syncWeights())])
    return result
  }

  async #syncUntil(done: AbortSignal): Promise<readonly unknown[]> {
    const failures: unknown[] = []
    const isDone = () => done.aborted
    while (!isDone()) {
      await sleep(SYNC_EVERY_MS, undefined, { signal: done, ref: false }).catch(() => undefined)
      if (!isDone()) failures.push(...(await this.#syncWeights()))
    }
    return failures
  }

  /** Answers what failed. */
  async #syncWeights(): Promise<readonly unknown[]> {
    const failures: unknown[] = []
    for (const path of this.#weights) await syncData(path).catch((why: unknown) => failures.push(why))
    return failures
  }

  async #reserve(path: string, start: Uint8Array, bytes: number): Promise<void> {
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
      const [failure] = await this.#syncing
      if (failure !== undefined) throw failure as Error
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
      await this.journal.remove()
      await rm(before, { recursive: true, force: true })
    })
  }

  async discard(): Promise<void> {
    await this.#syncing
    await this.journal.remove()
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

/** Several at a time, since one flush of the disk serves them all; each directory after what is in it. */
async function syncAll(directory: string): Promise<void> {
  const entries = (await readdir(directory, { withFileTypes: true })).values()
  const syncing = async () => {
    for (const entry of entries) {
      const path = join(directory, entry.name)
      await (entry.isDirectory() ? syncAll(path) : sync(path))
    }
  }
  await Promise.all(Array.from({ length: SYNCS_AT_ONCE }, syncing))
  await sync(directory)
}
