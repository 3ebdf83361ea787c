/** Who may write in a space of members, and what its admins do about it while the network is cut. */
import { accusedBy, aclOf, type SignedOp, spaceIdOf } from '../../src/core/op.ts'
import type { Digest, Name, ReplicaId } from '../../src/core/ids.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import { utf8 } from '../../src/core/bytes.ts'
import {
  type Body,
  type MemberRemoveBody,
  type Policy,
  ROLES,
  type SpaceInitRecord,
} from '../../src/core/op-schemas.ts'
import { mayManageMembers, mayRevoke, type SpaceState } from '../../src/core/or-set.ts'
import type { Luck } from './luck.ts'
import { ridOf, stubSigned } from './stubs.ts'

/** The first ops of a space, by the first replica in its epoch 0: the space, and who is a member from the start. */
export function foundSpace(access: Policy['access'], members: readonly ReplicaId[]) {
  const rid = ridOf(0)
  const at = (seq: number) => ({ v: 1, g: 0, rid, ep: 0, seq, hlc: seq + 1 }) as const
  const record: SpaceInitRecord = {
    ...at(0),
    t: 'space.init',
    name: 'team' as Name,
    nonce: sha256Hex(utf8('nonce')) as Digest,
    policy: { access, rules: 1 },
  }
  const init: SignedOp = stubSigned(record)
  const space = spaceIdOf(init as SignedOp<SpaceInitRecord>)
  const ops = [init]
  for (const [i, member] of members.entries()) {
    const acl = aclOf(ops.map(({ id }) => id))
    const prev = ops.at(-1)!.id
    ops.push(stubSigned({ ...at(i + 1), sp: space, prev, acl, t: 'member.add', member, role: 'writer' }))
  }
  return { init, space, ops }
}

/** A member's epochs end at the last op that its remover knows. */
function endsOf(state: SpaceState, member: ReplicaId): Pick<MemberRemoveBody, 'last_ep' | 'last_seq' | 'earlier'> {
  const { epochs, latestEpoch = 0 } = state.chains.get(member) ?? {}
  const last = (ep: number): number => (epochs?.get(ep)?.head.nextSeq ?? 0) - 1
  const earlier = [...(epochs?.keys() ?? [])].filter((ep) => ep < latestEpoch).map((ep) => [ep, last(ep)] as const)
  return {
    last_ep: latestEpoch,
    last_seq: last(latestEpoch),
    ...(earlier.length > 0 && { earlier: earlier.slice(-20) }),
  }
}

const ops = (state: SpaceState) => [...state.ops.values()]

function amnestyIn(state: SpaceState, luck: Luck): Body | undefined {
  const proofs = ops(state).flatMap(({ id, record }) =>
    record.t === 'evidence' ? [{ id, of: accusedBy(record) }] : [],
  )
  if (proofs.length === 0) return undefined
  const { id, of } = luck.pick(proofs)
  return { t: 'amnesty', member: of.record.rid, evidence: id, from_ep: of.record.ep + 1 + luck.below(2) }
}

/** What an admin does next; a replica that is none is refused by name, and writes nothing. */
export function paperOf(
  state: SpaceState,
  by: { readonly rid: ReplicaId; readonly ep: number },
  luck: Luck,
  cast: { readonly all: readonly ReplicaId[]; readonly removable: readonly ReplicaId[] },
): Body | undefined {
  const isAmnesty = luck.chance(0.25)
  if (isAmnesty) return mayRevoke(state, by.rid, by.ep) ? amnestyIn(state, luck) : undefined
  if (!mayManageMembers(state, by.rid, by.ep)) return undefined
  const removable = state.members.filter(({ rid }) => rid !== state.creator && cast.removable.includes(rid))
  if (removable.length > 0 && luck.chance(0.4)) {
    const { rid: member } = luck.pick(removable)
    return { t: 'member.remove', member, ...endsOf(state, member) }
  }
  const member = luck.pick(cast.all)
  const removals = ops(state).flatMap(({ record }) =>
    record.t === 'member.remove' && record.member === member ? [record.last_ep + 1] : [],
  )
  const from = Math.max(0, ...removals)
  return { t: 'member.add', member, role: luck.pick(ROLES), ...(from > 0 && { from_ep: from }) }
}
