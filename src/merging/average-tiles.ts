/**
 * Tensors that are no more than an average of streams of their own dtype: from bytes to bytes, a part of each at a time.
 * Little is made or called for a part: where it is, V8 compiles it, for as long as some hundred parts take.
 */
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
  const lent: Uint8Array[] = []
  let latest: Uint8Array | undefined
  let parts: readonly Uint8Array[] = []
  return (begin, out) => {
    if (out !== latest) {
      latest = out
      parts = partsOf(out, step)
    }
    let first = begin / size
    for (const part of parts) {
      const count = part.length / size
      streams.until(first + count)
      for (let i = 0; i < readers.length; i++) lent[i] = readers[i]!(first, count)
      if (!kernels.average(dtype, lent, weights, divisor, part)) return false
      first += count
    }
    return true
  }
}

const partsOf = (bytes: Uint8Array, step: number): readonly Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) => bytes.subarray(i * step, (i + 1) * step))
