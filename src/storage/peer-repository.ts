/** Port: where other replicas are. An address is known once, whoever told it; what the operator named is never dropped. */
import type { ReplicaId } from '../core/ids.ts'

export interface StoredPeer {
  readonly url: string
  readonly origin: 'operator' | 'learned'
  /** Who answered there last. */
  readonly rid?: ReplicaId
  readonly addedAtMs: number
  readonly lastSeenMs?: number
}

export interface PeerRepository {
  /** False for a known address, which becomes the operator's when the operator names it now. */
  add(peer: Pick<StoredPeer, 'url' | 'origin' | 'addedAtMs'>): boolean
  find(url: string): StoredPeer | undefined
  /** The operator's first, then by address. */
  list(): readonly StoredPeer[]
  /** Nothing happens where the address is not known. */
  saw(url: string, rid: ReplicaId, atMs: number): void
  remove(url: string): boolean
  /** Drops learned ones that were seen longest ago, or never, until so many are left; answers how many. */
  trimLearned(keep: number): number
}
