/** Cutting a model's tensors into files: a pure function of names, shapes and the size of a shard. */
import { TributaryError } from '../core/errors.ts'
import { SINGLE_PATH } from './checkpoint.ts'
import { bytesPerElement } from './dtypes.ts'
import { shown, sortByUtf8 } from './names.ts'
import { tensorBytesOf, type TensorShape } from './safetensors.ts'

export interface Shard<T extends TensorShape = TensorShape> {
  readonly path: string
  /** In the order they lie in the file. */
  readonly tensors: readonly T[]
  /** Of the tensors alone, without the header. */
  readonly bytes: number
}

export interface ShardPlan<T extends TensorShape = TensorShape> {
  readonly shards: readonly Shard<T>[]
  /** The index file's text, where there is more than one shard. */
  readonly index: string | undefined
}

/**
 * Wider elements first, then by name. Names alone would put a one-byte tensor of odd length before an F32 one, and
 * loaders that cast the mapped file in place refuse a tensor that isn't aligned to its own elements.
 */
const inLayout = <T extends TensorShape>(tensors: readonly T[]): T[] =>
  sortByUtf8(tensors, ({ name }) => name).sort((a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype))

/** Greedy in UTF-8 order of names: a shard is closed before the tensor that would make it larger than `shardBytes`. */
export function planShards<T extends TensorShape>(tensors: readonly T[], shardBytes = Infinity): ShardPlan<T> {
  if (!(shardBytes > 0))
    throw new TributaryError('RECIPE_INVALID', `a shard of ${shardBytes} bytes can hold nothing`, {
      hint: 'give shard_bytes a positive size, like 5000000000',
    })
  const sorted = sortByUtf8(tensors, ({ name }) => name)
  const groups: { tensors: T[]; bytes: number }[] = []
  let open: { tensors: T[]; bytes: number } | undefined
  for (const [i, tensor] of sorted.entries()) {
    if (tensor.name === sorted[i - 1]?.name)
      throw new TributaryError('SAFETENSORS_DUPLICATE_NAME', `two tensors are called ${shown(tensor.name)}`)
    const bytes = tensorBytesOf(tensor)
    if (open === undefined || open.bytes + bytes > shardBytes) {
      open = { tensors: [], bytes: 0 }
      groups.push(open)
    }
    open.tensors.push(tensor)
    open.bytes += bytes
  }
  if (groups.length === 0) groups.push({ tensors: [], bytes: 0 })

  const shards = groups.map((group, i) => ({
    path: groups.length === 1 ? SINGLE_PATH : shardPath(i + 1, groups.length),
    tensors: inLayout(group.tensors),
    bytes: group.bytes,
  }))
  return { shards, index: shards.length === 1 ? undefined : indexText(shards) }
}

const shardPath = (number: number, of: number): string =>
  `model-${String(number).padStart(5, '0')}-of-${String(of).padStart(5, '0')}.safetensors`

/** One text for each set of shards. Written by hand, since JavaScript would reorder names that look like integers. */
export function indexText(shards: readonly Shard[]): string {
  const total = shards.reduce((sum, { bytes }) => sum + bytes, 0)
  const placed = shards.flatMap(({ path, tensors }) => tensors.map(({ name }) => ({ name, path })))
  const lines = sortByUtf8(placed, ({ name }) => name).map(
    ({ name, path }) => `    ${JSON.stringify(name)}: ${JSON.stringify(path)}`,
  )
  return `{\n  "metadata": {\n    "total_size": ${total}\n  },\n  "weight_map": {\n${lines.join(',\n')}\n  }\n}\n`
}
