/** Small safetensors files, made by hand: name → dtype, shape and values. */
import { concat } from '../../src/core/bytes.ts'
import { bytesPerElement, type Dtype, encode } from '../../src/tensors/dtypes.ts'
import { writeHeader } from '../../src/tensors/safetensors.ts'

export interface SmallTensor {
  readonly name: string
  readonly dtype?: Dtype
  readonly shape: readonly number[]
  readonly values: ArrayLike<number>
}

export function tensorBytes({ dtype = 'F32', shape, values }: SmallTensor): Uint8Array {
  const elements = shape.reduce((product, length) => product * length, 1)
  const bytes = new Uint8Array(elements * bytesPerElement(dtype))
  if (dtype.startsWith('F') || dtype === 'BF16') encode(dtype, Float64Array.from(values), bytes)
  else bytes.set(Uint8Array.from(values).subarray(0, bytes.length))
  return bytes
}

/** In the order given. */
export function safetensors(
  tensors: readonly SmallTensor[],
  metadata?: Iterable<readonly [string, string]>,
): Uint8Array {
  const shapes = tensors.map(({ name, dtype = 'F32', shape }) => ({ name, dtype, shape }))
  return concat(writeHeader(shapes, metadata), ...tensors.map(tensorBytes))
}

/** A tiny model: two float tensors whose values follow from the seed, so each seed is another model. */
export const tinyModel = (seed: number, dtype: Dtype = 'F32'): readonly SmallTensor[] => [
  {
    name: 'a.weight',
    dtype,
    shape: [4, 3],
    values: Array.from({ length: 12 }, (_, i) => ((i * 7 + seed * 13) % 17) / 8 - 1),
  },
  { name: 'b.bias', dtype, shape: [5], values: Array.from({ length: 5 }, (_, i) => ((i * 3 + seed * 5) % 11) / 4 - 1) },
]

export const tinyFile = (seed: number, dtype?: Dtype): Uint8Array => safetensors(tinyModel(seed, dtype))

/** The bytes as a stream, in pieces of this size. */
export async function* streamOf(bytes: Uint8Array, pieceBytes = 1 << 16): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return concat(...chunks)
}
