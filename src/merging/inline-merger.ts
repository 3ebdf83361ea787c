/** The merger without a thread: the task runs where it was asked for, which waits for it. For tests and small tools. */
import type { Strategy } from '../core/strategy.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { TileFiles } from '../storage/tile-files.ts'
import type { Merger, Watch } from './merger.ts'
import { runDigest } from './run-digest.ts'
import { runMerge } from './run-merge.ts'
import type { RunWatch } from './run.ts'

export function createInlineMerger(
  files: TileFiles,
  kernels: Kernels<Float64Array>,
  strategies: readonly Strategy[],
): Merger {
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => T): Promise<T> => {
    const mine = last.then(work)
    last = mine.catch(() => undefined)
    return mine
  }
  return {
    merge: (task, watch) => inTurn(() => runMerge(task, { files, kernels, strategies }, runWatchOf(watch))),
    digest: (task, watch) => inTurn(() => runDigest(task, files, runWatchOf(watch))),
    close: async () => {
      await last
    },
  }
}

const runWatchOf = ({ onProgress, onTensor, signal }: Watch = {}): RunWatch => ({
  ...(onProgress && { onProgress }),
  ...(onTensor && { onTensor }),
  ...(signal && { isCancelled: () => signal.aborted }),
})
