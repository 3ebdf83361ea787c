/**
 * One count over every call a replica makes, to files and to the database, COMMIT included; any one of them can fail, or
 * be the last before the power goes.
 */
import type { FileSystem, OpenFile } from '../../src/storage/file-system.ts'
import { storageError } from '../../src/storage/storage-error.ts'

/** A broken disk, a full one, or a machine that stops in the middle of a call. */
export type Failure = 'EIO' | 'ENOSPC' | 'power cut'

export interface Outage {
  /** Fails the n-th call from now on, counted from 1; 0 is none. Forgets what was called. */
  plan(atCall: number, failure?: Failure): void
  /** Fails every such call until the next plan. */
  failWhile(matching: RegExp, failure: Failure): void
  readonly calls: readonly string[]
  /** The call that failed. */
  readonly hit: string | undefined
  readonly beforeStatement: (sql: string) => void
  guard(files: FileSystem): FileSystem
}

const oneLine = (sql: string): string => sql.trim().replace(/\s+/g, ' ')

export function createOutage(): Outage {
  let atCall = 0
  let failure: Failure = 'EIO'
  let calls: string[] = []
  let hit: string | undefined
  let lasting: RegExp | undefined

  /** Does this call fail? After a power cut every later one does. */
  const fails = (call: string): boolean => {
    calls.push(call)
    if (calls.length === atCall) hit = call
    if (lasting?.test(call) === true) return true
    return calls.length === atCall || (hit !== undefined && failure === 'power cut')
  }
  const failing = (call: string, code: string): never => {
    throw Object.assign(new Error(`planned: ${call}`), { code })
  }

  const guarded = async <T>(call: string, work: () => Promise<T>, torn?: () => Promise<void>): Promise<T> => {
    if (!fails(call)) return work()
    if (calls.length === atCall) await torn?.()
    try {
      return failing(call, failure === 'ENOSPC' ? 'ENOSPC' : 'EIO')
    } catch (error) {
      throw storageError(error, call)
    }
  }

  const guardFile = (file: OpenFile, path: string): OpenFile => ({
    read: (target, position) => guarded(`read ${path}`, () => file.read(target, position)),
    write: (bytes, position) =>
      guarded(
        `write ${path}`,
        () => file.write(bytes, position),
        () => file.write(bytes.subarray(0, bytes.length >> 1), position),
      ),
    bytes: () => guarded(`bytes ${path}`, () => file.bytes()),
    sync: () => guarded(`sync ${path}`, () => file.sync()),
    close: async () => {
      await file.close() // a close that fails has closed all the same
      await guarded(`close ${path}`, async () => undefined)
    },
  })

  return {
    plan(at, kind = 'EIO') {
      atCall = at
      failure = kind
      calls = []
      hit = undefined
      lasting = undefined
    },
    failWhile(matching, kind) {
      lasting = matching
      failure = kind
    },
    get calls() {
      return calls
    },
    get hit() {
      return hit
    },
    beforeStatement(sql) {
      const call = oneLine(sql)
      if (fails(call)) failing(call, failure === 'ENOSPC' ? 'SQLITE_FULL' : 'SQLITE_IOERR')
    },
    guard: (files) => ({
      openForReading: (path) =>
        guarded(`open ${path}`, async () => {
          const file = await files.openForReading(path)
          return file && guardFile(file, path)
        }),
      openForWriting: (path) => guarded(`open ${path}`, async () => guardFile(await files.openForWriting(path), path)),
      createExclusive: (path) =>
        guarded(`create ${path}`, async () => guardFile(await files.createExclusive(path), path)),
      rename: (from, to) => guarded(`rename ${from} ${to}`, () => files.rename(from, to)),
      makeDirectory: (path) => guarded(`makeDirectory ${path}`, () => files.makeDirectory(path)),
      list: (path) => guarded(`list ${path}`, () => files.list(path)),
      stat: (path) => guarded(`stat ${path}`, () => files.stat(path)),
      remove: (path) => guarded(`remove ${path}`, () => files.remove(path)),
      syncDirectory: (path) => guarded(`syncDirectory ${path}`, () => files.syncDirectory(path)),
      freeBytes: (path) => guarded(`freeBytes ${path}`, () => files.freeBytes(path)),
    }),
  }
}
