/** Tensors that are no more than an average of streams of their own dtype: from bytes to bytes, a part of each at a time. */
import type { Kernels } from '../kernels/kernels.ts'
import { bytesPerElement, type Dtype } from '../tensors/dtypes.ts'
import type { Mean } from './evaluate/mean.ts'
import { TILE_STEP_BYTES } from './memory.ts'
import type { TileStreams } from './tile-streams.ts'

/** Parts of all streams and of the output: half of what a core's cache holds, so that none drives another out. */
const AT_ONCE_BYTES = 1024 * 1024

/** Bytes of the tensor from byte `begin` on: false where no kernel has a way of that, or it holds what is not finite. */
export type AverageTile = (begin: number, out: Uint8Array) => boolean

export function averageTiles(
  mean: Mean | undefined,
  tensor: number,
  dtype: Dtype,
  streams: TileStreams,
  kernels: Kernels<Float64Array>,
): AverageTile | undefined {
  if (!mean?.streams.every((stream) => streams.dtypeOf(stream, tensor) === dtype)) return undefined
  const { weights, divisor } = mean
  const readers = mean.streams.map((stream) => streams.reader(stream, tensor))
  const size = bytesPerElement(dtype)
  const step = TILE_STEP_BYTES * Math.max(1, Math.floor(AT_ONCE_BYTES / (readers.length + 1) / TILE_STEP_BYTES))
  return (begin, out) => {
    for (let done = 0; done < out.length; done += step) {
      const part = out.subarray(done, done + step)
      const first = (begin + done) / size
      const count = part.length / size
      streams.until(first + count)
      if (
        !kernels.average(
          dtype,
          readers.map((read) => read(first, count)),
          weights,
          divisor,
          part,
        )
      )
        return false
    }
    return true
  }
}
