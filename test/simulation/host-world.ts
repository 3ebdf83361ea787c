/** What a simulated replica finds around it: time, luck, network and witnesses, and the mistakes it is made to make. */
import type { SpaceId } from '../../src/core/ids.ts'
import type { SignedOp } from '../../src/core/op.ts'
import type { Policy } from '../../src/core/op-schemas.ts'
import type { Metric } from '../../src/replication/effects.ts'
import type { Settings } from '../../src/replication/settings.ts'
import type { SyncParts } from '../../src/replication/space-sync.ts'
import type { ByteBugs, ByteWorld } from './byte-world.ts'
import type { Clockwork } from './clockwork.ts'
import type { Luck } from './luck.ts'
import type { Network } from './network.ts'

/** Mistakes that the simulator must notice; none of them is in what is shipped. */
export interface Bugs {
  /** Tells before it is durable, and goes on in the same epoch after a crash. */
  readonly tellsEarly?: boolean
  /** A client is answered before the op is durable. */
  readonly answersEarly?: boolean
  /** The first branch of a fork that came is the one. */
  readonly firstBranchWins?: boolean
  /** An old backup is taken up as if nothing had been written since. */
  readonly trustsBackup?: boolean
  /** Rotten records are read as they are. */
  readonly readsRot?: boolean
  /** What fell out behind a fork is still shown. */
  readonly showsWhatFell?: boolean
  /** Its clock goes on from the latest time that anyone told. */
  readonly followsClocks?: boolean
  readonly parts?: SyncParts
  readonly bytes?: ByteBugs
  /** Other times and bounds than the oracles know. */
  readonly settings?: Partial<Settings>
}

export interface HostWorld {
  readonly clockwork: Clockwork
  readonly luck: Luck
  /** Undefined where a crash loses what is being written. */
  readonly tears: Luck | undefined
  readonly network: () => Network
  readonly space: SpaceId
  readonly access: Policy['access']
  readonly settings: Settings
  readonly bugs: Bugs
  /** Undefined where no models travel. */
  readonly bytes: ByteWorld | undefined
  /** Has the operator of the one named the other? */
  names(node: number, peer: number): boolean
  trace(what: string, bytes?: Uint8Array): void
  /** An op became durable at a replica. */
  durable(node: number, op: SignedOp): void
  acknowledged(node: number, op: SignedOp): void
  count(node: number, metric: Metric, count: number): void
  closed(node: number, peer: number | undefined, why: string): void
}
