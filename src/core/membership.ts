/**
 * Who had which role at each op, decided from the membership ops themselves: the well-founded semantics of
 *
 *   an op is effective ⇐ its author is the creator, or an effective grant stands for it
 *   a grant stands for an op ⇐ it covers the op's epoch, and no effective removal that reaches the op ends the grant
 *
 * Where that is circular (two admins remove each other) neither answer follows. Then the removal counts and a grant
 * does not: the safe side.
 */
import { compareHex } from './bytes.ts'
import { type Chains, entry, type WalkedChains } from './forks.ts'
import type { OpId, ReplicaId } from './ids.ts'
import type { Op } from './op.ts'
import {
  type AmnestyBody,
  type Envelope,
  type MemberAddBody,
  type MemberRemoveBody,
  type Policy,
  type Role,
} from './op-schemas.ts'
import { ROLES } from './op-schemas.ts'

/** Where in its author's chains an op stands. */
export interface Place {
  readonly rid: ReplicaId
  readonly ep: number
  readonly seq: number
}

export interface Member {
  readonly rid: ReplicaId
  readonly role: Role
  /** First epoch in which the member's ops have this standing. */
  readonly fromEp: number
}

/** The role in which an op of this place was written, or why it has no standing. */
export type Standing = Role | 'after_fork' | 'removed' | 'not_a_member'

export interface Authority {
  standingAt(place: Place): Standing
  /** Of the membership ops themselves. */
  isEffective(op: OpId): boolean
  /** The creator first, then by id. */
  readonly members: readonly Member[]
  /** All that was judged. */
  readonly papers: readonly Op[]
}

type Grant = Envelope & MemberAddBody
type Removal = Envelope & MemberRemoveBody
type Amnesty = Envelope & AmnestyBody
type Paper = Op<Grant | Removal | Amnesty>

/** Papers held to be effective, by the member they are about. */
class Papers {
  readonly ids = new Set<OpId>()
  readonly removalIds = new Set<OpId>()
  readonly grants = new Map<ReplicaId, Grant[]>()
  readonly removals = new Map<ReplicaId, Removal[]>()
  readonly amnesties = new Map<ReplicaId, Amnesty[]>()

  add({ id, record }: Paper): void {
    this.ids.add(id)
    if (record.t === 'member.add') entry(this.grants, record.member, () => []).push(record)
    else if (record.t === 'amnesty') entry(this.amnesties, record.member, () => []).push(record)
    else {
      this.removalIds.add(id)
      entry(this.removals, record.member, () => []).push(record)
    }
  }
}

const startOf = (grant: Grant): number => grant.from_ep ?? 0

/** Is the place beyond the last op that the removal leaves standing? */
function reaches({ last_ep, last_seq, earlier = [] }: Removal, place: Place): boolean {
  if (place.ep > last_ep) return true
  const end = place.ep === last_ep ? last_seq : earlier.find(([epoch]) => epoch === place.ep)?.[1]
  return end !== undefined && place.seq > end
}

interface Setting {
  readonly creator: ReplicaId
  readonly access: Policy['access']
  readonly chains: Chains
  readonly papersBy: ReadonlyMap<ReplicaId, readonly Paper[]>
}

/** Grants that stand for an op of this place: a removal that reaches it ends all that begin no later than it. */
function standingGrants(granted: Papers, taken: Papers, place: Place): readonly Grant[] {
  const removals = (taken.removals.get(place.rid) ?? []).filter((removal) => reaches(removal, place))
  return coveringGrants(granted, place).filter((grant) => removals.every((removal) => startOf(grant) > removal.last_ep))
}

const coveringGrants = (granted: Papers, { rid, ep }: Place): readonly Grant[] =>
  (granted.grants.get(rid) ?? []).filter((grant) => startOf(grant) <= ep)

/** After a fork an author's later epochs need an amnesty that was given for a later epoch than the forked one. */
function isForgiven({ chains }: Setting, granted: Papers, { rid, ep }: Place): boolean {
  const amnesties = granted.amnesties.get(rid) ?? []
  for (const forked of chains.get(rid)?.forkedEpochs ?? []) {
    if (forked >= ep) break
    if (!amnesties.some(({ from_ep }) => forked < from_ep && from_ep <= ep)) return false
  }
  return true
}

const highest = (grants: readonly Grant[]): Role | undefined =>
  ROLES.find((role) => grants.some((grant) => grant.role === role))

/** The law, for given grants and amnesties (what is granted) and given removals (what is taken). */
function standing(setting: Setting, granted: Papers, taken: Papers, place: Place): Standing {
  if (!isForgiven(setting, granted, place)) return 'after_fork'
  if (place.rid === setting.creator) return 'admin'
  if (setting.access === 'open') return 'writer'
  const role = highest(standingGrants(granted, taken, place))
  return role ?? (coveringGrants(granted, place).length > 0 ? 'removed' : 'not_a_member')
}

/** In an open space there are no members; the creator of a space stays its admin, so papers about that are none. */
function papersIn(ops: Iterable<Op>, creator: ReplicaId, access: Policy['access']): readonly Paper[] {
  const isPaper = (op: Op): op is Paper =>
    op.record.t === 'amnesty' ||
    ((op.record.t === 'member.add' || op.record.t === 'member.remove') &&
      access === 'members' &&
      op.record.member !== creator)
  return [...ops].filter(isPaper)
}

function* opsOf(chains: WalkedChains): Iterable<Op> {
  for (const { epochs } of chains.values()) for (const chain of epochs.values()) yield* chain.ops
}

/** All papers that follow from the creator's authority, if exactly these removals were effective. */
function consequences(setting: Setting, taken: Papers): Papers {
  const held = new Papers()
  const waiting: ReplicaId[] = [...setting.papersBy.keys()]
  for (let author = waiting.pop(); author !== undefined; author = waiting.pop())
    for (const paper of setting.papersBy.get(author) ?? []) {
      if (held.ids.has(paper.id) || standing(setting, held, taken, paper.record) !== 'admin') continue
      held.add(paper)
      if (paper.record.t !== 'member.remove') waiting.push(paper.record.member) // may now write papers, too
    }
  return held
}

/** Alternating fixpoint: what surely holds grows, what possibly holds shrinks, and between them is what is undecided. */
function settle(setting: Setting): { readonly sure: Papers; readonly possible: Papers } {
  let sure = new Papers()
  for (;;) {
    const possible = consequences(setting, sure)
    const surer = consequences(setting, possible)
    if (surer.ids.size === sure.ids.size) return { sure: surer, possible }
    sure = surer
  }
}

/** Roles as they are for whatever a member writes from now on. */
function membersOf({ creator, access }: Setting, sure: Papers, possible: Papers): readonly Member[] {
  const granted = access === 'open' ? [] : [...sure.grants.keys()].sort(compareHex)
  const members = granted.flatMap((rid): Member[] => {
    const grants = standingGrants(sure, possible, { rid, ep: Infinity, seq: Infinity })
    const role = highest(grants)
    return role === undefined ? [] : [{ rid, role, fromEp: Math.min(...grants.map(startOf)) }]
  })
  return [{ rid: creator, role: 'admin', fromEp: 0 }, ...members]
}

export const judgeMembership = (creator: ReplicaId, access: Policy['access'], chains: WalkedChains): Authority =>
  judgePapers(creator, access, chains, opsOf(chains))

/** The same, where the ops that can be papers are known: those of these chains that count. */
export function judgePapers(
  creator: ReplicaId,
  access: Policy['access'],
  chains: Chains,
  among: Iterable<Op>,
): Authority {
  const papers = papersIn(among, creator, access)
  const papersBy = new Map<ReplicaId, Paper[]>()
  for (const paper of papers) entry(papersBy, paper.record.rid, () => []).push(paper)
  const setting = { creator, access, chains, papersBy }
  const { sure, possible } = settle(setting)
  return {
    standingAt: (place) => standing(setting, sure, possible, place),
    isEffective: (op) => sure.ids.has(op) || possible.removalIds.has(op),
    members: membersOf(setting, sure, possible),
    papers,
  }
}
