/**
 * Sends files to a replica, slice by slice: each is durable there before the next is sent, so whatever breaks, no more
 * than one is sent again.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { isTributaryError, TributaryError } from '../core/errors.ts'
import type { ModelAdded, UploadView } from '../operations/operations.ts'
import { inPath, type ReplicaClient } from './client.ts'
import type { Frame } from './command.ts'
import type { LocalFile } from './local-files.ts'
import { patiently } from './patience.ts'
import type { UploadMemory } from './upload-memory.ts'

/** Large enough that its round trip is lost beside it, small enough to hold in memory. */
export const SLICE_BYTES = 16 * 1024 * 1024
const CORRECTIONS_MAX = 3

export interface UploadOptions {
  readonly around: Pick<Frame, 'io' | 'talk' | 'signal'>
  readonly client: ReplicaClient
  readonly files: readonly LocalFile[]
  readonly memory: UploadMemory
  readonly onProgress: (bytesDone: number, bytesTotal: number) => void
  /** Called where an earlier upload goes on. */
  readonly onResume: (bytesThere: number) => void
  readonly sliceBytes?: number
}

export type Uploaded = Pick<ModelAdded, 'model' | 'warnings'>

export async function uploadFiles(options: UploadOptions): Promise<Uploaded> {
  const { around, memory } = options
  let id = await memory.find()
  const keep = async (upload: string | undefined) => {
    id = upload
    if (upload === undefined) await memory.forget()
    else await memory.keep(upload)
  }
  try {
    return await patiently(around, (gotFurther) => uploadOnce(options, { id, keep, gotFurther }))
  } catch (error) {
    if (isTributaryError(error) && !KEEPS_UPLOAD.has(error.code)) await memory.forget()
    throw error
  }
}

interface Attempt {
  /** Of the upload that was begun before. */
  readonly id: string | undefined
  readonly keep: (upload: string | undefined) => Promise<void>
  readonly gotFurther: () => void
}

/** From where the replica stands to the end. */
async function uploadOnce(options: UploadOptions, { id, keep, gotFurther }: Attempt): Promise<Uploaded> {
  const { client, files, onProgress, sliceBytes = SLICE_BYTES } = options
  const upload = (await findUpload(options, id, keep)) ?? (await startUpload(options, keep))
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  if (upload.model !== undefined) {
    onProgress(total, total)
    return { model: upload.model, warnings: [] }
  }
  const offsets = new Map(upload.files.map(({ path, offset }) => [path, offset]))
  const report = () =>
    onProgress(
      [...offsets.values()].reduce((sum, offset) => sum + offset, 0),
      total,
    )
  report()
  for (const file of files) {
    const sent = (offset: number) => {
      if (offset > (offsets.get(file.path) ?? 0)) gotFurther()
      offsets.set(file.path, offset)
      report()
    }
    await sendFile(client, upload.id, file, offsets.get(file.path) ?? 0, sliceBytes, sent)
  }
  return client.post<ModelAdded>(`/v1/uploads/${inPath(upload.id)}/finish`, {})
}

/** After these the upload is still good; after any other it would fail the same way again. */
const KEEPS_UPLOAD: ReadonlySet<string> = new Set([
  'NETWORK',
  'TIMED_OUT',
  'SERVER_STOPPING',
  'DISK_FULL',
  'TOO_MANY_REQUESTS',
  'UNAUTHORIZED',
  'INTERNAL',
])

/** The one that was broken off, if the replica still has it. */
async function findUpload(
  { client, onResume }: UploadOptions,
  id: Attempt['id'],
  keep: Attempt['keep'],
): Promise<UploadView | undefined> {
  if (id === undefined) return undefined
  try {
    const upload = await client.get<UploadView>(`/v1/uploads/${inPath(id)}`)
    onResume(upload.files.reduce((sum, { offset }) => sum + offset, 0))
    return upload
  } catch (error) {
    if (!isTributaryError(error) || error.code !== 'UPLOAD_NOT_FOUND') throw error
    await keep(undefined)
    return undefined
  }
}

async function startUpload({ client, files }: UploadOptions, keep: Attempt['keep']): Promise<UploadView> {
  const upload = await client.post<UploadView>('/v1/uploads', {
    files: files.map(({ path, bytes }) => ({ path, bytes })),
  })
  await keep(upload.id)
  return upload
}

async function sendFile(
  client: ReplicaClient,
  upload: string,
  file: LocalFile,
  from: number,
  sliceBytes: number,
  sent: (offset: number) => void,
): Promise<void> {
  if (from >= file.bytes) return
  const url = `/v1/uploads/${inPath(upload)}/files/${inPath(file.path)}`
  const handle = await open(file.at)
  try {
    let offset = from
    let corrections = 0
    while (offset < file.bytes) {
      const slice = await readSlice(handle, file, offset, Math.min(sliceBytes, file.bytes - offset))
      try {
        await client.put(url, slice, { 'upload-offset': String(offset) })
        offset += slice.length
      } catch (error) {
        // an earlier attempt got further than we heard, or not as far: the replica knows
        if (!isTributaryError(error) || error.code !== 'UPLOAD_OFFSET_MISMATCH' || ++corrections > CORRECTIONS_MAX)
          throw error
        const { files } = await client.get<UploadView>(`/v1/uploads/${inPath(upload)}`)
        offset = files.find(({ path }) => path === file.path)?.offset ?? 0
      }
      sent(offset)
    }
  } finally {
    await handle.close()
  }
}

async function readSlice(handle: FileHandle, file: LocalFile, offset: number, length: number): Promise<Uint8Array> {
  const slice = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(slice, filled, length - filled, offset + filled)
    if (bytesRead === 0)
      throw new TributaryError('UPLOAD_TRUNCATED', `${file.at} became shorter while it was being sent`, {
        hint: 'wait until whoever writes it is done, then push again',
      })
    filled += bytesRead
  }
  return slice
}
