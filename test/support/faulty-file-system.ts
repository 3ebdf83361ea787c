/** A FileSystem that counts its calls and can fail any one of them, tear a write, or be dead from one call on. */
import type { FileSystem, OpenFile } from '../../src/storage/file-system.ts'
import { storageError } from '../../src/storage/storage-error.ts'

export interface Fault {
  /** Calls are counted from 1, from when the fault was planned. */
  readonly atCall?: number
  /** Every call like this fails, such as /^syncDirectory/. */
  readonly matching?: RegExp
  readonly code?: 'EIO' | 'ENOSPC'
  /** A failing write leaves the first half of its bytes; other calls have no effect. */
  readonly torn?: boolean
  /** Every later call fails too, as after a crash of the process. */
  readonly forGood?: boolean
}

export interface FaultyFileSystem extends FileSystem {
  plan(fault: Fault | undefined): void
  /** Calls since the last `plan`. */
  readonly calls: number
  /** What was called since the last `plan`, such as `sync /data/tmp/…`. */
  readonly log: readonly string[]
}

export function createFaultyFileSystem(inner: FileSystem): FaultyFileSystem {
  let fault: Fault | undefined
  let log: string[] = []

  const guarded = async <T>(what: string, work: () => Promise<T>, tear?: () => Promise<void>): Promise<T> => {
    log.push(what)
    const { atCall = Infinity, matching, forGood = false } = fault ?? {}
    const fails = log.length === atCall || (forGood && log.length > atCall) || matching?.test(what) === true
    if (!fails) return work()
    if (fault?.torn === true && log.length === atCall) await tear?.()
    const code = fault?.code ?? 'EIO'
    throw storageError(Object.assign(new Error(`${code}: planned`), { code }), what)
  }

  const openFile = (file: OpenFile, path: string): OpenFile => ({
    read: (target, position) => guarded(`read ${path}`, () => file.read(target, position)),
    write: (bytes, position) =>
      guarded(
        `write ${path}`,
        () => file.write(bytes, position),
        () => file.write(bytes.subarray(0, Math.floor(bytes.length / 2)), position),
      ),
    bytes: () => guarded(`bytes ${path}`, () => file.bytes()),
    sync: () => guarded(`sync ${path}`, () => file.sync()),
    // a failed close still lets go of the file, as close(2) does
    close: async () => {
      await file.close()
      await guarded(`close ${path}`, async () => undefined)
    },
  })

  return {
    plan(next) {
      fault = next
      log = []
    },
    get calls() {
      return log.length
    },
    get log() {
      return log
    },
    openForReading: (path) =>
      guarded(`open ${path}`, async () => {
        const file = await inner.openForReading(path)
        return file === undefined ? undefined : openFile(file, path)
      }),
    openForWriting: (path) => guarded(`open ${path}`, async () => openFile(await inner.openForWriting(path), path)),
    createExclusive: (path) => guarded(`create ${path}`, async () => openFile(await inner.createExclusive(path), path)),
    rename: (from, to) => guarded(`rename ${from} ${to}`, () => inner.rename(from, to)),
    makeDirectory: (path) => guarded(`makeDirectory ${path}`, () => inner.makeDirectory(path)),
    list: (path) => guarded(`list ${path}`, () => inner.list(path)),
    stat: (path) => guarded(`stat ${path}`, () => inner.stat(path)),
    remove: (path) => guarded(`remove ${path}`, () => inner.remove(path)),
    syncDirectory: (path) => guarded(`syncDirectory ${path}`, () => inner.syncDirectory(path)),
    freeBytes: (path) => guarded(`freeBytes ${path}`, () => inner.freeBytes(path)),
  }
}
