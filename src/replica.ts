/** Composition root: the only file that knows every driver. It chooses, wires, starts and stops in order; no logic. */
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { strategies } from '../merge-strategies/index.ts'
import { createServer, startListening } from './api/server.ts'
import { resolveToken } from './api/token.ts'
import { VERSION } from './cli/version.ts'
import { kernelChoice, type ReplicaConfig } from './config.ts'
import { chooseKernels } from './kernels/choose-kernels.ts'
import { createInlineMerger } from './merging/inline-merger.ts'
import type { Merger } from './merging/merger.ts'
import { createWorkerMerger } from './merging/worker-merger.ts'
import { LIMITS } from './operations/context.ts'
import { createOperations } from './operations/create-operations.ts'
import { createLocalOperations } from './operations/local/create-local-operations.ts'
import type { LocalOperations } from './operations/local/local-operations.ts'
import { createNodeFileSystem } from './storage/fs/node-file-system.ts'
import { openReplicaKey } from './storage/fs/replica-key.ts'
import { nodeTileFiles } from './storage/fs/node-tile-files.ts'
import { openSqliteStorage } from './storage/sqlite/sqlite-storage.ts'

const SWEEP_EVERY_MS = 3600 * 1000

export interface RunningReplica {
  readonly url: string
  /** Only when it was made just now: it is shown once and kept hashed. */
  readonly token?: string
  stop(): Promise<void>
}

/** A thread where the program is built; inline where it runs from its sources, which a worker can't load. */
function createMerger(): Merger {
  const isBuilt = import.meta.url.endsWith('.js')
  return isBuilt
    ? createWorkerMerger(new URL('./merge-worker.js', import.meta.url), { workers: availableParallelism() })
    : createInlineMerger(
        nodeTileFiles,
        chooseKernels(kernelChoice(process.env), (what) => process.emitWarning(what)),
        strategies,
      )
}

export async function startReplica(config: ReplicaConfig): Promise<RunningReplica> {
  const storage = await openSqliteStorage(config.dataDirectory)
  const stops: (() => Promise<void> | void)[] = [() => storage.close()]
  const stopAll = async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  }
  try {
    const key = await openReplicaKey(createNodeFileSystem(), join(config.dataDirectory, 'replica.key'), randomBytes)
    const epoch = storage.lease.boot(key.rid, randomBytes(16).toString('hex'))
    const token = resolveToken({ config, settings: storage.settings })
    const merger = createMerger()
    stops.push(() => merger.close())
    const operations = createOperations({
      storage,
      merger,
      strategies,
      key,
      epoch,
      version: VERSION,
      limits: LIMITS,
      now: Date.now,
      randomHex: (bytes) => randomBytes(bytes).toString('hex'),
      report: (what, error) => server.log.error({ err: error }, what),
    })
    stops.push(() => operations.stop())
    const server = createServer({
      operations,
      config,
      version: VERSION,
      ...(token.sha256 !== undefined && { tokenSha256: token.sha256 }),
    })
    stops.push(() => server.close())
    const url = await startListening(server, config)
    operations.start()
    const sweeping = setInterval(
      () => void operations.sweep().catch((error: unknown) => server.log.error({ err: error }, 'sweep')),
      SWEEP_EVERY_MS,
    )
    sweeping.unref()
    stops.push(() => clearInterval(sweeping))
    return {
      url,
      ...(token.made !== undefined && { token: token.made }),
      async stop() {
        const last = stops.shift() // storage closes after the lease says that all is well
        await stopAll()
        storage.lease.markClean(key.rid)
        await last?.()
      },
    }
  } catch (error) {
    await stopAll()
    throw error
  }
}

export const openLocal = async (options: {
  /** Absent: every input is hashed every time. */
  readonly cacheDirectory?: string | undefined
}): Promise<LocalOperations> =>
  createLocalOperations({
    merger: createMerger(),
    files: createNodeFileSystem(),
    strategies,
    version: VERSION,
    cacheDirectory: options.cacheDirectory,
  })
