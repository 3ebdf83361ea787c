/**
 * The fold: what a space is, given the ops seen. A pure function of the set of ops: their order, their repetition and
 * their clocks do not matter. An add wins against a remove that did not see it; a revoke wins against every add, for ever.
 */
import { type ChainHead, emptyHead } from './author.ts'
import { TributaryError } from './errors.ts'
import { type Accusation, accusationIn, type Chain, type Chains, chainsOf, entry } from './forks.ts'
import type { ContentRoot, ContributionId, Name, OpId, ReplicaId, SetRoot, SpaceId } from './ids.ts'
import { grow } from './grow.ts'
import type { ChainFacts } from './grow-chains.ts'
import { find } from './grow-shown.ts'
import { IdSet } from './id-set.ts'
import { invariant } from './invariant.ts'
import { LayeredMap } from './layered-map.ts'
import { type Authority, judgeMembership, type Member } from './membership.ts'
import { sortedIds } from './merkle.ts'
import { headerOf, whileRead } from './shelved-op.ts'
import { isSpaceInit, type Op, spaceIdOf, spaceOf } from './op.ts'
import { isMembershipOp, type Policy, type SpaceInitRecord } from './op-schemas.ts'
import {
  type Dot,
  type Ignored,
  mayTake,
  type Revocation,
  type Shown,
  Visibility,
  type VisibleContribution,
} from './visibility.ts'

const RULES_KNOWN = 1
/** A later one begins with an op type that these rules do not know. */
export const GENERATION_KNOWN = 0

/** Verified ops of one space, its first among them. */
export function fold(ops: Iterable<Op>): SpaceState {
  const opsById = new Map<OpId, Op>()
  let init: Op | undefined
  for (const op of ops) {
    opsById.set(op.id, op)
    if (headerOf(op).t === 'space.init') init = op
  }
  if (init === undefined || !isSpaceInit(init))
    throw new TributaryError('SPACE_NOT_FOUND', 'the first op of this space is not here')
  return foldOf(init, opsById)
}

const foldOf = (init: Op<SpaceInitRecord>, given: ReadonlyMap<OpId, Op>): SpaceState =>
  whileRead(given.values(), () => folded(init, given))

function folded(init: Op<SpaceInitRecord>, given: ReadonlyMap<OpId, Op>): SpaceState {
  const { rid, policy } = init.record
  const space = spaceIdOf(init)
  const ops = new LayeredMap(given)
  for (const op of ops.values()) invariant(spaceOf(op) === space, `${op.id} is no op of the space ${space}`)
  const chains = chainsOf(ops.values(), GENERATION_KNOWN)
  const uncounted = new Map(uncountedOf(ops, chains))
  const facts = { init, ops, chains, ...besideChains(ops.values(), chains), ...idSetsOf(ops) }
  if (policy.rules !== RULES_KNOWN) return new SpaceState({ ...facts, ignored: new LayeredMap(uncounted) })

  const authority = judgeMembership(rid, policy.access, chains)
  const { visible, slots, revoked, ignored, killers, addsByContent } = new Visibility(policy.access, chains, authority)
  const shown: Shown = {
    visible,
    slots: new LayeredMap(slots),
    revoked,
    killers: new LayeredMap(killers),
    adds: new LayeredMap(addsByContent),
  }
  const visibleIds = new IdSet<SetRoot>(() => visible.map(({ id }) => id))
  return new SpaceState({
    ...facts,
    ignored: new LayeredMap(new Map([...uncounted, ...ignored])),
    judged: { authority, shown, visibleIds },
  })
}

function besideChains(ops: Iterable<Op>, chains: Chains): Pick<Facts, 'strays' | 'accusations'> {
  const strays = new Map<ReplicaId, Op[]>()
  const accusations = new Map<ReplicaId, Accusation[]>()
  for (const op of ops) {
    const { g, rid, ep, seq } = op.record
    if (g !== GENERATION_KNOWN) continue
    if (seq >= chains.get(rid)!.epochs.get(ep)!.head.nextSeq) entry(strays, rid, () => []).push(op)
    const accusation = accusationIn(op, GENERATION_KNOWN)
    if (accusation !== undefined) entry(accusations, accusation.rid, () => []).push(accusation)
  }
  return { strays: new LayeredMap(strays), accusations: new LayeredMap(accusations) }
}

/** With their roots, where these are known. */
export const idSetsOf = (ops: ReadonlyMap<OpId, Op>, opsRoot?: SetRoot, acl?: SetRoot) => ({
  opIds: new IdSet<SetRoot>(() => ops.keys(), undefined, undefined, opsRoot),
  paperIds: new IdSet<SetRoot>(() => paperIdsOf(ops), undefined, undefined, acl),
})

function* paperIdsOf(ops: ReadonlyMap<OpId, Op>): Iterable<OpId> {
  for (const op of ops.values()) if (isMembershipOp(headerOf(op))) yield op.id
}

/** Ops outside the chains that count. An evidence does its work wherever it stands. */
function* uncountedOf(ops: ReadonlyMap<OpId, Op>, chains: Chains): Iterable<[OpId, Ignored]> {
  for (const { id, record } of ops.values()) {
    if (record.t === 'space.init' || record.t === 'evidence') continue
    const chain = chains.get(record.rid)?.epochs.get(record.ep)
    if (record.g !== GENERATION_KNOWN || chain === undefined) yield [id, 'generation']
    else if (record.seq >= chain.forkedAt) yield [id, 'forked']
    else if (record.seq >= chain.head.nextSeq) yield [id, 'detached']
  }
}

export interface Judged {
  readonly authority: Authority
  readonly shown: Shown
  readonly visibleIds: IdSet<SetRoot>
}

export interface Facts extends ChainFacts {
  readonly init: Op<SpaceInitRecord>
  readonly ignored: LayeredMap<OpId, Ignored>
  readonly opIds: IdSet<SetRoot>
  /** Of all ops about members, whatever they do. */
  readonly paperIds: IdSet<SetRoot>
  /** Undefined where the rules are not known. */
  readonly judged?: Judged
}

/** What is costly and not always wanted (roots) is computed when it is first asked for. */
export class SpaceState {
  readonly space: SpaceId
  readonly name: Name
  readonly creator: ReplicaId
  readonly policy: Policy
  readonly base: ContentRoot | undefined
  /** Of every op seen, whatever it does. */
  readonly ops: ReadonlyMap<OpId, Op>
  readonly chains: Chains
  readonly members: readonly Member[]
  readonly revoked: ReadonlyMap<ContentRoot, readonly Revocation[]>
  readonly ignored: ReadonlyMap<OpId, Ignored>

  readonly #facts: Facts
  #slots: ReadonlyMap<Name, readonly ContributionId[]> | undefined

  /** `fold` makes one. */
  constructor(facts: Facts) {
    const { rid, name, policy, base } = facts.init.record
    this.space = spaceIdOf(facts.init)
    this.name = name
    this.creator = rid
    this.policy = policy
    this.base = base
    this.ops = facts.ops
    this.chains = facts.chains
    this.members = facts.judged?.authority.members ?? []
    this.revoked = facts.judged?.shown.revoked ?? new Map<ContentRoot, readonly Revocation[]>()
    this.ignored = facts.ignored
    this.#facts = facts
  }

  /** For a snapshot. */
  get facts(): Facts {
    return this.#facts
  }

  /** The fold of these ops and some more, without others. This state stays what it is. */
  with(insert: readonly Op[], remove: Iterable<OpId> = []): SpaceState {
    return whileRead(insert, () => this.#with(insert, remove))
  }

  #with(insert: readonly Op[], remove: Iterable<OpId>): SpaceState {
    const facts = this.#facts
    for (const op of insert) invariant(spaceOf(op) === this.space, `${op.id} is no op of the space ${this.space}`)
    const came = new Map(insert.filter(({ id }) => !facts.ops.has(id)).map((op) => [op.id, op]))
    const gone = [...new Set(remove)].flatMap((id) => facts.ops.get(id) ?? [])
    if (came.size + gone.length === 0) return this
    const { changed, judged, ...grown } = grow(
      { ...facts, access: this.policy.access },
      [...came.values()],
      gone,
      GENERATION_KNOWN,
    )
    const changes = new Map([...came.values(), ...gone].map((op) => [op.id, came.has(op.id)]))
    const papers = new Map(
      [...changes].filter(([id]) => isMembershipOp(headerOf((came.get(id) ?? facts.ops.get(id))!))),
    )
    const visibleIds = facts.judged?.visibleIds
    return new SpaceState({
      ...grown,
      init: facts.init,
      opIds: facts.opIds.with(changes, () => grown.ops.keys()),
      paperIds: facts.paperIds.with(papers, () => paperIdsOf(grown.ops)),
      ...(judged !== undefined &&
        visibleIds !== undefined && {
          judged: {
            ...judged,
            visibleIds: visibleIds.with(changed, () => judged.shown.visible.map(({ id }) => id)),
          },
        }),
    })
  }

  /** Sorted by contribution id. */
  get visible(): readonly VisibleContribution[] {
    return this.judged.shown.visible
  }

  find(id: ContributionId): VisibleContribution | undefined {
    return find(this.visible, id)
  }

  /** What a name stands for: more than one id is a conflict. */
  slot(name: Name): readonly ContributionId[] {
    return this.judged.shown.slots.get(name) ?? []
  }

  /** All of them, by name. */
  get slots(): ReadonlyMap<Name, readonly ContributionId[]> {
    const { slots } = this.judged.shown
    const names = (): Name[] => sortedIds(slots.keys()).filter((name) => this.slot(name).length > 0)
    return (this.#slots ??= new Map(names().map((name) => [name, this.slot(name)])))
  }

  /** Names that stand for several. */
  get conflicts(): readonly Name[] {
    return sortedIds(this.visible.filter(({ conflict }) => conflict).map(({ record }) => record.name))
  }

  /** Two spaces of one root show the same contributions. */
  get root(): SetRoot {
    return this.judged.visibleIds.root
  }

  /** Two replicas of one opsRoot have seen the same. */
  get opsRoot(): SetRoot {
    return this.#facts.opIds.root
  }

  /** What the next op says of the membership ops its author has seen. */
  get acl(): SetRoot {
    return this.#facts.paperIds.root
  }

  /** What evidence says of an author's chains. */
  accusationsOf(rid: ReplicaId): readonly Accusation[] {
    return this.#facts.accusations.get(rid) ?? []
  }

  /** Without known rules there is neither root nor anything visible. */
  get hasKnownRules(): boolean {
    return this.#facts.judged !== undefined
  }

  get judged(): Judged {
    if (this.#facts.judged !== undefined) return this.#facts.judged
    throw new TributaryError(
      'RULES_UNKNOWN',
      `the space ${this.space} is folded by rules ${this.policy.rules}, and this replica knows rules ${RULES_KNOWN}`,
      { details: { rules: this.policy.rules, known: RULES_KNOWN }, hint: 'update this replica' },
    )
  }

  /** Where an author's chain of an epoch ends: its latest epoch, where none is named. */
  head(rid: ReplicaId, ep = this.#latestEpoch(rid)): ChainHead {
    return this.#chain(rid, ep)?.head ?? emptyHead(ep)
  }

  /** Has its author signed two ops for one place of this epoch? Nothing it writes there will count. */
  isForked(rid: ReplicaId, ep: number): boolean {
    return (this.#chain(rid, ep)?.forkedAt ?? Infinity) < Infinity
  }

  /** The dots that a slot shows: what the next add to it replaces. */
  dotsIn(name: Name): readonly Dot[] {
    return this.slot(name).flatMap((id) => this.find(id)!.dots)
  }

  #chain(rid: ReplicaId, ep: number): Chain | undefined {
    return this.chains.get(rid)?.epochs.get(ep)
  }

  #latestEpoch(rid: ReplicaId): number {
    return this.chains.get(rid)?.latestEpoch ?? 0
  }
}

/** Would the next op of this author in this epoch (its latest, where none is named) count, if its role allows it? */
function standingOf(state: SpaceState, rid: ReplicaId, ep?: number) {
  const head = state.head(rid, ep)
  if (state.isForked(rid, head.ep)) return 'after_fork'
  return state.judged.authority.standingAt({ rid, ep: head.ep, seq: head.nextSeq })
}

export function mayAdd(state: SpaceState, rid: ReplicaId, ep?: number): boolean {
  const standing = standingOf(state, rid, ep)
  return standing === 'admin' || standing === 'writer'
}

/** May it remove or replace this add? */
export function mayRetract(state: SpaceState, rid: ReplicaId, dot: OpId, ep?: number): boolean {
  const add = state.ops.get(dot)
  if (add?.record.t !== 'add' || state.ignored.has(dot) || !mayAdd(state, rid, ep)) return false
  return mayTake(state.policy.access, () => mayRevoke(state, rid, ep), rid, add.record.rid)
}

/** May it revoke content and give amnesty? */
export const mayRevoke = (state: SpaceState, rid: ReplicaId, ep?: number): boolean =>
  standingOf(state, rid, ep) === 'admin'

export const mayManageMembers = (state: SpaceState, rid: ReplicaId, ep?: number): boolean =>
  state.policy.access === 'members' && mayRevoke(state, rid, ep)
