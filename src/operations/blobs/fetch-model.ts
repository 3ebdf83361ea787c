/**
 * One model from other replicas: its manifest, then its tensors and files, each verified by its own digest, and at last the
 * row that says it is here. What came before a failure stays, and the next try goes on from it.
 */
import { createHash } from 'node:crypto'
import { SIZE_LIMITS } from '../../core/canonical.ts'
import { isTributaryError, TributaryError } from '../../core/errors.ts'
import type { FileDigest, ModelId } from '../../core/ids.ts'
import type { BlobName } from '../../storage/blob-store.ts'
import { refusePickle } from '../../tensors/file-kinds.ts'
import { type Manifest, modelIdOf, parseManifest } from '../../tensors/manifest.ts'
import { HEADER_BYTES_MAX, parseStored } from '../../tensors/safetensors.ts'
import type { ModelSource } from '../../transport/blob-source.ts'
import type { Context } from '../context.ts'
import { isDamaged } from '../damage.ts'
import { needRoomForFetch, quotaLeft, quotaReached, takeOfQuota } from './fetch-quota.ts'
import { fetchTensors } from './fetch-tensors.ts'
import type { ModelFetching } from './model-fetching.ts'
import { whole } from './whole.ts'

const UNASKED_BYTES_MAX = 1024 * 1024

const noneHas = (digest: string, sources: number) =>
  new TributaryError('BYTES_MISSING', `none of ${sources} linked replicas gives out the model ${digest}`, {
    details: { digest },
    hint: 'connect a replica that holds it, or upload the model here',
  })

/** From the first source that has it. By the model's id or its content root. */
export async function fetchManifest(fetching: ModelFetching, digest: string): Promise<ModelId> {
  const { context, space, sources, lied } = fetching
  const bytesMax = Math.min(SIZE_LIMITS.manifest, quotaLeft(context, space))
  if (bytesMax === 0) throw quotaReached(context, space, `the manifest ${digest} takes some`)
  for (const source of sources) {
    const bytes = await orNothing(gather(fetching, (signal) => source.manifest(digest, bytesMax, signal)))
    if (bytes === undefined) continue
    const manifest = await orNothing(Promise.resolve().then(() => parseManifest(bytes)))
    const id = manifest && modelIdOf(manifest)
    if (manifest === undefined || id === undefined || (id !== digest && manifest.content !== digest)) {
      lied(source.id, `the manifest ${digest}`)
      continue
    }
    const { content } = manifest
    const { storage } = context
    await needRoomForFetch(context, bytes.length, 'the manifest')
    storage.transactLightly(() => {
      if (storage.fetched.find(id) === undefined)
        takeOfQuota(context, { model: id, space, bytes: bytes.length }, 'the manifest')
      storage.manifests.put({ id, content, manifest: bytes, fetchedAtMs: context.now() })
    })
    return id
  }
  if (bytesMax < SIZE_LIMITS.manifest && sources.length > 0)
    throw quotaReached(context, space, `the manifest ${digest} takes more than ${bytesMax} bytes, or nobody gives it`)
  throw noneHas(digest, sources.length)
}

/** The model is stored as if it had been uploaded here. */
export async function fetchModel(fetching: ModelFetching, id: ModelId, manifest: Manifest): Promise<void> {
  const { context, space, sources } = fetching
  const { storage } = context
  const bytes = manifest.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)
  // asking who has a small one takes as long as asking for it
  const holders = bytes <= UNASKED_BYTES_MAX ? sources : await holdersOf(fetching, id)
  if (holders.length === 0) throw noneHas(id, sources.length)
  const from: ModelFetching = { ...fetching, sources: holders }

  const blobs = blobsOf(manifest)
  storage.pins.claim(blobs)
  const missing = await bytesMissing(context, manifest)
  const own = manifestOf(context, id).length
  const before = storage.fetched.find(id)?.bytes ?? 0
  const isHealing = isDamaged(context, id) // what was here before is no more of anything
  if (isHealing || own + missing <= quotaLeft(context, space, id)) await needRoomForFetch(context, missing, 'the model')
  if (!isHealing) takeOfQuota(context, { model: id, space, bytes: Math.max(before, own + missing) }, 'the model')
  await fetchHeaders(from, id, manifest)
  for (const { path, bytes, sha256 } of manifest.files) await fetchFile(from, sha256, bytes, path)
  await fetchTensors(from, manifest)
  await storage.blobs.settle(blobs) // some were here before this process was
  storage.transactLightly(() => {
    storage.models.put(
      { id, content: manifest.content, manifest: manifestOf(context, id), createdAtMs: context.now() },
      blobs,
    )
    storage.manifests.remove(id)
    storage.pins.release({ kind: 'damaged', id })
  })
}

/** How long they are is known once they are here, and whether they are what the manifest says. */
async function fetchHeaders(fetching: ModelFetching, model: ModelId, manifest: Manifest): Promise<void> {
  const { context, space } = fetching
  const { fetched, blobs } = context.storage
  for (const { path, header, order } of manifest.layout) {
    const before = fetched.find(model) // absent for what was uploaded here and rotted
    const isHere = await blobs.has({ kind: 'file', digest: header })
    const left = isHere || before === undefined ? HEADER_BYTES_MAX : quotaLeft(context, space, model) - before.bytes
    if (left <= 0) throw quotaReached(context, space, `the header of ${path} takes some`)
    if (!isHere) await needRoomForFetch(context, HEADER_BYTES_MAX, 'a header')
    await fetchFile(fetching, header, Math.min(HEADER_BYTES_MAX, left))
    const came = isHere ? 0 : (await blobs.stat({ kind: 'file', digest: header }))!.bytes
    if (came > 0 && before !== undefined) fetched.put({ model, space, bytes: before.bytes + came })
    await checkHeader(context, manifest, path, header, order)
  }
}

async function holdersOf({ sources, signal }: ModelFetching, id: ModelId): Promise<readonly ModelSource[]> {
  const asked = await Promise.all(sources.map((source) => orNothing(source.has(id, signal))))
  return sources.filter((_, i) => asked[i] === true)
}

/** It may have become a model meanwhile, by an upload or another fetch; and then have rotted, or been swept. */
function manifestOf({ storage }: Context, id: ModelId): Uint8Array {
  const row = storage.manifests.find(id) ?? storage.models.find(id)
  if (row === undefined) throw droppedMeanwhile(id)
  return row.manifest
}

/** Whoever still wants it asks again, for its manifest first. */
export const droppedMeanwhile = (id: ModelId): TributaryError =>
  new TributaryError('BYTES_MISSING', `the model ${id} was dropped here while it was fetched`, {
    details: { digest: id },
    hint: 'it is asked for again where it is still wanted',
  })

function blobsOf({ tensors, files, layout }: Manifest): readonly BlobName[] {
  const names = new Map<string, BlobName>()
  const name = (blob: BlobName) => names.set(`${blob.kind}/${blob.digest}`, blob)
  for (const { root } of tensors) name({ kind: 'tensor', digest: root })
  for (const { sha256 } of files) name({ kind: 'file', digest: sha256 })
  for (const { header } of layout) name({ kind: 'file', digest: header })
  return [...names.values()]
}

async function bytesMissing({ storage }: Context, { tensors, files }: Manifest): Promise<number> {
  const wanted = new Map<string, { readonly name: BlobName; readonly bytes: number }>()
  for (const { root, bytes } of tensors) wanted.set(`t${root}`, { name: { kind: 'tensor', digest: root }, bytes })
  for (const { sha256, bytes } of files) wanted.set(`f${sha256}`, { name: { kind: 'file', digest: sha256 }, bytes })
  let sum = 0
  for (const { name, bytes } of wanted.values()) if (!(await storage.blobs.has(name))) sum += bytes
  return sum
}

/** From one source after the other, until one gives what hashes to the digest. */
async function fetchFile(fetching: ModelFetching, digest: FileDigest, bytesMax: number, path?: string): Promise<void> {
  const { context, sources, lied, signal } = fetching
  const { blobs } = context.storage
  if (await blobs.has({ kind: 'file', digest })) return
  for (const source of sources) {
    if (signal.aborted) throw new TributaryError('INTERRUPTED', 'the fetch was called off')
    const writer = await blobs.create('file')
    const hash = createHash('sha256')
    let isFirst = true
    let ownFailure: unknown
    try {
      for await (const piece of whole((inner) => source.file(digest, bytesMax, inner), fetching)) {
        if (piece.length === 0) continue // a sign of life
        try {
          if (isFirst && path !== undefined) refusePickle(path, piece.subarray(0, 1024))
          isFirst = false
          hash.update(piece)
          await writer.write(piece)
        } catch (error) {
          ownFailure = error
          throw error
        }
      }
    } catch (error) {
      await writer.discard()
      if (ownFailure !== undefined || !isTributaryError(error)) throw error
      continue // the next source
    }
    if (hash.digest('hex') !== digest) {
      await writer.discard()
      lied(source.id, `the file ${digest}`)
      continue
    }
    await blobs.publish([await writer.seal()])
    return
  }
  throw new TributaryError('BYTES_MISSING', `no replica that answers has the file ${digest}`, {
    details: { digest },
    hint: 'connect a replica that holds it, or upload the model here',
  })
}

/** A header that says something else than the manifest would be given out as a file that nobody uploaded. */
async function checkHeader(
  { storage }: Context,
  { tensors }: Manifest,
  path: string,
  header: FileDigest,
  order: readonly string[],
): Promise<void> {
  const pieces: Uint8Array[] = []
  for await (const piece of storage.blobs.read({ kind: 'file', digest: header })) pieces.push(piece)
  const known = new Map(tensors.map((tensor) => [tensor.name, tensor]))
  const shapes = order.map((name) => known.get(name)!)
  const stored = parseStored(
    Buffer.concat(pieces),
    shapes.reduce((sum, { bytes }) => sum + bytes, 0),
  )
  const spell = (all: readonly { name: string; dtype: string; shape: readonly number[] }[]) =>
    JSON.stringify(all.map(({ name, dtype, shape }) => [name, dtype, shape]))
  if (spell(stored.tensors) !== spell(shapes))
    throw new TributaryError('MANIFEST_INVALID', `the header of ${path} says something else than the manifest`, {
      hint: 'whoever contributed the model made it up; retract the contribution',
    })
}

/** Undefined where somebody else failed. */
async function orNothing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (isTributaryError(error)) return undefined
    throw error
  }
}

async function gather(
  fetching: ModelFetching,
  open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of whole(open, fetching)) pieces.push(piece)
  return Buffer.concat(pieces)
}
