/** One replica without HTTP, for tests: real storage in a temporary directory, the reference kernels inline, a clock that ticks. */
import { createHash } from 'node:crypto'
import { strategies } from '../../merge-strategies/index.ts'
import { keyPairFromSeed } from '../../src/core/signature.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { createInlineMerger } from '../../src/merging/inline-merger.ts'
import type { Merger } from '../../src/merging/merger.ts'
import { type Context, LIMITS, type Limits } from '../../src/operations/context.ts'
import { Lease } from '../../src/operations/lease.ts'
import { createOperations, type RunningOperations } from '../../src/operations/create-operations.ts'
import { nodeTileFiles } from '../../src/storage/fs/node-tile-files.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { TileFiles } from '../../src/storage/tile-files.ts'
import { temporaryStorage } from './storage.ts'

export interface ReplicaOptions {
  readonly storage?: Storage
  /** Another seed is another key. */
  readonly seed?: number
  readonly merger?: Merger
  readonly tileFiles?: TileFiles
  readonly limits?: Partial<Limits>
  readonly startMs?: number
}

export interface TestReplica extends RunningOperations {
  readonly storage: Storage
  readonly context: Context
  readonly faults: unknown[]
  tick(ms: number): void
}

export async function aReplica(options: ReplicaOptions = {}): Promise<TestReplica> {
  const { seed = 1, startMs = 1_700_000_000_000 } = options
  const storage = options.storage ?? (await temporaryStorage())
  const key = keyPairFromSeed(createHash('sha256').update(`key ${seed}`).digest())
  let now = startMs
  let drawn = 0
  const faults: unknown[] = []
  const context: Context = {
    storage,
    merger: options.merger ?? createInlineMerger(options.tileFiles ?? nodeTileFiles, referenceKernels, strategies),
    strategies,
    key,
    lease: new Lease(storage.lease, key.rid, `boot ${seed}`),
    version: '0.0.0-test',
    limits: { ...LIMITS, freeBytesMin: 0, fetchFreeBytesMin: 0, ...options.limits },
    now: () => (now += 1),
    randomHex: (bytes) =>
      createHash('sha256')
        .update(`${seed} ${now} ${drawn++}`)
        .digest('hex')
        .slice(0, bytes * 2),
    report: (_, error) => faults.push(error),
  }
  return { ...createOperations(context), storage, context, faults, tick: (ms) => void (now += ms) }
}
