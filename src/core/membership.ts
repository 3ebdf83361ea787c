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
import { LayeredMap } from './layered-map.ts'
import type { Op } from './op.ts'
import {
  type AmnestyBody,
  type Envelope,
  type MemberAddBody,
  type MemberRemoveBody,
  type Policy,
  type Role,
} from './op-schemas.ts'
import { isMembershipOp, ROLES } from './op-schemas.ts'
import { headerOf } from './shelved-op.ts'

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
  readonly settled: Settled
}

type Grant = Envelope & MemberAddBody
type Removal = Envelope & MemberRemoveBody
type Amnesty = Envelope & AmnestyBody
/** An op that says who may do what, and has a say in it. */
export type Paper = Op<Grant | Removal | Amnesty>

interface About {
  readonly grants: Grant[]
  readonly removals: Removal[]
  readonly amnesties: Amnesty[]
}

/** Papers held to be effective. */
export interface Papers {
  readonly ids: ReadonlyMap<OpId, Paper>
  /** By the member they are about. */
  readonly about: ReadonlyMap<ReplicaId, About>
}

export interface Setting {
  readonly creator: ReplicaId
  readonly access: Policy['access']
  readonly chains: Chains
  readonly papers: LayeredMap<OpId, Paper>
  readonly papersBy: LayeredMap<ReplicaId, readonly Paper[]>
}

/** What surely holds, and what possibly does. */
export interface Settled {
  readonly setting: Setting
  readonly sure: Papers
  readonly possible: Papers
}

export const nothing = (): About => ({ grants: [], removals: [], amnesties: [] })

export function put(about: About, { record }: Paper): void {
  if (record.t === 'member.add') about.grants.push(record)
  else if (record.t === 'amnesty') about.amnesties.push(record)
  else about.removals.push(record)
}

const startOf = (grant: Grant): number => grant.from_ep ?? 0

/** Is the place beyond the last op that the removal leaves standing? */
function reaches({ last_ep, last_seq, earlier = [] }: Removal, place: Place): boolean {
  if (place.ep > last_ep) return true
  const end = place.ep === last_ep ? last_seq : earlier.find(([epoch]) => epoch === place.ep)?.[1]
  return end !== undefined && place.seq > end
}

/** Grants that stand for an op of this place: a removal that reaches it ends all that begin no later than it. */
function standingGrants(granted: Papers, taken: Papers, place: Place): readonly Grant[] {
  const removals = (taken.about.get(place.rid)?.removals ?? []).filter((removal) => reaches(removal, place))
  return coveringGrants(granted, place).filter((grant) => removals.every((removal) => startOf(grant) > removal.last_ep))
}

const coveringGrants = (granted: Papers, { rid, ep }: Place): readonly Grant[] =>
  (granted.about.get(rid)?.grants ?? []).filter((grant) => startOf(grant) <= ep)

/** After a fork an author's later epochs need an amnesty that was given for a later epoch than the forked one. */
function isForgiven({ chains }: Setting, granted: Papers, { rid, ep }: Place): boolean {
  const amnesties = granted.about.get(rid)?.amnesties ?? []
  for (const forked of chains.get(rid)?.forkedEpochs ?? []) {
    if (forked >= ep) break
    if (!amnesties.some(({ from_ep }) => forked < from_ep && from_ep <= ep)) return false
  }
  return true
}

const highest = (grants: readonly Grant[]): Role | undefined =>
  ROLES.find((role) => grants.some((grant) => grant.role === role))

/** The law, for given grants and amnesties (what is granted) and given removals (what is taken). */
export function standing(setting: Setting, granted: Papers, taken: Papers, place: Place): Standing {
  if (!isForgiven(setting, granted, place)) return 'after_fork'
  if (place.rid === setting.creator) return 'admin'
  if (setting.access === 'open') return 'writer'
  const role = highest(standingGrants(granted, taken, place))
  return role ?? (coveringGrants(granted, place).length > 0 ? 'removed' : 'not_a_member')
}

/** In an open space there are no members; the creator of a space stays its admin, so papers about that are none. */
export function papersAmong(ops: Iterable<Op>, { creator, access }: Pick<Setting, 'creator' | 'access'>): Paper[] {
  const papers: Paper[] = []
  for (const op of ops) {
    if (!isMembershipOp(headerOf(op))) continue
    const { id, record, bytes } = op
    const isOfMembers = record.t === 'member.add' || record.t === 'member.remove'
    const isPaper = record.t === 'amnesty' || (isOfMembers && access === 'members' && record.member !== creator)
    if (isPaper) papers.push({ id, record, bytes }) // held, and not read again
  }
  return papers
}

function* opsOf(chains: WalkedChains): Iterable<Op> {
  for (const { epochs } of chains.values()) for (const chain of epochs.values()) yield* chain.ops
}

/** All papers that follow from the creator's authority, if exactly these removals were effective. */
function consequences(setting: Setting, taken: Papers): Papers {
  const ids = new Map<OpId, Paper>()
  const about = new Map<ReplicaId, About>()
  const held = { ids, about }
  const waiting: ReplicaId[] = [...setting.papersBy.keys()]
  for (let author = waiting.pop(); author !== undefined; author = waiting.pop())
    for (const paper of setting.papersBy.get(author) ?? []) {
      if (ids.has(paper.id) || standing(setting, held, taken, paper.record) !== 'admin') continue
      ids.set(paper.id, paper)
      put(entry(about, paper.record.member, nothing), paper)
      if (paper.record.t !== 'member.remove') waiting.push(paper.record.member) // may now write papers, too
    }
  return held
}

/** Alternating fixpoint: what surely holds grows, what possibly holds shrinks, and between them is what is undecided. */
export function settle(setting: Setting): Settled {
  let sure: Papers = { ids: new Map(), about: new Map() }
  for (;;) {
    const possible = consequences(setting, sure)
    const surer = consequences(setting, possible)
    if (surer.ids.size === sure.ids.size) return { setting, sure: surer, possible }
    sure = surer
  }
}

/** The role as it is for whatever this key writes from now on. */
export function memberOf({ setting, sure, possible }: Settled, rid: ReplicaId): Member | undefined {
  if (setting.access === 'open') return undefined
  const grants = standingGrants(sure, possible, { rid, ep: Infinity, seq: Infinity })
  const role = highest(grants)
  return role && { rid, role, fromEp: Math.min(...grants.map(startOf)) }
}

export const inOrder = (members: Member[]): readonly Member[] => members.sort((a, b) => compareHex(a.rid, b.rid))

function membersOf(settled: Settled): readonly Member[] {
  const members = inOrder([...settled.sure.about.keys()].flatMap((rid) => memberOf(settled, rid) ?? []))
  return [{ rid: settled.setting.creator, role: 'admin', fromEp: 0 }, ...members]
}

/** A removal counts where it possibly holds, anything else where it surely does. */
export const isEffectiveIn = ({ sure, possible }: Settled, op: OpId): boolean =>
  sure.ids.has(op) || possible.ids.get(op)?.record.t === 'member.remove'

export const authorityOf = (settled: Settled, members = membersOf(settled)): Authority => ({
  standingAt: (place) => standing(settled.setting, settled.sure, settled.possible, place),
  isEffective: (op) => isEffectiveIn(settled, op),
  members,
  settled,
})

export const judgeMembership = (creator: ReplicaId, access: Policy['access'], chains: WalkedChains): Authority =>
  judgePapers(creator, access, chains, opsOf(chains))

/** The same, where the ops that can be papers are known: those of these chains that count. */
export function judgePapers(
  creator: ReplicaId,
  access: Policy['access'],
  chains: Chains,
  among: Iterable<Op>,
): Authority {
  const papers = new Map<OpId, Paper>()
  const papersBy = new Map<ReplicaId, Paper[]>()
  for (const paper of papersAmong(among, { creator, access })) {
    papers.set(paper.id, paper)
    entry(papersBy, paper.record.rid, () => []).push(paper)
  }
  const setting = { creator, access, chains, papers: new LayeredMap(papers), papersBy: new LayeredMap(papersBy) }
  return authorityOf(settle(setting))
}
