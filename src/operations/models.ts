/** Models: taking one in, and giving back what was taken byte for byte. */
import { sha256Hex } from '../core/digest.ts'
import { TributaryError } from '../core/errors.ts'
import { type ModelId, parseModelId } from '../core/ids.ts'
import { utf8 } from '../core/bytes.ts'
import { type Manifest, parseManifest } from '../tensors/manifest.ts'
import { findLayout, type Segment, segmentsOf, segmentsWithin } from '../tensors/segments.ts'
import { type Context, isoTime } from './context.ts'
import { ManifestMemo } from './manifest-memo.ts'
import { ModelIngest } from './model-ingest.ts'
import type { Bytes, FileReading, ModelAdded, ModelView } from './operations.ts'

export async function uploadModel(
  context: Context,
  body: Bytes,
  { bytes, signal }: { readonly bytes?: number; readonly signal?: AbortSignal } = {},
): Promise<ModelAdded> {
  const ingest = new ModelIngest(context)
  try {
    await ingest.addWeights('model.safetensors', untilAborted(body, signal), { bytes })
    return await ingest.finish()
  } catch (error) {
    await ingest.discard()
    throw error
  }
}

async function* untilAborted(body: Bytes, signal: AbortSignal | undefined): Bytes {
  for await (const chunk of body) {
    if (signal?.aborted)
      throw new TributaryError('UPLOAD_TRUNCATED', 'the upload was broken off', { hint: 'send it again' })
    yield chunk
  }
}

/** What an id names is the same on every replica of the process. */
const memo = new ManifestMemo()

const modelNotFound = ({ storage }: Context, id: ModelId) =>
  !storage.manifests.has(id)
    ? new TributaryError('MODEL_NOT_FOUND', `no model ${id} on this replica`, {
        details: { model: id },
        hint: 'upload it with POST /v1/models, or push it',
      })
    : new TributaryError('MODEL_NOT_FOUND', `the bytes of the model ${id} are on other replicas, and not on this one`, {
        details: { model: id },
        hint: 'ask the replica that it was uploaded to; a merge that needs it fetches it here',
      })

/** The manifest of a model whose bytes are here. */
export function manifestOf(context: Context, model: string): Manifest {
  const id = parseModelId(model)
  const { models } = context.storage
  if (!models.has(id)) throw modelNotFound(context, id)
  return memo.of(id, () => models.find(id)!.manifest)
}

/** Whether its bytes are here or not. */
export function findManifest({ storage }: Context, model: ModelId): Manifest | undefined {
  for (const stored of [storage.models, storage.manifests])
    if (stored.has(model)) return memo.of(model, () => stored.find(model)!.manifest)
  return undefined
}

export function findModel(context: Context, model: string): ModelView {
  const id = parseModelId(model)
  const stored = context.storage.models.find(id)
  if (stored === undefined) throw modelNotFound(context, id)
  const manifest = parseManifest(stored.manifest)
  return {
    id: stored.id,
    content: manifest.content,
    bytes: manifest.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0),
    tensors: manifest.tensors.map(({ name, dtype, shape, bytes, root }) => ({ name, dtype, shape, bytes, root })),
    files: [
      ...manifest.files.map(({ path, bytes }) => ({ path, bytes })),
      ...manifest.layout.map(({ path, order }) => ({ path, bytes: dataBytesOf(manifest, order) })),
    ].sort((a, b) => (a.path < b.path ? -1 : 1)),
    created_at: isoTime(stored.createdAtMs),
  }
}

const dataBytesOf = (manifest: Manifest, order: readonly string[]): number => {
  const names = new Set(order)
  return manifest.tensors.reduce((sum, { name, bytes }) => sum + (names.has(name) ? bytes : 0), 0)
}

const CONTENT_TYPES: readonly (readonly [ending: string, type: string])[] = [
  ['.json', 'application/json'],
  ['.md', 'text/markdown; charset=utf-8'],
  ['.txt', 'text/plain; charset=utf-8'],
]
const contentTypeOf = (path: string): string =>
  CONTENT_TYPES.find(([ending]) => path.endsWith(ending))?.[1] ?? 'application/octet-stream'

export async function readModelFile(context: Context, model: string, path: string): Promise<FileReading> {
  const manifest = manifestOf(context, model)
  const { blobs } = context.storage
  const file = manifest.files.find((one) => one.path === path)
  if (file !== undefined) {
    const name = { kind: 'file', digest: file.sha256 } as const
    const { bytes, sha256 } = file
    return {
      bytes,
      etag: sha256,
      sha256,
      contentType: contentTypeOf(path),
      read: (start, end) => blobs.read(name, start, end),
    }
  }
  const layout = findLayout(manifest, path)
  if (layout === undefined)
    throw new TributaryError('FILE_NOT_FOUND', `the model ${model} has no file ${JSON.stringify(path)}`, {
      hint: `it has ${[...manifest.files, ...manifest.layout].map((one) => one.path).join(', ')}`,
    })
  const header = await blobs.stat({ kind: 'file', digest: layout.header })
  if (header === undefined)
    throw new TributaryError('BYTES_MISSING', `the header of ${path} is not on this replica`, {
      hint: 'push the model again',
    })
  const segments = segmentsOf(manifest, path, header.bytes)
  return readingOf(context, segments, sha256Hex(utf8(`${model}/${path}`)))
}

/** A file made of pieces that lie in different blobs. `headers` holds those that lie in none. */
export function readingOf(
  { storage }: Context,
  segments: readonly Segment[],
  etag: string,
  more: { readonly header?: Uint8Array; readonly sha256?: string } = {},
): FileReading {
  const bytes = segments.at(-1)?.end ?? 0
  async function* read(start: number, end: number): Bytes {
    if (!(start >= 0 && start <= end && end <= bytes))
      throw new TributaryError('RANGE_NOT_SATISFIABLE', `bytes ${start} to ${end} of ${bytes}`, { details: { bytes } })
    for (const segment of segmentsWithin(segments, start, end)) {
      const from = Math.max(start, segment.begin) - segment.begin
      const to = Math.min(end, segment.end) - segment.begin
      if (segment.kind === 'length') yield segment.bytes.subarray(from, to)
      else if (segment.kind === 'header' && more.header !== undefined) yield more.header.subarray(from, to)
      else if (segment.kind === 'header') yield* storage.blobs.read({ kind: 'file', digest: segment.header }, from, to)
      else yield* storage.blobs.read({ kind: 'tensor', digest: segment.tensor.root }, from, to)
    }
  }
  return {
    bytes,
    etag,
    contentType: 'application/octet-stream',
    ...(more.sha256 !== undefined && { sha256: more.sha256 }),
    read,
  }
}
