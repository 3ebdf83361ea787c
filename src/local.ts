/** Composition root of what works on this machine's files without a server; the replica takes its merger from here too. */
import { strategies } from '../merge-strategies/index.ts'
import { VERSION } from './cli/version.ts'
import { kernelChoice } from './config.ts'
import { chooseKernels } from './kernels/choose-kernels.ts'
import { createInlineMerger } from './merging/inline-merger.ts'
import type { Merger, Resources } from './merging/merger.ts'
import { createWorkerMerger } from './merging/worker-merger.ts'
import { createLocalOperations } from './operations/local/create-local-operations.ts'
import type { LocalOperations } from './operations/local/local-operations.ts'
import { createNodeFileSystem } from './storage/fs/node-file-system.ts'
import { nodeTileFiles } from './storage/fs/node-tile-files.ts'

/** Threads where the program is built; inline where it runs from its sources, which a worker can't load. */
export function createMerger(resources: Resources): Merger {
  const isBuilt = import.meta.url.endsWith('.js')
  if (isBuilt) return createWorkerMerger(new URL('./merge-worker.js', import.meta.url), resources)
  const kernels = chooseKernels(kernelChoice(process.env), (what) => process.emitWarning(what))
  return createInlineMerger(nodeTileFiles, kernels, strategies, resources.memoryBytes)
}

export const openLocal = (options: {
  /** Absent: every input is hashed every time. */
  readonly cacheDirectory?: string | undefined
  readonly resources: Resources
}): LocalOperations =>
  createLocalOperations({
    merger: createMerger(options.resources),
    files: createNodeFileSystem(),
    strategies,
    version: VERSION,
    cacheDirectory: options.cacheDirectory,
  })
