/** Port: manifests that other replicas gave, of models whose bytes need not be here. */
import type { ContentRoot, ModelId } from '../core/ids.ts'

export interface StoredManifest {
  readonly id: ModelId
  readonly content: ContentRoot
  /** Canonical bytes; the id is their digest. */
  readonly manifest: Uint8Array
  readonly fetchedAtMs: number
}

export interface ManifestRepository {
  /** A known one is left as it is. */
  put(manifest: StoredManifest): void
  find(id: ModelId): StoredManifest | undefined
  /** Without reading it. */
  has(id: ModelId): boolean
  /** The lowest id with this content. */
  findByContent(content: string): ModelId | undefined
  /** Those that were fetched then or earlier, sorted. */
  fetchedBefore(ms: number): readonly ModelId[]
  remove(id: ModelId): boolean
}
