/** The models of a run, made once a process: what each of their blobs is, whoever says otherwise. */
import { concat } from '../../src/core/bytes.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { ContentRoot, FileDigest, ModelId } from '../../src/core/ids.ts'
import type { BlobKind } from '../../src/replication/blob-frames.ts'
import { CHUNK_BYTES } from '../../src/replication/fetch-plan.ts'
import { makeManifest, type ManifestTensor, manifestBytes, modelIdOf } from '../../src/tensors/manifest.ts'
import { writeHeader } from '../../src/tensors/safetensors.ts'
import { hashTensor } from '../../src/tensors/tensor-hasher.ts'

export interface Model {
  readonly id: ModelId
  readonly content: ContentRoot
  /** As it is uploaded. */
  readonly file: Uint8Array
  readonly tensors: readonly ManifestTensor[]
  /** Digests of all that it is made of. */
  readonly blobs: readonly string[]
}

/** Models of the same shapes, so that they can be merged. */
export interface Shelf {
  readonly models: readonly Model[]
  /** By kind and digest. */
  readonly blobs: ReadonlyMap<string, Uint8Array>
}

export const blobKey = (kind: BlobKind, digest: string): string => `${kind} ${digest}`

const LENGTH_WORD_BYTES = 8
/** One tensor that they share, one of a chunk, and one of several of which the last is short. */
const shapesOf = (elements: number) => ({ 'a.shared': 257, 'b.small': 5000, 'c.large': elements })

function floats(elements: number, seed: number): Uint8Array {
  const values = Float32Array.from(
    { length: elements },
    (_, i) => (((i * 7919 + seed * 104_729) % 10_007) - 5000) / 4096,
  )
  return new Uint8Array(values.buffer)
}

function shelfOf(count: number, elements: number): Shelf {
  const blobs = new Map<string, Uint8Array>()
  const models = Array.from({ length: count }, (_, i): Model => {
    const shapes = Object.entries(shapesOf(elements)).map(([name, length]) => ({
      name,
      dtype: 'F32' as const,
      shape: [length],
      bytes: floats(length, name === 'a.shared' ? 0 : i + 1),
    }))
    const header = writeHeader(shapes.map(({ name, dtype, shape }) => ({ name, dtype, shape })))
    const stored = header.slice(LENGTH_WORD_BYTES)
    const tensors = shapes.map(({ bytes, ...shape }): ManifestTensor => {
      const { root, leaves } = hashTensor(bytes)
      blobs.set(blobKey('tensor', root), bytes)
      blobs.set(blobKey('leaves', root), concat(...leaves))
      return { ...shape, bytes: bytes.length, root: root }
    })
    const digest = sha256Hex(stored) as FileDigest
    blobs.set(blobKey('file', digest), stored)
    const layout = [{ path: 'model.safetensors', header: digest, order: shapes.map(({ name }) => name) }]
    const manifest = makeManifest({ tensors, files: [], layout })
    const id = modelIdOf(manifest)
    blobs.set(blobKey('manifest', id), manifestBytes(manifest))
    const file = concat(header, ...shapes.map(({ bytes }) => bytes))
    return { id, content: manifest.content, file, tensors, blobs: [digest, ...tensors.map(({ root }) => root)] }
  })
  return { models, blobs }
}

const once = <T>(make: () => T): (() => T) => {
  let made: { readonly it: T } | undefined
  return () => (made ??= { it: make() }).it
}
/** Three chunks at most; and so many that some are said to be durable before all are here. */
export const smallShelf = once(() => shelfOf(4, (2 * CHUNK_BYTES + 40_000) / 4))
export const largeShelf = once(() => shelfOf(2, (5 * CHUNK_BYTES + 12_000) / 4))
