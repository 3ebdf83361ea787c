/** Port: where replicas say they are, as they signed it. One record a replica. */
import type { ReplicaId } from '../core/ids.ts'

export interface StoredAddress {
  readonly rid: ReplicaId
  readonly record: Uint8Array
  readonly toldBy: ReplicaId
  readonly learnedAtMs: number
}

export interface AddressRepository {
  /** Each in place of what was known of its replica; all of them or none. */
  put(addresses: readonly StoredAddress[]): void
  /** By replica. */
  list(): readonly StoredAddress[]
  remove(rid: ReplicaId): boolean
}
