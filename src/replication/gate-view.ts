/** What the gate and whoever judges with it ask of a replica. */
import type { OpId, ReplicaId, SpaceId } from '../core/ids.ts'
import type { Verify } from '../core/op.ts'
import type { Slot } from './slots.ts'

/** One chain as the replica has stored it. */
export interface ChainView {
  /** Where it would go on. */
  readonly nextSeq: number
  /** The op before that; undefined at 0. */
  readonly lastId: OpId | undefined
  /** The lowest place known to have two ops; infinite where there is none. Nothing is stored above it. */
  readonly forkedAt: number
  /** What is stored in a place: nothing, one op, or at the fork two. */
  at(seq: number): readonly OpId[]
}

/** What the gate asks of the replica. Chains are looked up by author: two authors can share a client id, at great cost. */
export interface GateView {
  readonly space: SpaceId
  readonly generation: number
  /** Undefined until it has arrived. */
  readonly initId: OpId | undefined
  /** Of a stored op. */
  slotOf(id: OpId): Slot | undefined
  chain(rid: ReplicaId, ep: number): ChainView | undefined
  /** Ed25519 where absent. */
  readonly verify?: Verify
}
