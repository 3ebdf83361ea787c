/**
 * Port: what merges computed, tensor by tensor, by the key of what each was computed from. It holds no blob alive, and it
 * is only ever a shortcut: forgetting a row costs time and nothing else.
 */
import type { ContentRoot, MergeId, TensorRoot } from '../core/ids.ts'

export interface TensorResult {
  /** 64 hex digits; see merging/tensor-key.ts. */
  readonly key: string
  readonly root: TensorRoot
  readonly scalars: readonly number[]
}

/** A merge, and every content that went into it. */
export interface ResultMaker {
  readonly merge: MergeId
  readonly contents: readonly ContentRoot[]
}

export interface TensorResultRepository {
  /** Said once the blobs are durable. A known key stays as it is. */
  put(maker: ResultMaker, results: readonly TensorResult[]): void
  find(key: string): TensorResult | undefined
  /** Before its blob is removed. */
  forgetRoot(root: TensorRoot): void
  /** All that merges of this content left. */
  forgetContent(content: ContentRoot): void
  count(): number
}
