/** What a replicator is put together from: storage, links, time and luck, and what it tells the rest of the replica. */
import type { Clock } from '../core/clock.ts'
import type { ReplicaId, SpaceId } from '../core/ids.ts'
import type { PeerRepository } from '../storage/peer-repository.ts'
import type { Dialer, Listener } from '../transport/transport.ts'
import type { KeptSpaces } from './kept-spaces.ts'
import type { AddressParts } from './learned-addresses.ts'
import type { ReadBlob } from './link-giving.ts'
import type { OpenSource } from './link-sources.ts'
import type { Identity } from './peer-session.ts'

export interface ReplicatorParts {
  readonly identity: Identity
  readonly kept: KeptSpaces
  readonly peers: PeerRepository
  /** Without it nothing is told of where replicas are, and nothing learned. */
  readonly addresses?: AddressParts
  readonly dialer: Dialer
  readonly listener: Listener
  readonly clock: Clock
  /** Milliseconds since 1970, for people. */
  readonly now: () => number
  /** From 0 to 1. */
  readonly random: () => number
  readonly randomBytes: (count: number) => Uint8Array
  readonly report: (what: string, error: unknown) => void
  /** The link to this replica, or to whoever will answer there, came or went. */
  readonly onPeer?: (who: string) => void
  /** Leave for this replica to take the blobs of a space, where it may. */
  readonly giveTicket?: (space: SpaceId, rid: ReplicaId) => string | undefined
  /** Without it no bytes are given over links. */
  readonly readBlob?: ReadBlob
  /** Without it bytes are fetched over links alone. */
  readonly openSource?: OpenSource
  /** Bytes of this space may be had from one more replica. */
  readonly onSource?: (space: SpaceId) => void
}
