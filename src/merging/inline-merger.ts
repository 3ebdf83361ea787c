/** The merger without a thread: the task runs where it was asked for, which waits for it. For tests and small tools. */
import type { Strategy } from '../core/strategy.ts'
import type { KernelSource } from '../kernels/choose-kernels.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { TileFiles } from '../storage/tile-files.ts'
import type { Merger, Watch } from './merger.ts'
import { runDigest } from './run-digest.ts'
import { runMerge } from './run-merge.ts'
import type { RunWatch } from './run.ts'
import type { TensorOutcome } from './task.ts'

export function createInlineMerger(
  files: TileFiles,
  kernels: Kernels<Float64Array> | KernelSource,
  strategies: readonly Strategy[],
  memoryBytes?: number,
): Merger {
  const source: KernelSource = typeof kernels === 'function' ? kernels : () => kernels
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => T): Promise<T> => {
    const mine = last.then(work)
    last = mine.catch(() => undefined)
    return mine
  }
  return {
    resources: { workers: 1, ...(memoryBytes !== undefined && { memoryBytes }) },
    merge: (task, watch) => inTurn(() => runMerge(task, { files, kernels: source, strategies }, runWatchOf(watch))),
    digest: (task, watch) => inTurn(() => runDigest(task, { files, kernels: source }, paceOf(watch))),
    close: async () => {
      await last
    },
  }
}

const paceOf = ({ onProgress, signal }: Watch = {}) => ({
  ...(onProgress && { onProgress }),
  ...(signal && { isCancelled: () => signal.aborted }),
})
const runWatchOf = (watch: Watch = {}): RunWatch<TensorOutcome> => ({
  ...paceOf(watch),
  ...(watch.onTensor && { onTensor: watch.onTensor }),
})
