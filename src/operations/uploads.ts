/** Uploads over many requests: what was acknowledged survives a crash, and an interrupted one goes on where it ended. */
import { TributaryError } from '../core/errors.ts'
import { fromUtf8 } from '../core/bytes.ts'
import { type FileDigest, type ModelId, parseFileDigest } from '../core/ids.ts'
import { at } from '../core/invariant.ts'
import type { Upload, UploadFile } from '../storage/upload-repository.ts'
import { assembleCheckpoint, chooseFiles, INDEX_PATH, parseIndex } from '../tensors/checkpoint.ts'
import { isPickleName } from '../tensors/file-kinds.ts'
import { checkModelPath } from '../tensors/names.ts'
import type { SafetensorsHeader } from '../tensors/safetensors.ts'
import { type Context, isoTime } from './context.ts'
import { ModelIngest } from './model-ingest.ts'
import type { Bytes, ModelAdded, UploadView } from './operations.ts'
import { needRoom } from './room.ts'

const view = ({ id, expiresAtMs, files, model }: Upload): UploadView => ({
  id,
  expires_at: isoTime(expiresAtMs),
  files: files.map(({ path, bytes, offset }) => ({ path, bytes, offset })),
  ...(model !== undefined && { model }),
})

const invalid = (why: string, pointer: string, hint: string) =>
  new TributaryError('REQUEST_INVALID', why, { pointer, hint })

export async function startUpload(
  context: Context,
  files: readonly { readonly path: string; readonly bytes: number; readonly sha256?: string }[],
): Promise<UploadView> {
  const { storage, limits, now, randomHex } = context
  if (files.length === 0 || files.length > limits.uploadFiles)
    throw invalid(`${files.length} files are announced`, '/files', `announce 1 to ${limits.uploadFiles} files`)
  if (storage.uploads.countUnfinished() >= limits.uploadsUnfinished)
    throw new TributaryError('TOO_MANY_REQUESTS', `${limits.uploadsUnfinished} uploads are unfinished already`, {
      hint: 'finish one, or wait until it expires',
    })
  const seen = new Set<string>()
  files.forEach(({ path, bytes, sha256 }, i) => {
    const pointer = `/files/${i}`
    checkModelPath(path)
    if (isPickleName(path))
      throw new TributaryError(
        'PICKLE_REFUSED',
        `${path} is named like a pickle, which can run code when it is opened`,
        {
          pointer: `${pointer}/path`,
          hint: 'save the model with safetensors, and leave pickles out',
        },
      )
    if (seen.has(path)) throw invalid(`${path} is announced twice`, `${pointer}/path`, 'announce each file once')
    seen.add(path)
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw invalid(`${path} has no size`, `${pointer}/bytes`, 'announce its bytes')
    if (sha256 !== undefined) parseFileDigest(sha256)
  })
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  await needRoom(context, total, 'the upload')
  const upload: Upload = {
    id: randomHex(16),
    createdAtMs: now(),
    expiresAtMs: now() + limits.uploadLifeMs,
    files: files
      .map(({ path, bytes, sha256 }): UploadFile => ({
        path,
        bytes,
        ...(sha256 !== undefined && { sha256: sha256 as FileDigest }),
        offset: 0,
        temporary: storage.blobs.reserve().id,
      }))
      .sort((a, b) => (a.path < b.path ? -1 : 1)),
  }
  storage.uploads.add(upload)
  return view(upload)
}

export function uploadOf({ storage, now }: Context, id: string): Upload {
  const upload = storage.uploads.find(id)
  if (upload === undefined || (upload.expiresAtMs <= now() && upload.model === undefined))
    throw new TributaryError('UPLOAD_NOT_FOUND', `no upload ${JSON.stringify(id.slice(0, 64))} is open`, {
      hint: 'start one with POST /v1/uploads; the unfinished expire after 24 hours',
    })
  return upload
}

export const findUpload = (context: Context, id: string): UploadView => view(uploadOf(context, id))

function fileOf(upload: Upload, path: string): UploadFile {
  const file = upload.files.find((one) => one.path === path)
  if (file !== undefined) return file
  throw new TributaryError('FILE_NOT_FOUND', `the upload ${upload.id} announced no file ${JSON.stringify(path)}`, {
    hint: `it announced ${upload.files
      .map((one) => one.path)
      .slice(0, 8)
      .join(', ')}`,
  })
}

/** Files that a request is writing now: two at once would write over each other. */
const writing = new Set<string>()

export async function writeUpload(
  context: Context,
  id: string,
  path: string,
  offset: number,
  body: Bytes,
): Promise<number> {
  const upload = uploadOf(context, id)
  const { bytes, temporary, offset: durable } = fileOf(upload, path)
  const elsewhere = (now: number, why: string) =>
    new TributaryError('UPLOAD_OFFSET_MISMATCH', `${path} is at byte ${now}, not ${offset}${why}`, {
      details: { offset: now, bytes },
      hint: 'ask for the offset with GET, and send from there',
    })
  if (upload.model !== undefined) throw elsewhere(bytes, ': the upload is finished')
  if (writing.has(temporary)) throw elsewhere(durable, ': another request is writing it')
  if (offset !== durable) throw elsewhere(durable, '')
  writing.add(temporary)
  try {
    return await append(context, upload, { path, bytes, temporary, from: durable }, body)
  } finally {
    writing.delete(temporary)
  }
}

async function append(
  { storage, limits }: Context,
  { id }: Upload,
  { path, bytes, temporary, from }: { path: string; bytes: number; temporary: string; from: number },
  body: Bytes,
): Promise<number> {
  const file = await storage.blobs.openTemporary(temporary)
  let durable = from
  let written = from
  const commit = async () => {
    const reached = written
    if (reached === durable) return
    written = durable // a sync that failed is never tried again: the kernel has dropped the pages
    await file.sync()
    if (!storage.uploads.advance(id, path, durable, reached))
      throw new TributaryError('UPLOAD_NOT_FOUND', `the upload ${id} ended while ${path} was written`, {
        hint: 'start a new one',
      })
    durable = written = reached
  }
  try {
    for await (const chunk of body) {
      if (written + chunk.length > bytes)
        throw new TributaryError('UPLOAD_TOO_LARGE', `${path} was announced with ${bytes} bytes, and more came`, {
          details: { bytes },
          hint: 'start a new upload with the true size',
        })
      await file.write(chunk, written)
      written += chunk.length
      if (written - durable >= limits.uploadSyncBytes) await commit()
    }
    await commit()
    return durable
  } catch (error) {
    await commit().catch(() => undefined) // what came is worth keeping; the first failure is the one to tell
    throw error
  } finally {
    await file.close()
  }
}

export async function finishUpload(context: Context, id: string): Promise<ModelAdded> {
  const upload = uploadOf(context, id)
  const { storage } = context
  if (upload.model !== undefined) {
    const known = storage.models.find(upload.model)
    if (known !== undefined) return { model: known.id, content: known.content, created: false, warnings: [] }
    throw new TributaryError('UPLOAD_NOT_FOUND', `the upload ${id} was finished, and its model is here no longer`, {
      hint: 'start a new one',
    })
  }
  const short = upload.files.filter(({ offset, bytes }) => offset < bytes)
  if (short.length > 0)
    throw new TributaryError(
      'UPLOAD_INCOMPLETE',
      `${short.length} of ${upload.files.length} files are not whole; ${at(short, 0).path} has ${at(short, 0).offset} of ${at(short, 0).bytes} bytes`,
      {
        details: { files: short.map(({ path }) => path) },
        hint: 'send the rest with PUT and Upload-Offset, then finish again',
      },
    )
  const ingest = new ModelIngest(context)
  try {
    const warnings = await readInto(context, upload, ingest)
    const added = await ingest.finish(warnings, ({ model }) => void storage.uploads.finish(id, model as ModelId))
    for (const { temporary } of upload.files) await storage.blobs.discardTemporary(temporary).catch(() => undefined) // swept later
    return added
  } catch (error) {
    await ingest.discard()
    throw error
  }
}

const INDEX_BYTES_MAX = 64 * 1024 * 1024

async function readInto(context: Context, upload: Upload, ingest: ModelIngest): Promise<readonly string[]> {
  const files = new Map(upload.files.map((file) => [file.path, file]))
  const bytesOf = (path: string) => temporaryBytes(context, files.get(path)!)
  const indexFile = files.get(INDEX_PATH)
  const index = indexFile && parseIndex(fromUtf8(await whole(bytesOf(INDEX_PATH), indexFile.bytes)))
  const { weights, files: beside, leftOut } = chooseFiles(upload.files, index)
  const headers = new Map<string, SafetensorsHeader>()
  for (const path of weights) headers.set(path, await ingest.addWeights(path, bytesOf(path), files.get(path)))
  assembleCheckpoint(headers, index)
  for (const path of beside) await ingest.addFile(path, bytesOf(path), files.get(path))
  return leftOut.map(({ path, why }) => `${path} was left out: ${why}`)
}

async function whole(body: Bytes, bytes: number): Promise<Uint8Array> {
  if (bytes > INDEX_BYTES_MAX)
    throw new TributaryError('INDEX_MISMATCH', `${INDEX_PATH} takes ${bytes} bytes`, {
      hint: 'remove the index: it is made anew from the shards',
    })
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function* temporaryBytes({ storage }: Context, { temporary, bytes, path }: UploadFile): Bytes {
  const file = await storage.blobs.openTemporary(temporary)
  try {
    for (let position = 0; position < bytes;) {
      const chunk = new Uint8Array(Math.min(1024 * 1024, bytes - position))
      if ((await file.read(chunk, position)) < chunk.length)
        throw new TributaryError('STORAGE_FAILED', `${path} became shorter on disk`, { hint: 'start the upload anew' })
      yield chunk
      position += chunk.length
    }
  } finally {
    await file.close()
  }
}
