/**
 * Which contributions a space shows, once chains and membership are settled: the observed-remove set, with replacement
 * in slots and with revocation. Each rule is one function.
 */
import { compareHex } from './bytes.ts'
import { contributionId, type ContributionRecord } from './contribution.ts'
import { listAt, type WalkedChains } from './forks.ts'
import type { ContentRoot, ContributionId, Name, OpId, ReplicaId } from './ids.ts'
import type { Authority } from './membership.ts'
import type { LayeredMap } from './layered-map.ts'
import type { Op } from './op.ts'
import { type AddBody, type Envelope, hasMeaning, type OpRecord, type Policy } from './op-schemas.ts'
import type { RemoveBody, RevokeBody } from './op-schemas.ts'
import { headerOf, type OpHeader, ShelvedOp } from './shelved-op.ts'

/** Why an op has no effect. */
export type Ignored =
  | 'forked' // at or after a place for which its author signed two ops
  | 'after_fork' // in an epoch after a forked one, without amnesty
  | 'detached' // what its author wrote before it is not here
  | 'generation' // of a generation that the space has not reached
  | 'removed' // its author was no longer a member
  | 'not_a_member'
  | 'not_allowed' // its author's role is too low
  | 'inert' // of a type that these rules give no meaning to

/** One add of a contribution: the name by which a remove kills it. */
export interface Dot {
  readonly op: OpId
  readonly author: ReplicaId
  readonly hlc: number
}

export interface VisibleContribution {
  readonly id: ContributionId
  readonly record: ContributionRecord
  readonly dots: readonly Dot[]
  /** Its slot shows another contribution as well. */
  readonly conflict: boolean
}

/** One that was shown by an add: the record is read when somebody asks. */
export class ShownAdd implements VisibleContribution {
  readonly id: ContributionId
  readonly dots: readonly Dot[]
  readonly conflict: boolean
  readonly #add: Add
  #record: ContributionRecord | undefined

  constructor(id: ContributionId, add: Add, dots: readonly Dot[], conflict: boolean) {
    this.id = id
    this.dots = dots
    this.conflict = conflict
    this.#add = add
  }

  get record(): ContributionRecord {
    return (this.#record ??= this.#add.record.contribution)
  }
}

/** What an add shows, under this id. A record that lies on a shelf stays there until somebody asks. */
export const shownBy = (id: ContributionId, add: Add, dots: readonly Dot[], conflict: boolean): VisibleContribution =>
  add instanceof ShelvedOp
    ? new ShownAdd(id, add, dots, conflict)
    : { id, record: add.record.contribution, dots, conflict }

export interface Revocation {
  readonly op: OpId
  readonly by: ReplicaId
  readonly hlc: number
  readonly reason?: string
}

export type Add = Op<Envelope & AddBody>
export type Remove = Op<Envelope & RemoveBody>
export type Revoke = Op<Envelope & RevokeBody>

/** What a space shows, and what is needed to show what more ops make of it (grow.ts). */
export interface Shown {
  /** Sorted by id. */
  readonly visible: readonly VisibleContribution[]
  readonly slots: LayeredMap<Name, readonly ContributionId[]>
  readonly revoked: ReadonlyMap<ContentRoot, readonly Revocation[]>
  /** By each dot that is named, whether it is here or not: ops that count and would kill it, if they may. */
  readonly killers: LayeredMap<OpId, readonly (Add | Remove)[]>
  /** Adds that count, shown or not, by `contentKey`. */
  readonly adds: LayeredMap<number, readonly Add[]>
}

/** Few contents share one: a number takes a tenth of the room. */
export const contentKey = (content: ContentRoot): number => parseInt(content.slice(0, 7), 16)

/** Who may write at all may take away what its own key added, in an open space anything, an admin anything. */
export const mayTake = (access: Policy['access'], isAdmin: () => boolean, by: ReplicaId, addedBy: ReplicaId): boolean =>
  access === 'open' || by === addedBy || isAdmin()

/** Why this op has no effect, or undefined where it has one. */
export function ignoredFor(id: OpId, header: OpHeader, authority: Authority): Ignored | undefined {
  const { t } = header
  if (t === 'space.init' || t === 'evidence') return undefined // they prove themselves
  if (!hasMeaning(t)) return 'inert'
  if (authority.isEffective(id)) return undefined // a removal may be, though its author's own standing is undecided
  const standing = authority.standingAt(header)
  if (standing === 'after_fork' || standing === 'removed' || standing === 'not_a_member') return standing
  if (t === 'add' || t === 'remove') return standing === 'reader' ? 'not_allowed' : undefined
  return t === 'revoke' && standing === 'admin' ? undefined : 'not_allowed'
}

export class Visibility {
  readonly killers = new Map<OpId, (Add | Remove)[]>()
  readonly addsByContent = new Map<number, Add[]>()
  readonly revoked = new Map<ContentRoot, Revocation[]>()
  readonly ignored = new Map<OpId, Ignored>()
  readonly visible: readonly VisibleContribution[]
  readonly slots: ReadonlyMap<Name, readonly ContributionId[]>

  readonly #access: Policy['access']
  readonly #authority: Authority
  /** All adds that count, whether or not they are still visible. */
  readonly #adds = new Map<OpId, Add>()
  readonly #killed = new Set<OpId>()

  constructor(access: Policy['access'], chains: WalkedChains, authority: Authority) {
    this.#access = access
    this.#authority = authority
    const removes: Remove[] = []
    const revokes: Revoke[] = []
    for (const op of countingOps(chains)) {
      const ignored = ignoredFor(op.id, headerOf(op), authority)
      if (ignored !== undefined) this.ignored.set(op.id, ignored)
      else if (isOf(op, 'add')) this.#add(op)
      else if (isOf(op, 'remove')) removes.push(op)
      else if (isOf(op, 'revoke')) revokes.push(op)
    }
    for (const remove of removes) this.#remove(remove)
    for (const add of this.#adds.values()) this.#replace(add)
    for (const revoke of revokes.sort((a, b) => compareHex(a.id, b.id))) this.#revoke(revoke)
    const shown = this.#shown()
    this.slots = slotsOf(shown)
    // sorted last: walking the ops in the order in which they lie in memory takes half the time
    this.visible = Array.from(shown, ([id, adds]) => {
      const record = adds[0]!.record.contribution
      return { id, record, dots: dotsOf(adds), conflict: this.slots.get(record.name)!.length > 1 }
    }).sort((a, b) => compareHex(a.id, b.id))
  }

  #add(add: Add): void {
    this.#adds.set(add.id, add)
    listAt(this.addsByContent, contentKey(add.record.contribution.content), add)
  }

  /** A remove kills the dots it names, and so an add that it did not see survives. */
  #remove(remove: Remove): void {
    for (const dot of remove.record.dots) {
      listAt(this.killers, dot, remove)
      const add = this.#adds.get(dot)
      if (add !== undefined && this.#mayTake(remove, add)) this.#killed.add(dot)
    }
  }

  /** An add takes the place of dots in its own slot; killed itself, it has still taken it. */
  #replace(by: Add): void {
    for (const dot of by.record.replaces) {
      listAt(this.killers, dot, by)
      const add = this.#adds.get(dot)
      if (add !== undefined && inOneSlot(by, add) && this.#mayTake(by, add)) this.#killed.add(dot)
    }
  }

  #revoke(revoke: Revoke): void {
    listAt(this.revoked, revoke.record.content, revocationOf(revoke))
  }

  #mayTake({ record }: Add | Remove, add: Add): boolean {
    return mayTake(this.#access, () => this.#authority.standingAt(record) === 'admin', record.rid, add.record.rid)
  }

  /** Adds of one record are one contribution with several dots. */
  #shown(): ReadonlyMap<ContributionId, readonly Add[]> {
    const shown = new Map<ContributionId, Add[]>()
    for (const add of this.#adds.values()) {
      const { contribution } = add.record
      if (this.#killed.has(add.id) || this.revoked.has(contribution.content)) continue
      listAt(shown, contributionId(contribution), add)
    }
    return shown
  }
}

function slotsOf(shown: ReadonlyMap<ContributionId, readonly Add[]>): ReadonlyMap<Name, readonly ContributionId[]> {
  const slots = new Map<Name, ContributionId[]>()
  for (const [id, adds] of shown) listAt(slots, adds[0]!.record.contribution.name, id)
  for (const ids of slots.values()) ids.sort(compareHex)
  return slots
}

export const inOneSlot = (a: Add, b: Add): boolean => a.record.contribution.name === b.record.contribution.name

export const revocationOf = ({ id, record: { rid, hlc, reason } }: Revoke): Revocation => ({
  op: id,
  by: rid,
  hlc,
  ...(reason !== undefined && { reason }),
})

export const dotOf = ({ id, record }: Add): Dot => ({ op: id, author: record.rid, hlc: record.hlc })

const dotsOf = (adds: readonly Add[]): readonly Dot[] => adds.map(dotOf).sort((a, b) => compareHex(a.op, b.op))

export const isOf = <T extends OpRecord['t']>(op: Op, t: T): op is Op<Extract<OpRecord, { readonly t: T }>> =>
  op.record.t === t

function* countingOps(chains: WalkedChains): Iterable<Op> {
  for (const { epochs } of chains.values()) for (const chain of epochs.values()) yield* chain.ops
}
