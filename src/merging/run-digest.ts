/** Runs a digest task: the root of each tensor, and how many of its elements no merge could take, in one reading. */
import type { TileFiles } from '../storage/tile-files.ts'
import { countNotFinite } from '../tensors/dtypes.ts'
import { CHUNK_BYTES, TensorHasher } from '../tensors/tensor-hasher.ts'
import { OpenTileFiles } from './open-tile-files.ts'
import { Pace, type RunWatch } from './run.ts'
import { digestBytes, type DigestOutcome, type DigestTask, type TensorSlice } from './task.ts'

export function runDigest(task: DigestTask, tileFiles: TileFiles, watch: RunWatch = {}): readonly DigestOutcome[] {
  const files = new OpenTileFiles(tileFiles)
  const pace = new Pace(watch, digestBytes(task))
  const chunk = new Uint8Array(CHUNK_BYTES)
  const digest = (name: string, { path, offset, bytes, dtype }: TensorSlice): DigestOutcome => {
    const hasher = new TensorHasher()
    let notFinite = 0
    for (let done = 0; done < bytes; done += CHUNK_BYTES) {
      const part = chunk.subarray(0, Math.min(CHUNK_BYTES, bytes - done))
      files.read(path, part, offset + done)
      hasher.update(part)
      const { nan, inf } = countNotFinite(dtype, part)
      notFinite += nan + inf
      pace.advance(part.length)
    }
    return { name, root: hasher.finish().root, notFinite }
  }
  try {
    pace.check()
    const outcomes = task.tensors.map(({ name, slice }) => digest(name, slice))
    pace.finish()
    return outcomes
  } finally {
    files.close()
  }
}
