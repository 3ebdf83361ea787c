/** Who may hear of a space: members of a space of members, anyone of an open one, and all of whom the operator named. */
import type { SpaceId } from '../core/ids.ts'
import type { ReplicaCoreOptions } from './core-options.ts'
import type { PeerSession } from './peer-session.ts'

/** As it is known so far: before the proof there is no key. */
export type Reader = Pick<PeerSession, 'named' | 'rid'>

export const isNamed = ({ isNamed: named }: ReplicaCoreOptions, reader: Reader): boolean =>
  reader.named || (reader.rid !== undefined && named?.(reader.rid) === true)

export const mayRead = (options: ReplicaCoreOptions, reader: Reader, space: SpaceId): boolean =>
  options.mayRead === undefined || isNamed(options, reader) || options.mayRead(space, reader.rid)
