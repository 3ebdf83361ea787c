/** Runs a digest task: the root of each tensor, and how many of its elements no merge could take, in one reading. */
import { at } from '../core/invariant.ts'
import type { KernelSource } from '../kernels/choose-kernels.ts'
import type { TileFiles } from '../storage/tile-files.ts'
import { CHUNK_BYTES, TensorHasher } from '../tensors/tensor-hasher.ts'
import { boardOfDigest, sizesOf } from './boards.ts'
import { OpenTileFiles } from './open-tile-files.ts'
import { Pace, runAlone, type RunWatch, type Work } from './run.ts'
import { digestBytes, type DigestOutcome, type DigestTask } from './task.ts'
import { partsOf } from './units.ts'

export interface DigestEngine {
  readonly files: TileFiles
  readonly kernels: KernelSource
}

/** Read and hashed at a time, and in one unit. */
const READ_BYTES = CHUNK_BYTES
const UNIT_BYTES = 4 * CHUNK_BYTES

export const runDigest = (
  task: DigestTask,
  engine: DigestEngine,
  watch: RunWatch<DigestOutcome> = {},
): readonly DigestOutcome[] => runAlone(digestWork(task, engine, 1), boardOfDigest(task), digestBytes(task), watch)

export const digestWork =
  (task: DigestTask, { files: tileFiles, kernels: source }: DigestEngine, workers: number): Work<DigestOutcome> =>
  (board, watch, taken) => {
    const files = new OpenTileFiles(tileFiles, workers)
    const kernels = source(READ_BYTES)
    const pace = new Pace(board, watch, digestBytes(task), taken)
    try {
      const chunk = kernels.allocateBytes(READ_BYTES)
      for (const { tensor, begin, end } of pace.units(partsOf(sizesOf(task), UNIT_BYTES))) {
        const { name, slice } = at(task.tensors, tensor)
        const hasher = new TensorHasher()
        let notFinite = 0
        for (let done = begin; done < end; done += READ_BYTES) {
          const part = chunk.subarray(0, Math.min(READ_BYTES, end - done))
          files.read(slice.path, part, slice.offset + done)
          hasher.update(part)
          notFinite += kernels.countNotFinite(slice.dtype, part)
          pace.advance(part.length)
        }
        if (!board.finish(tensor, begin, { leaves: hasher.finishLeaves() }, notFinite)) continue
        watch.onTensor?.({ name, root: board.rootOf(tensor), notFinite: board.notFiniteOf(tensor) }, tensor)
      }
    } finally {
      files.close()
      kernels.reset()
    }
  }
