/**
 * Port: another replica's bytes. What it gives is believed of nobody: the fetch verifies each chunk. What it does not have
 * is BLOB_NOT_FOUND, any other failure NETWORK. A piece may be empty: then it is a sign of life.
 */
import type { FileDigest, TensorRoot } from '../core/ids.ts'

export interface BlobSource {
  /** Who it is: the same for every tensor, so that a liar can be named. */
  readonly id: string
  /** Leaf hashes of a tensor, 32 bytes each, as they come; no more than `bytesMax` in all. */
  leaves(root: TensorRoot, bytesMax: number, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Bytes [start, end) as they come, exactly so many. NETWORK where they don't. Each piece is the caller's to keep. */
  read(root: TensorRoot, start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array>
}

/** The rest of a model, besides its tensors. A source that has a manifest has all that it names. */
export interface ModelSource extends BlobSource {
  /** By the model's id or, of a base, its content root. Refuses more than `bytesMax`. */
  manifest(digest: string, bytesMax: number, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** NETWORK where no answer comes within a while: others are not kept waiting. */
  has(digest: string, signal: AbortSignal): Promise<boolean>
  /** The whole file. Refuses more than `bytesMax`. */
  file(digest: FileDigest, bytesMax: number, signal: AbortSignal): AsyncIterable<Uint8Array>
  close(): void
}
