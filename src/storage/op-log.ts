/**
 * Port: every verified op. The log judges nothing: form, signature and chain are the gate's, authority the
 * fold's. Fields besides `bytes` and `signature` are copies of what the bytes say, under the op record's own names.
 */
import type { OpId, ReplicaId, SpaceId } from '../core/ids.ts'

export interface StoredOp {
  readonly id: OpId
  readonly space: SpaceId
  /** Generation. */
  readonly g: number
  /** The author's key. */
  readonly rid: ReplicaId
  /** The author's epoch. */
  readonly ep: number
  readonly seq: number
  /** Type; one that nobody knows is stored too. */
  readonly t: string
  /** Author's time in ms. Never trusted for truth: it only orders. */
  readonly hlc: number
  /** Canonical bytes of the op record. */
  readonly bytes: Uint8Array
  /** 64 bytes of Ed25519. */
  readonly signature: Uint8Array
}

/** Where an author goes on in one space, generation and epoch. */
export interface OpHead {
  readonly nextSeq: number
  readonly lastId: OpId | undefined
  readonly lastHlc: number
}

/** Ops of a space, one after the other: many rows cost little more than their bytes. */
export interface OpPage {
  readonly ids: readonly OpId[]
  /** `signature ‖ bytes` of each. */
  readonly records: Uint8Array
  /** Where each of them ends in `records`; the next begins there. */
  readonly ends: readonly number[]
}

export interface OpLog {
  /** False for a known id: a duplicate, whatever its signature, changes nothing. */
  append(op: StoredOp): boolean
  /** Those that fell out behind a fork of their author: they count nowhere, and no replica keeps them. */
  remove(ids: readonly OpId[]): void
  find(id: OpId): StoredOp | undefined
  /** By (hlc, id): one order on every replica that holds the same ops. */
  forSpace(space: SpaceId): readonly StoredOp[]
  /** The same ops in the same order. */
  pagesOfSpace(space: SpaceId): Iterable<OpPage>
  /** Sorted: what `ops_root` is made of. */
  idsOfSpace(space: SpaceId): readonly OpId[]
  /** Both sides of a fork, when there is one. */
  inSlot(space: SpaceId, g: number, rid: ReplicaId, ep: number, seq: number): readonly StoredOp[]
  /** {nextSeq: 0, lastId: undefined, lastHlc: 0} before the first. In a fork, `lastId` is the lowest id of the last seq. */
  head(space: SpaceId, g: number, rid: ReplicaId, ep: number): OpHead
  count(): number
  countBySpace(space: SpaceId): number
}
