/** Port: uploads under way. An offset is committed only after the bytes before it were synced to their temporary file. */
import type { FileDigest, ModelId } from '../core/ids.ts'

export interface UploadFile {
  /** Within the model; plain, checked by who adds it. */
  readonly path: string
  /** Announced. */
  readonly bytes: number
  /** Announced. */
  readonly sha256?: FileDigest
  /** Bytes that are durable. */
  readonly offset: number
  /** Id of the temporary file in the blob store. */
  readonly temporary: string
}

export interface Upload {
  readonly id: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
  /** Sorted by path. */
  readonly files: readonly UploadFile[]
  /** Set when it was finished; its temporaries are gone then. */
  readonly model?: ModelId
}

export interface UploadRepository {
  add(upload: Upload): void
  find(id: string): Upload | undefined
  /** From `from` to `to`; false when the offset is no longer `from` (another request was faster) or it is finished. */
  advance(id: string, path: string, from: number, to: number): boolean
  /** False when it is unknown or was finished before. */
  finish(id: string, model: ModelId): boolean
  /** Expired at `nowMs`, finished or not. */
  expired(nowMs: number): readonly Upload[]
  /** Temporary ids of unfinished uploads: what a sweep must keep. */
  temporaries(): ReadonlySet<string>
  countUnfinished(): number
  remove(id: string): boolean
}
