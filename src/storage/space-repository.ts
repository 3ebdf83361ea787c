/** Port: the spaces this replica holds. A name is what people say and may be held twice; the id is the space. */
import type { Name, OpId, SpaceId } from '../core/ids.ts'

export interface StoredSpace {
  readonly id: SpaceId
  readonly name: Name
  /** The space.init op. */
  readonly init: OpId
  readonly adoptedAtMs: number
}

export interface SpaceRepository {
  /** False for a known id, which stays as it is. */
  add(space: StoredSpace): boolean
  find(id: SpaceId): StoredSpace | undefined
  /** Sorted by id; more than one means the name is ambiguous. */
  findByName(name: string): readonly StoredSpace[]
  /** By name, then id. */
  list(): readonly StoredSpace[]
}
