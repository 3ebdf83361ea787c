/** Port: another replica's bytes. What it gives is believed of nobody: the fetch verifies each chunk. */
import type { TensorRoot } from '../core/ids.ts'

export interface BlobSource {
  /** Who it is: the same for every tensor, so that a liar can be named. */
  readonly id: string
  /** Leaf hashes of a tensor, 32 bytes each, as they come; no more than `bytesMax` in all. */
  leaves(root: TensorRoot, bytesMax: number, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Bytes [start, end) as they come, exactly so many. NETWORK where they don't. Each piece is the caller's to keep. */
  read(root: TensorRoot, start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array>
}
