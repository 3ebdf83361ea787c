/** Port: tensors that are being fetched from other replicas, and which of their chunks are durable. */
import type { TensorRoot } from '../core/ids.ts'

export interface StoredFetch {
  readonly root: TensorRoot
  readonly bytes: number
  /** Id of the temporary file of the blob store. */
  readonly temporary: string
  /** A bit for each chunk, the lowest of the first byte first. Set only when the chunk was verified and synced. */
  readonly chunks: Uint8Array
  readonly updatedAtMs: number
}

export interface FetchRepository {
  find(root: TensorRoot): StoredFetch | undefined
  /** Adds it, or says anew what is durable. */
  put(fetch: StoredFetch): void
  remove(root: TensorRoot): boolean
  /** Ids of temporary files that the sweep leaves alone. */
  temporaries(): ReadonlySet<string>
  /** Those that nothing was added to since. */
  idleSince(ms: number): readonly StoredFetch[]
}
