/** Checkpoints on disk for tests: random tensors, in as many files and in whatever order a test wants. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { concat } from '../../src/core/bytes.ts'
import { type Dtype, encode, isFloat } from '../../src/tensors/dtypes.ts'
import { tensorBytesOf, writeHeader } from '../../src/tensors/safetensors.ts'

export interface TestTensor {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/** Numbers without pattern, the same for each seed. */
export function numbers(seed: number): () => number {
  let state = (seed * 2654435761 + 12345) >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
}

export function floats(name: string, dtype: Dtype, shape: readonly number[], next: () => number): TestTensor {
  const bytes = new Uint8Array(tensorBytesOf({ name, dtype, shape }))
  if (isFloat(dtype)) encode(dtype, Float64Array.from({ length: count(shape) }, next), bytes)
  else for (let i = 0; i < bytes.length; i++) bytes[i] = dtype === 'BOOL' ? i % 2 : Math.floor((next() + 1) * 100)
  return { name, dtype, shape, bytes }
}

export const count = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1)

/** A little of everything: several tiles, odd lengths, a scalar, an empty tensor, integers. */
export const sampleTensors = (seed: number, dtype: Dtype = 'BF16'): readonly TestTensor[] => {
  const next = numbers(seed)
  return [
    floats('model.embed.weight', dtype, [300, 129], next),
    floats('model.layers.0.w', dtype, [64, 65], next),
    floats('model.layers.1.w', dtype, [7], next),
    floats('model.norm', dtype, [], next),
    floats('model.nothing', dtype, [0, 4], next),
    floats('model.steps', 'I64', [3], numbers(0)),
  ]
}

export const fileOf = (
  tensors: readonly TestTensor[],
  metadata: readonly (readonly [string, string])[] = [['format', 'pt']],
): Uint8Array => concat(writeHeader(tensors, metadata), ...tensors.map(({ bytes }) => bytes))

export const CONFIG = '{\n  "model_type": "tiny",\n  "torch_dtype": "bfloat16"\n}\n'

export interface CheckpointForm {
  readonly files?: Readonly<Record<string, string>>
  /** Tensors a shard; one file where absent. */
  readonly perShard?: number
  readonly metadata?: readonly (readonly [string, string])[]
}

export async function writeCheckpoint(
  directory: string,
  tensors: readonly TestTensor[],
  { files = { 'config.json': CONFIG, 'tokenizer.json': '{"stub": true}\n' }, perShard, metadata }: CheckpointForm = {},
): Promise<string> {
  await mkdir(directory, { recursive: true })
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), text)
  }
  if (perShard === undefined) {
    await writeFile(join(directory, 'model.safetensors'), fileOf(tensors, metadata))
    return directory
  }
  const map: Record<string, string> = {}
  for (let i = 0, shard = 0; i < tensors.length; i += perShard, shard++) {
    const held = tensors.slice(i, i + perShard)
    const name = `part-${shard}.safetensors`
    await writeFile(join(directory, name), fileOf(held, metadata))
    for (const tensor of held) map[tensor.name] = name
  }
  await writeFile(join(directory, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: map }))
  return directory
}
