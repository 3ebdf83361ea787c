/** What a replica core is told and asks of whoever runs it. */
import type { ReplicaId, SetRoot, SpaceId } from '../core/ids.ts'
import type { Verify } from '../core/op.ts'
import type { AddressOptions } from './address-exchange.ts'
import type { ForkLattice } from './fork-lattice.ts'
import type { Identity } from './peer-session.ts'
import type { Settings } from './settings.ts'
import type { SyncParts } from './space-sync.ts'

export interface ReplicaCoreOptions {
  readonly identity: Identity
  readonly settings?: Settings
  /** How signatures of ops are verified; Ed25519 where absent. */
  readonly verify?: Verify
  /** The root of a space as the fold has it. */
  readonly rootOf?: (space: SpaceId) => SetRoot | undefined
  /** Did the operator name this replica, whoever opened the link? */
  readonly isNamed?: (rid: ReplicaId) => boolean
  /** May it see this space? Members see the spaces of members; a replica that the operator named sees all. */
  readonly mayRead?: (space: SpaceId, rid: ReplicaId | undefined) => boolean
  /** Parts of the protocol left out, where a test shows what they are good for. */
  readonly parts?: SyncParts
  /** Leave for this replica to take the blobs of a space, where it may. */
  readonly giveTicket?: (space: SpaceId, rid: ReplicaId) => string | undefined
  /** Without it nothing is told of addresses, and nothing learned. */
  readonly addresses?: AddressOptions
  /** Another lattice, for the same reason. */
  readonly latticeOf?: () => ForkLattice
}
