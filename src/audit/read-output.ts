/** The output beside a receipt, held to it without a single input: files, headers, index, and every tensor's bytes. */
import { join } from 'node:path'
import { sha256Hex } from '../core/digest.ts'
import { equalBytes } from '../core/bytes.ts'
import type { Statement } from '../core/receipt.ts'
import { hashFile } from '../merging/digest-checkpoint.ts'
import type { Merger, Watch } from '../merging/merger.ts'
import { layOutWeights, type OutputWeights } from '../merging/output-weights.ts'
import { readSmallFile, withFile } from '../merging/read-checkpoint.ts'
import type { TensorSlice } from '../merging/task.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { INDEX_PATH } from '../tensors/checkpoint.ts'
import type { Dtype } from '../tensors/dtypes.ts'
import { Difference } from './audit-report.ts'

export interface Output {
  readonly directory: string
  readonly weights: OutputWeights
  readonly slice: (tensor: string) => TensorSlice
}

/** The files that this statement's tensors lie in: a pure function of names, shapes and the recipe's size of a shard. */
export function openOutput(directory: string, { output, recipe }: Statement): Output {
  const shapes = output.tensors.map(({ name, dtype, shape }) => ({ name, dtype: dtype as Dtype, shape }))
  const out = recipe['out'] as { readonly shard_bytes: number }
  const weights = layOutWeights(shapes, out.shard_bytes)
  const dtypes = new Map(shapes.map(({ name, dtype }) => [name, dtype]))
  return {
    directory,
    weights,
    slice: (tensor) => {
      const { path, offset, bytes } = weights.place(tensor)
      return { path: join(directory, path), offset, bytes, dtype: dtypes.get(tensor) ?? 'U8' }
    },
  }
}

/** Is any part of the output here? Then all of it must be. */
export async function hasOutput({ directory, weights }: Output, files: FileSystem): Promise<boolean> {
  const names = await files.list(directory)
  return weights.shards.some(({ path }) => names.includes(path)) || names.some((name) => name.endsWith('.safetensors'))
}

export async function checkFiles(
  output: Output,
  named: readonly (readonly [path: string, sha256: string])[],
  files: FileSystem,
): Promise<void> {
  for (const [path, expected] of named) {
    const location = join(output.directory, ...path.split('/'))
    const found = (await files.stat(location))?.kind === 'file' ? await digestOf(files, location) : 'missing'
    if (found !== expected)
      throw new Difference({
        what: 'file',
        name: path,
        expected,
        found,
        message: found === 'missing' ? `${path} is missing` : `${path} is not the file that the receipt names`,
      })
  }
}

const digestOf = async (files: FileSystem, location: string): Promise<string> => {
  try {
    return (await hashFile(files, location, location)).sha256
  } catch {
    return 'unreadable'
  }
}

/** Headers and index are recomputed, so each byte of them is checked. */
export async function checkWeights({ directory, weights }: Output, files: FileSystem): Promise<void> {
  for (const { path, header, bytes } of weights.shards) {
    const location = join(directory, path)
    const size = (await files.stat(location))?.bytes
    if (size !== bytes)
      throw new Difference({
        what: 'header',
        name: path,
        expected: `${bytes} bytes`,
        found: size === undefined ? 'missing' : `${size} bytes`,
        message: size === undefined ? `${path} is missing` : `${path} is ${size} bytes long, not ${bytes}`,
      })
    const stored = new Uint8Array(header.length)
    await withFile(files, location, (file) => file.read(stored, 0))
    if (!equalBytes(stored, header))
      throw new Difference({
        what: 'header',
        name: path,
        expected: sha256Hex(header),
        found: sha256Hex(stored),
        message: `the header of ${path} is not the one that its tensors have, from byte ${stored.findIndex((byte, i) => byte !== header[i])}`,
      })
  }
  await checkIndex(directory, weights, files)
  const expected = new Set(weights.shards.map(({ path }) => path))
  for (const name of await files.list(directory))
    if (name.endsWith('.safetensors') && !expected.has(name))
      throw new Difference({
        what: 'file',
        name,
        expected: 'missing',
        found: 'there',
        message: `${name} is no part of this merge, and a loader might take it for the model`,
      })
}

async function checkIndex(directory: string, { index }: OutputWeights, files: FileSystem): Promise<void> {
  const location = join(directory, INDEX_PATH)
  const isThere = (await files.stat(location))?.kind === 'file'
  const found = isThere ? new TextDecoder().decode(await readSmallFile(files, location)) : undefined
  if (found === index?.[1]) return
  const say = (text: string | undefined) => (text === undefined ? 'missing' : sha256Hex(new TextEncoder().encode(text)))
  throw new Difference({
    what: 'index',
    name: INDEX_PATH,
    expected: say(index?.[1]),
    found: say(found),
    message: `${INDEX_PATH} is not the one that the tensors have`,
  })
}

/** Tensors whose bytes are not those that the receipt names. */
export async function differingTensors(
  output: Output,
  { output: { tensors } }: Statement,
  merger: Merger,
  watch: Watch,
): Promise<readonly { readonly name: string; readonly expected: string; readonly found: string }[]> {
  const roots = await merger.digest(
    { tensors: tensors.map(({ name }) => ({ name, slice: output.slice(name) })) },
    watch,
  )
  return tensors.flatMap(({ name, root }, i) => {
    const found = roots[i]?.root ?? 'missing'
    return found === root ? [] : [{ name, expected: root, found }]
  })
}
