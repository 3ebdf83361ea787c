/** Port: how many bytes of other replicas' models are here, and for which space each was fetched. */
import type { ModelId, SpaceId } from '../core/ids.ts'

export interface Fetched {
  readonly model: ModelId
  readonly space: SpaceId
  /** Of its manifest and, from when they are asked for, of the bytes it names. */
  readonly bytes: number
}

export interface FetchedRepository {
  /** In place of what was said of this model before. */
  put(fetched: Fetched): void
  find(model: ModelId): Fetched | undefined
  /** Nothing of it is here any more. */
  remove(model: ModelId): boolean
  /** Of all models that were fetched for this space. */
  bytesOf(space: SpaceId): number
  /** Those that have any, the most first. */
  spaces(): readonly { readonly space: SpaceId; readonly bytes: number }[]
}
