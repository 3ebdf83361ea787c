/** Ending a key's right to write. What it wrote before, as far as it is known here, stays. */
import { TributaryError } from '../../core/errors.ts'
import { parseReplicaId, type ReplicaId } from '../../core/ids.ts'
import { EARLIER_MAX, type EpochEnd, type MemberRemoveBody } from '../../core/op-schemas.ts'
import type { SpaceState } from '../../core/or-set.ts'
import type { Context } from '../context.ts'
import type { MemberView } from '../operations.ts'
import type { SpaceBook } from '../space-book.ts'
import { checkMayManage, creatorStays, findMember, memberView, writePaper } from './membership.ts'

/** An op is 4 KiB of canonical bytes, most of which the ends of epochs may take. */
const EARLIER_CHARACTERS_MAX = 2500

export function removeMember(
  context: Context,
  book: SpaceBook,
  space: string,
  key: string,
  reason?: string,
): readonly MemberView[] {
  const state = book.find(space)
  const member = parseReplicaId(key)
  checkMayManage(context, state)
  if (member === state.creator) throw creatorStays(state)
  if (findMember(state, member) === undefined)
    throw new TributaryError('MEMBER_NOT_FOUND', `this key is no member of ${state.name}`, {
      details: { key: member },
      hint: `GET /v1/spaces/${state.name}/members lists them`,
    })
  const after = writePaper(context, book, state, {
    t: 'member.remove',
    member,
    ...endsOf(state, member),
    ...(reason !== undefined && { reason }),
  })
  return after.members.map((one) => memberView(after, one))
}

/**
 * Where each epoch of the removed ends: at the last op that is here, or before its first. Earlier epochs of which
 * nothing is here are closed too, the latest first, as far as an op has room: they could be written on in secret.
 */
export function endsOf(
  state: SpaceState,
  member: ReplicaId,
): Pick<MemberRemoveBody, 'last_ep' | 'last_seq' | 'earlier'> {
  const chains = state.chains.get(member)
  const lastSeqOf = (ep: number): number => (chains?.epochs.get(ep)?.head.nextSeq ?? 0) - 1
  const lastEp = chains?.latestEpoch ?? 0
  const seen = [...(chains?.epochs.keys() ?? [])].filter((ep) => ep < lastEp).sort((a, b) => b - a)
  const closed = new Map<number, EpochEnd>()
  let characters = 0
  for (const ep of [...seen, ...descending(lastEp - 1, EARLIER_MAX + seen.length)]) {
    const end: EpochEnd = [ep, lastSeqOf(ep)]
    const more = closed.has(ep) ? 0 : JSON.stringify(end).length + 1
    if (closed.size === EARLIER_MAX || characters + more > EARLIER_CHARACTERS_MAX) break
    closed.set(ep, end)
    characters += more
  }
  const earlier = [...closed.values()].sort(([a], [b]) => a - b)
  return { last_ep: lastEp, last_seq: lastSeqOf(lastEp), ...(earlier.length > 0 && { earlier }) }
}

function* descending(from: number, count: number): Iterable<number> {
  for (let ep = from; ep >= 0 && ep > from - count; ep--) yield ep
}
