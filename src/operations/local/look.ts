/** Looking at a checkpoint: its content root, or what its headers say. */
import { digestCheckpoint } from '../../merging/digest-checkpoint.ts'
import { readCheckpoint } from '../../merging/read-checkpoint.ts'
import { modelIdOf } from '../../tensors/manifest.ts'
import { sortByUtf8 } from '../../tensors/names.ts'
import type { LocalContext } from './local-context.ts'
import type { DigestView, InspectView, LocalWatch } from './local-operations.ts'
import { resolve as resolvePath } from 'node:path'

export async function digestPath(
  path: string,
  { files, merger, cache }: LocalContext,
  { onProgress, signal }: LocalWatch = {},
): Promise<DigestView> {
  const checkpoint = await readCheckpoint(files, resolvePath(path), path)
  const { manifest, notFinite } = await digestCheckpoint(
    checkpoint,
    { files, merger, ...(cache && { cache }) },
    {
      ...(signal && { signal }),
      onProgress: (done) =>
        onProgress?.({ phase: 'hashing inputs', what: path, bytes_done: done, bytes_total: checkpoint.bytes }),
    },
  )
  return {
    path,
    content: manifest.content,
    model: modelIdOf(manifest),
    tensors: manifest.tensors.length,
    bytes: checkpoint.bytes,
    not_finite: notFinite,
    left_out: checkpoint.leftOut,
  }
}

export async function inspectPath(path: string, { files }: LocalContext): Promise<InspectView> {
  const { weights, tensors, bytes, leftOut } = await readCheckpoint(files, resolvePath(path), path)
  const kinds = new Map<string, { dtype: string; tensors: number; bytes: number }>()
  for (const { dtype, begin, end } of tensors) {
    const kind = kinds.get(dtype) ?? { dtype, tensors: 0, bytes: 0 }
    kinds.set(dtype, { dtype, tensors: kind.tensors + 1, bytes: kind.bytes + end - begin })
  }
  return {
    path,
    files: weights.map(({ path: file, bytes: size, header }) => ({
      path: file,
      bytes: size,
      tensors: header.tensors.length,
      metadata: sortByUtf8(header.metadata, ([key]) => key),
    })),
    tensors: tensors.map(({ name, dtype, shape, begin, end, path: file }) => ({
      name,
      dtype,
      shape,
      bytes: end - begin,
      file,
    })),
    dtypes: [...kinds.values()].sort((a, b) => b.bytes - a.bytes || (a.dtype < b.dtype ? -1 : 1)),
    bytes,
    elements: tensors.reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0),
    left_out: leftOut,
  }
}
