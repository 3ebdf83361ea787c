/** Port: a snapshot of each space, which may be old, and decides nothing: ops do. Losing one costs the time to fold. */
import type { SpaceId } from '../core/ids.ts'

export interface SnapshotRepository {
  find(space: SpaceId): Uint8Array | undefined
  /** In place of the one before. */
  put(space: SpaceId, bytes: Uint8Array): void
  remove(space: SpaceId): void
}
