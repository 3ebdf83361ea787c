/**
 * Port: why bytes are kept. A holder (a visible contribution, a base, a kept output, a running job, an upload) holds
 * models or single blobs; a stored model names its blobs. What nobody holds is an orphan from the moment a sweep first
 * sees it, and may be dropped when it has been one long enough. The sweep itself is an operation.
 */
import type { ContributionId, MergeId, ModelId, SpaceId } from '../core/ids.ts'
import type { BlobName } from './blob-store.ts'

export type Holder =
  | { readonly kind: 'contribution'; readonly space: SpaceId; readonly id: ContributionId }
  | { readonly kind: 'base'; readonly space: SpaceId }
  | { readonly kind: 'output'; readonly id: MergeId }
  | { readonly kind: 'job'; readonly id: MergeId }
  | { readonly kind: 'upload'; readonly id: string }
  /** A model of which something rotted: what is left of it. */
  | { readonly kind: 'damaged'; readonly id: ModelId }

export interface Held {
  readonly models: readonly ModelId[]
  readonly blobs: readonly BlobName[]
}

/** One text for each holder: `contribution:<space>/<id>`, `base:<space>`, `output:<id>`, `job:<id>`, `upload:<id>`, `damaged:<model>`. */
export const holderKey = (holder: Holder): string =>
  holder.kind === 'contribution'
    ? `contribution:${holder.space}/${holder.id}`
    : `${holder.kind}:${holder.kind === 'base' ? holder.space : holder.id}`

export interface PinRepository {
  /** Adds to what this holder holds. What is held need not be here yet. Nothing held stays an orphan. */
  hold(holder: Holder, held: Partial<Held>): void
  /** Lets go of all that it holds. */
  release(holder: Holder): void
  heldBy(holder: Holder): Held
  /** Models that are holders of kind `damaged`, sorted. */
  damaged(): readonly ModelId[]
  /** Keys of those who hold a model, sorted: why it is kept. */
  holdersOf(model: ModelId): readonly string[]
  /** Held itself, or part of a stored model. */
  isNamed(blob: BlobName): boolean

  /** Before `publish`: these blobs are no orphans, so that a sweep's clock begins anew until a row names them. */
  claim(blobs: readonly BlobName[]): void
  /** Stored models that nobody holds become orphans as of now, unless they are already; held ones are orphans no more. */
  markOrphanModels(nowMs: number): void
  /** The same for one blob that the store lists; answers since when it is an orphan, undefined while it is named. */
  markOrphanBlob(blob: BlobName, nowMs: number): number | undefined
  /** Models that have been orphans since `sinceMs` or longer, and are now. */
  orphanModels(sinceMs: number): readonly ModelId[]
  /** Since when; undefined when it is named or was claimed. The last question before `blobs.remove`. */
  blobOrphanedSince(blob: BlobName): number | undefined
}
