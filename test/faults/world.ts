/**
 * A replica whose disk is in memory, so that power can be cut, and whose database is a real one. A world is made once and
 * set up again from a snapshot for every fault.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { createInlineMerger } from '../../src/merging/inline-merger.ts'
import type { Merger, Watch } from '../../src/merging/merger.ts'
import type { MergeTask } from '../../src/merging/task.ts'
import type { FileSystem } from '../../src/storage/file-system.ts'
import { createMemoryFileSystem, type MemoryFileSystem } from '../../src/storage/memory/memory-file-system.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite-storage.ts'
import type { TileFile } from '../../src/storage/tile-files.ts'
import { aReplica, type TestReplica } from '../support/replica.ts'
import type { Outage } from './outage.ts'

export interface Snapshot {
  readonly directory: string
  readonly database: Uint8Array
  /** Path and bytes of every file. */
  readonly files: readonly (readonly [string, Uint8Array])[]
}

export interface World {
  readonly disk: MemoryFileSystem
  readonly directory: string
}

const made: string[] = []
const opened: { close(): void }[] = []
afterEach(() => {
  for (const storage of opened.splice(0)) storage.close() // a test that failed left it open
})
afterAll(async () => {
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true })
})

/** Where syncs cost nothing, if there is such a place: what would be lost is decided by the disk in memory. */
export async function aDirectory(): Promise<string> {
  const directory = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tributary-faults-'))
  made.push(directory)
  return directory
}

async function emptyDisk(directory: string): Promise<MemoryFileSystem> {
  const disk = createMemoryFileSystem(() => 1_700_000_000_000)
  await makeDurably(disk, directory)
  return disk
}

async function makeDurably(disk: FileSystem, directory: string): Promise<void> {
  await disk.makeDirectory(directory)
  for (let name = directory; name !== '/'; name = dirname(name)) await disk.syncDirectory(dirname(name))
}

export async function filesBelow(disk: FileSystem, directory: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of await disk.list(directory)) {
    const path = join(directory, name)
    if ((await disk.stat(path))?.kind === 'directory') found.push(...(await filesBelow(disk, path)))
    else found.push(path)
  }
  return found
}

export async function bytesOf(disk: FileSystem, path: string): Promise<Uint8Array> {
  const file = (await disk.openForReading(path))!
  const bytes = new Uint8Array(await file.bytes())
  await file.read(bytes, 0)
  return bytes
}

/** A world with what `furnish` did to it, and what it answered; its replica is gone, without a clean stop. */
export async function takeSnapshot<T>(
  furnish: (replica: TestReplica) => Promise<T>,
): Promise<{ readonly snapshot: Snapshot; readonly furnished: T }> {
  const world = { directory: await aDirectory(), disk: await emptyDisk(await aDirectory()) }
  await makeDurably(world.disk, world.directory)
  const replica = await openReplica(world)
  const furnished = await furnish(replica)
  replica.storage.close()
  const paths = await filesBelow(world.disk, world.directory)
  const snapshot = {
    directory: world.directory,
    database: await readFile(join(world.directory, 'tributary.db')),
    files: await Promise.all(paths.map(async (path) => [path, await bytesOf(world.disk, path)] as const)),
  }
  return { snapshot, furnished }
}

/** One at a time: all worlds of a snapshot lie in one directory. */
export async function setUp({ directory, database, files }: Snapshot): Promise<World> {
  const disk = await emptyDisk(directory)
  for (const [path, bytes] of files) {
    await makeDurably(disk, dirname(path))
    const file = await disk.createExclusive(path)
    await file.write(bytes, 0)
    await file.sync()
    await disk.syncDirectory(dirname(path))
  }
  for (const ending of ['', '-wal', '-shm']) await rm(join(directory, `tributary.db${ending}`), { force: true })
  await writeFile(join(directory, 'tributary.db'), database)
  return { disk, directory }
}

export interface Opening {
  readonly outage?: Outage
  readonly merger?: (disk: FileSystem) => Merger
  readonly startMs?: number
}

export async function openReplica(world: World, { outage, merger, startMs }: Opening = {}): Promise<TestReplica> {
  const storage = await openSqliteStorage(world.directory, {
    files: outage?.guard(world.disk) ?? world.disk,
    beforeStatement: outage?.beforeStatement,
  })
  opened.push(storage)
  return aReplica({
    storage,
    merger: (merger ?? mergerOn)(world.disk),
    limits: { mergeSyncBytes: 1 }, // each tensor is made durable by itself
    ...(startMs !== undefined && { startMs }),
  })
}

const pathsIn = (value: unknown): string[] =>
  typeof value !== 'object' || value === null
    ? []
    : Object.entries(value).flatMap(([key, inner]) =>
        key === 'path' && typeof inner === 'string' && inner !== '' ? [inner] : pathsIn(inner),
      )

/** Merges files of a disk in memory: what the task names is read before, and what it writes is written (not synced) after. */
export function mergerOn(disk: FileSystem): Merger {
  const merge = async (task: MergeTask, watch?: Watch): ReturnType<Merger['merge']> => {
    const contents = new Map<string, Uint8Array>()
    for (const path of new Set(pathsIn(task))) contents.set(path, await bytesOf(disk, path))
    const tileFile = (path: string): TileFile => ({
      read: (into, position) => into.set(contents.get(path)!.subarray(position, position + into.length)),
      write(from, position) {
        const grown = new Uint8Array(Math.max(contents.get(path)!.length, position + from.length))
        grown.set(contents.get(path)!)
        grown.set(from, position)
        contents.set(path, grown)
      },
      close: () => undefined,
    })
    const inline = createInlineMerger(
      { openForReading: tileFile, openForWriting: tileFile },
      referenceKernels,
      strategies,
    )
    const outcomes = await inline.merge(task)
    for (const { target } of task.tensors) {
      const file = await disk.openForWriting(target.path)
      await file.write(contents.get(target.path)!, 0)
    }
    for (const outcome of outcomes) watch?.onTensor?.(outcome)
    return outcomes
  }
  return {
    resources: { workers: 1 },
    merge,
    digest: () => Promise.reject(new Error('no verb of a replica digests files')),
    close: async () => undefined,
  }
}
