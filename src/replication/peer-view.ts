/** Another replica as people see it. */
import type { ReplicaId, SpaceId } from '../core/ids.ts'

export interface Agreement {
  readonly space: SpaceId
  readonly inSync: boolean
  /** For how long it is not; 0 where it is. */
  readonly behindMs: number
}

export interface PeerView {
  /** Where this replica dials it; absent where it dialed us. */
  readonly url?: string
  readonly rid?: ReplicaId
  /** known: an address that others told, and that is not dialed now. */
  readonly state: 'dialing' | 'greeting' | 'linked' | 'known'
  /** How this replica comes to it: named by the operator, told of by others, or it dialed us. */
  readonly source: 'operator' | 'learned' | 'accepted'
  /** Of a learned one: the replica that told its address. */
  readonly toldBy?: ReplicaId
  /** Since when it is so. */
  readonly sinceMs: number
  /** Of the spaces both have: is what they keep the same, as far as it was told? */
  readonly spaces: readonly Agreement[]
  /** Spaces of it that are not kept here. */
  readonly offered: readonly SpaceId[]
  readonly lastFailure?: string
}
