/**
 * The fold: what a space is, given the ops seen. A pure function of the set of ops: their order, their repetition and
 * their clocks do not matter. An add wins against a remove that did not see it; a revoke wins against every add, for ever.
 */
import { type ChainHead, emptyHead } from './author.ts'
import { TributaryError } from './errors.ts'
import { type Chain, type Chains, chainsOf } from './forks.ts'
import type { ContentRoot, ContributionId, Name, OpId, ReplicaId, SetRoot, SpaceId } from './ids.ts'
import { invariant } from './invariant.ts'
import { type Authority, judgeMembership, type Member } from './membership.ts'
import { setRoot } from './merkle.ts'
import { aclOf, isSpaceInit, type Op, spaceIdOf, spaceOf } from './op.ts'
import { isMembershipOp, type Policy, type SpaceInitRecord } from './op-schemas.ts'
import { type Dot, type Ignored, mayTake, type Revocation, Visibility, type VisibleContribution } from './visibility.ts'

const RULES_KNOWN = 1
/** A later one begins with an op type that these rules do not know. */
const GENERATION_KNOWN = 0

/** Verified ops of one space, its first among them. */
export function fold(ops: Iterable<Op>): SpaceState {
  const opsById = new Map<OpId, Op>()
  let init: Op<SpaceInitRecord> | undefined
  for (const op of ops) {
    opsById.set(op.id, op)
    if (isSpaceInit(op)) init = op
  }
  if (init === undefined) throw new TributaryError('SPACE_NOT_FOUND', 'the first op of this space is not here')
  return new SpaceState(init, opsById)
}

/** Computed once; what is costly and not always wanted (roots) when it is first asked for. */
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

  readonly #judged: { readonly authority: Authority; readonly visibility: Visibility } | undefined
  #root: SetRoot | undefined
  #opsRoot: SetRoot | undefined
  #acl: SetRoot | undefined

  constructor(init: Op<SpaceInitRecord>, ops: ReadonlyMap<OpId, Op>) {
    const { rid, name, policy, base } = init.record
    this.space = spaceIdOf(init)
    this.name = name
    this.creator = rid
    this.policy = policy
    this.base = base
    this.ops = ops
    for (const op of ops.values()) invariant(spaceOf(op) === this.space, `${op.id} is no op of the space ${this.space}`)
    this.chains = chainsOf(ops.values(), GENERATION_KNOWN)

    if (policy.rules === RULES_KNOWN) {
      const authority = judgeMembership(rid, policy.access, this.chains)
      this.#judged = { authority, visibility: new Visibility(policy.access, this.chains, authority) }
    }
    this.members = this.#judged?.authority.members ?? []
    this.revoked = this.#judged?.visibility.revoked ?? new Map<ContentRoot, readonly Revocation[]>()
    this.ignored = new Map([...this.#uncounted(), ...(this.#judged?.visibility.ignored ?? [])])
  }

  /** Sorted by contribution id. */
  get visible(): readonly VisibleContribution[] {
    return this.judged.visibility.visible
  }

  /** What each name stands for: more than one id is a conflict. */
  get slots(): ReadonlyMap<Name, readonly ContributionId[]> {
    return this.judged.visibility.slots
  }

  /** Two spaces of one root show the same contributions. */
  get root(): SetRoot {
    return (this.#root ??= setRoot(this.visible.map(({ id }) => id)))
  }

  /** Two replicas of one opsRoot have seen the same. */
  get opsRoot(): SetRoot {
    return (this.#opsRoot ??= setRoot(this.ops.keys()))
  }

  /** What the next op says of the membership ops its author has seen. */
  get acl(): SetRoot {
    const seen = [...this.ops.values()].filter(({ record }) => isMembershipOp(record))
    return (this.#acl ??= aclOf(seen.map(({ id }) => id)))
  }

  /** Without known rules there is neither root nor anything visible. */
  get hasKnownRules(): boolean {
    return this.#judged !== undefined
  }

  get judged(): { readonly authority: Authority; readonly visibility: Visibility } {
    if (this.#judged !== undefined) return this.#judged
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
    return this.visible.filter(({ record }) => record.name === name).flatMap(({ dots }) => dots)
  }

  #chain(rid: ReplicaId, ep: number): Chain | undefined {
    return this.chains.get(rid)?.epochs.get(ep)
  }

  #latestEpoch(rid: ReplicaId): number {
    return this.chains.get(rid)?.latestEpoch ?? 0
  }

  /** Ops outside the chains that count. An evidence does its work wherever it stands. */
  *#uncounted(): Iterable<[OpId, Ignored]> {
    for (const { id, record } of this.ops.values()) {
      if (record.t === 'space.init' || record.t === 'evidence') continue
      const chain = this.#chain(record.rid, record.ep)
      if (record.g !== GENERATION_KNOWN || chain === undefined) yield [id, 'generation']
      else if (record.seq >= chain.forkedAt) yield [id, 'forked']
      else if (record.seq >= chain.ops.length) yield [id, 'detached']
    }
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
  const add = state.judged.visibility.adds.get(dot)
  if (add === undefined || !mayAdd(state, rid, ep)) return false
  return mayTake(state.policy.access, () => mayRevoke(state, rid, ep), rid, add.record.rid)
}

/** May it revoke content and give amnesty? */
export const mayRevoke = (state: SpaceState, rid: ReplicaId, ep?: number): boolean =>
  standingOf(state, rid, ep) === 'admin'

export const mayManageMembers = (state: SpaceState, rid: ReplicaId, ep?: number): boolean =>
  state.policy.access === 'members' && mayRevoke(state, rid, ep)
