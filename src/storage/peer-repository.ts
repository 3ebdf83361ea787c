/** Port: where other replicas are, as the operator named them. What replicas tell of themselves is in AddressRepository. */
import type { ReplicaId } from '../core/ids.ts'

export interface StoredPeer {
  readonly url: string
  /** Who answered there last. */
  readonly rid?: ReplicaId
  readonly addedAtMs: number
  readonly lastSeenMs?: number
}

export interface PeerRepository {
  /** False, and nothing done, for a known address. */
  add(peer: Pick<StoredPeer, 'url' | 'addedAtMs'>): boolean
  find(url: string): StoredPeer | undefined
  /** By address. */
  list(): readonly StoredPeer[]
  /** Nothing happens where the address is not known. */
  saw(url: string, rid: ReplicaId, atMs: number): void
  remove(url: string): boolean
}
