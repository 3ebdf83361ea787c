/** What replication stands on: the spaces of this replica as facts, whoever keeps them. */
import type { OpId, ReplicaId, SetRoot, SpaceId } from '../core/ids.ts'
import type { SignedOp } from '../core/op.ts'

export interface KeptSpaces {
  list(): readonly SpaceId[]
  /** In any order. */
  ops(space: SpaceId): readonly SignedOp[]
  /** Undefined where the first op is not here, or the space's rules are not known. */
  root(space: SpaceId): SetRoot | undefined
  /** May this replica see it? Whoever is a member of a space of members; anyone an open one. */
  mayRead(space: SpaceId, rid: ReplicaId | undefined): boolean
  /** In one transaction, durable when it returns. */
  receive(space: SpaceId, changes: { readonly insert: readonly SignedOp[]; readonly remove: readonly OpId[] }): void
  /** Called with each op that is written here, once it is durable. */
  watch(written: (op: SignedOp) => void): void
  /** A proof that one key signed both, written where this replica may; false where not, or where there is one. */
  accuse(space: SpaceId, pair: readonly [SignedOp, SignedOp]): boolean
  /** Somebody knows ops of this replica up to this epoch that are not here: it goes on in a later one. */
  raise(epoch: number): void
  readonly epoch: number
  readonly rid: ReplicaId
}
