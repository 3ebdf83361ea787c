/** The merger of this program. Light, so that threads start while the rest of the program is loaded. */
import { kernelChoice } from './config.ts'
import type { MergeThread } from './merging/merge-thread.ts'
import type { Merger, Resources } from './merging/merger.ts'
import { createWorkerMerger } from './merging/worker-merger.ts'

/**
 * Threads where the program is built, one of them the early one; inline where it runs from its sources, which a worker
 * can't load.
 */
export async function createMerger(resources: Resources, early?: MergeThread): Promise<Merger> {
  const isBuilt = import.meta.url.endsWith('.js')
  if (isBuilt) return createWorkerMerger(new URL('./start-merge-worker.cjs', import.meta.url), resources, early)
  const [{ strategies }, { chooseKernels }, { createInlineMerger }, { nodeTileFiles }] = await Promise.all([
    import('../merge-strategies/index.ts'),
    import('./kernels/choose-kernels.ts'),
    import('./merging/inline-merger.ts'),
    import('./storage/fs/node-tile-files.ts'),
  ])
  const kernels = chooseKernels(kernelChoice(process.env), (what) => process.emitWarning(what))
  return createInlineMerger(nodeTileFiles, kernels, strategies, resources.memoryBytes)
}
