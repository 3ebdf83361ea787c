/** Port: the models whose bytes are here. A row exists only when every blob it names is durable (publish first). */
import type { ContentRoot, ModelId } from '../core/ids.ts'
import type { BlobName } from './blob-store.ts'
import type { Page } from './page.ts'

export interface StoredModel {
  readonly id: ModelId
  readonly content: ContentRoot
  /** Canonical bytes of the manifest; the id is their digest. */
  readonly manifest: Uint8Array
  readonly createdAtMs: number
}
export type ModelSummary = Omit<StoredModel, 'manifest'>

export interface ModelRepository {
  /**
   * `blobs` are all that the manifest names: tensors, files, stored headers. What keeps a blob from the sweep is this
   * list. A known id is left as it is and answers false.
   */
  put(model: StoredModel, blobs: readonly BlobName[]): boolean
  find(id: ModelId): StoredModel | undefined
  /** Without reading its manifest. */
  has(id: ModelId): boolean
  /** Models whose id begins with these hex digits, sorted by id. */
  findByIdPrefix(prefix: string): readonly ModelSummary[]
  /** Models whose content root is, or begins with, these hex digits, sorted by content, then oldest first. */
  findByContent(contentOrPrefix: string): readonly ModelSummary[]
  /** The blobs that `put` was given. */
  blobs(id: ModelId): readonly BlobName[]
  /** Models whose `put` was given this blob, sorted. */
  naming(blob: BlobName): readonly ModelId[]
  /** Oldest first. */
  list(page: Page<ModelSummary>): readonly ModelSummary[]
  count(): number
  /** Forgets the row; its blobs become orphans unless another model names them. */
  delete(id: ModelId): boolean
}
