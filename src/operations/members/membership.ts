/** What the verbs about members share: what a member looks like, and which calls a space or this replica can't take. */
import { TributaryError } from '../../core/errors.ts'
import type { ReplicaId } from '../../core/ids.ts'
import type { Member } from '../../core/membership.ts'
import type { Body } from '../../core/op-schemas.ts'
import { mayManageMembers, type SpaceState } from '../../core/or-set.ts'
import type { Context } from '../context.ts'
import { notAllowed } from '../contributions.ts'
import { holdVisible } from '../holding.ts'
import type { MemberView } from '../operations.ts'
import type { SpaceBook } from '../space-book.ts'

/** The epochs in which an author signed two ops for one place, ascending. */
export const forkedEpochsOf = (state: SpaceState, rid: ReplicaId): readonly number[] =>
  state.chains.get(rid)?.forkedEpochs ?? []

/** Does a fork in an earlier epoch keep what the author writes in this one from counting? */
export const isAfterFork = (state: SpaceState, rid: ReplicaId, ep: number): boolean =>
  state.judged.authority.standingAt({ rid, ep, seq: 0 }) === 'after_fork'

export function memberView(state: SpaceState, { rid, role, fromEp }: Member): MemberView {
  const forked = forkedEpochsOf(state, rid)
  const last = forked.at(-1)
  return {
    key: rid,
    role,
    from_epoch: fromEp,
    creator: rid === state.creator,
    forked_epochs: forked,
    amnesty: last !== undefined && !isAfterFork(state, rid, last + 1),
  }
}

export const findMember = (state: SpaceState, rid: ReplicaId): Member | undefined =>
  state.members.find((member) => member.rid === rid)

/** Refuses what would write an op that the fold ignores: a space without members, or a key without the right. */
export function checkMayManage(context: Context, state: SpaceState): void {
  if (state.policy.access === 'open')
    throw new TributaryError('SPACE_OPEN', `${state.name} is an open space: whoever reaches it may write`, {
      details: { space: state.space },
      hint: 'a space that is made with access members has members to manage',
    })
  if (!mayManageMembers(state, context.key.rid, context.lease.epoch)) throw notAllowed(context, state, 'manage members')
}

export const creatorStays = ({ name }: SpaceState): TributaryError =>
  new TributaryError('CREATOR_STAYS', `this key made ${name}, and stays its admin`, {
    hint: 'make another space, where another key is the creator',
  })

/** Writes an op about members. It may change what is visible, so what is held follows in the same commit. */
export const writePaper = (context: Context, book: SpaceBook, state: SpaceState, body: Body): SpaceState =>
  book.write(state, body, (next) => holdVisible(context, state, next)).state
