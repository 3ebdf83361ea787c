/** What a fetch of one model works with. */
import type { Clock } from '../../core/clock.ts'
import type { SpaceId, TensorRoot } from '../../core/ids.ts'
import type { ModelSource } from '../../transport/blob-source.ts'
import type { Context } from '../context.ts'

export interface ModelFetching {
  readonly context: Context
  readonly clock: Clock
  /** Whose quota it counts against. */
  readonly space: SpaceId
  readonly sources: readonly ModelSource[]
  readonly signal: AbortSignal
  /** Tensors that are being fetched, for whichever model. */
  readonly underWay: Map<TensorRoot, Promise<void>>
  /** This source sent what it was not asked for. */
  readonly lied: (source: string, what: string) => void
}
