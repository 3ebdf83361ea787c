/** The weights files of an output: which tensors each holds, where every tensor goes, and the index over them. */
import { invariant } from '../core/invariant.ts'
import { INDEX_PATH } from '../tensors/checkpoint.ts'
import { planShards } from '../tensors/shards.ts'
import { tensorBytesOf, type TensorShape, writeHeader } from '../tensors/safetensors.ts'
import type { Slice } from './task.ts'

export interface OutputWeights {
  readonly shards: readonly {
    readonly path: string
    /** First bytes of the file: length word and header. */
    readonly header: Uint8Array
    readonly bytes: number
    readonly tensors: readonly TensorShape[]
  }[]
  /** Path and text, where there is more than one shard. */
  readonly index?: readonly [path: string, text: string]
  /** Where a tensor lies, its path relative to the output. */
  readonly place: (tensor: string) => Slice
  readonly has: (tensor: string) => boolean
  /** Files and their headers. */
  readonly bytes: number
}

export function layOutWeights(tensors: readonly TensorShape[], shardBytes: number): OutputWeights {
  const plan = planShards(
    tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    shardBytes,
  )
  const places = new Map<string, Slice>()
  const shards = plan.shards.map(({ path, tensors: held, bytes }) => {
    const header = writeHeader(held)
    let offset = header.length
    for (const tensor of held) {
      const size = tensorBytesOf(tensor)
      places.set(tensor.name, { path, offset, bytes: size })
      offset += size
    }
    return { path, header, bytes: header.length + bytes, tensors: held }
  })
  return {
    shards,
    ...(plan.index !== undefined && { index: [INDEX_PATH, plan.index] as const }),
    place: (tensor) => {
      const slice = places.get(tensor)
      invariant(slice, `${tensor} has a place in the output`)
      return slice
    },
    has: (tensor) => places.has(tensor),
    bytes: shards.reduce((sum, shard) => sum + shard.bytes, 0),
  }
}
