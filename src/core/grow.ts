/**
 * What a space shows when some more ops come, without folding all of it again: ops that go on at the end of an unforked
 * chain and touch nobody's standing. Anything else answers undefined, and the fold decides (or-set.ts).
 */
import { compareHex } from './bytes.ts'
import { contributionId } from './contribution.ts'
import { type AuthorChains, type Chains, withChain } from './forks.ts'
import type { ContentRoot, ContributionId, Name, OpId, ReplicaId } from './ids.ts'
import type { LayeredMap } from './layered-map.ts'
import type { Authority } from './membership.ts'
import { type Op, prevOf } from './op.ts'
import { isInert, type Policy } from './op-schemas.ts'
import {
  type Add,
  dotOf,
  type Ignored,
  ignoredFor,
  inOneSlot,
  isOf,
  mayTake,
  type Remove,
  type Revocation,
  revocationOf,
  type Revoke,
  type Shown,
  shownAs,
  type VisibleContribution,
} from './visibility.ts'

export interface Folded {
  readonly access: Policy['access']
  readonly ops: LayeredMap<OpId, Op>
  readonly chains: Chains
  readonly authority: Authority
  readonly shown: Shown
  /** Authors of ops that wait for the ones before them: what comes may set them free. */
  readonly gapped: ReadonlySet<ReplicaId>
}

export interface Grown {
  readonly ops: LayeredMap<OpId, Op>
  readonly chains: Chains
  readonly shown: Shown
  /** Contributions that came into sight (true) or left it. */
  readonly changed: ReadonlyMap<ContributionId, boolean>
}

export function grow(before: Folded, ops: Iterable<Op>, generation: number): Grown | undefined {
  const growth = new Growth(before)
  // each after the one before it in its chain; beyond that the order does not matter
  for (const op of [...ops].sort((a, b) => a.record.seq - b.record.seq))
    if (!growth.append(op, generation)) return undefined
  return growth.end()
}

class Growth {
  readonly #before: Folded
  readonly #ops = new Map<OpId, Op>()
  readonly #chains = new Map<ReplicaId, AuthorChains>()
  readonly #ignored = new Map<OpId, Ignored>()
  readonly #awaited = new Map<OpId, readonly (Add | Remove)[]>()
  readonly #slots = new Map<Name, readonly ContributionId[]>()
  readonly #changed = new Map<ContributionId, boolean>()
  readonly #visible: VisibleContribution[]
  #revoked: Map<ContentRoot, readonly Revocation[]> | undefined

  constructor(before: Folded) {
    this.#before = before
    this.#visible = [...before.shown.visible]
  }

  /** False where the fold must decide. */
  append(op: Op, generation: number): boolean {
    const { ops, authority, gapped } = this.#before
    if (ops.has(op.id) || this.#ops.has(op.id)) return true
    const { record } = op
    const isPlain = record.t === 'add' || record.t === 'remove' || record.t === 'revoke' || isInert(record)
    if (!isPlain || record.g !== generation || gapped.has(record.rid) || !this.#follows(op)) return false
    this.#ops.set(op.id, op)
    const ignored = ignoredFor(op, authority)
    if (ignored !== undefined) this.#ignored.set(op.id, ignored)
    else if (isOf(op, 'add')) this.#add(op)
    else if (isOf(op, 'remove')) this.#remove(op)
    else if (isOf(op, 'revoke')) this.#revoke(op)
    return true
  }

  end(): Grown {
    const { ops, chains, shown } = this.#before
    return {
      ops: ops.with(this.#ops),
      chains: new Map([...chains, ...this.#chains]),
      shown: {
        visible: this.#visible,
        slots: shown.slots.with(this.#slots),
        revoked: this.#revoked ?? shown.revoked,
        ignored: shown.ignored.with(this.#ignored),
        awaited: shown.awaited.with(this.#awaited),
      },
      changed: this.#changed,
    }
  }

  /** Goes on at the end of its chain, if the op belongs there. */
  #follows(op: Op): boolean {
    const { rid, ep, seq, hlc } = op.record
    const author = this.#chains.get(rid) ?? this.#before.chains.get(rid)
    const chain = author?.epochs.get(ep)
    const { nextSeq, lastId } = chain?.head ?? { nextSeq: 0, lastId: undefined }
    if ((chain?.forkedAt ?? Infinity) < Infinity || seq !== nextSeq || prevOf(op) !== lastId) return false
    const head = { ep, nextSeq: seq + 1, lastId: op.id, lastHlc: hlc }
    this.#chains.set(rid, withChain(author, { rid, ep, forkedAt: Infinity, head }))
    return true
  }

  #add(add: Add): void {
    const { content } = add.record.contribution
    const isRevoked = (this.#revoked ?? this.#before.shown.revoked).has(content)
    if (!isRevoked && !this.#awaiting(add.id).some((by) => this.#kills(by, add))) this.#show(add)
    this.#kill(add, add.record.replaces)
  }

  #remove(remove: Remove): void {
    this.#kill(remove, remove.record.dots)
  }

  #kill(by: Add | Remove, dots: readonly OpId[]): void {
    for (const dot of dots) {
      const add = this.#countingAdd(dot)
      if (add === undefined) this.#awaited.set(dot, [...this.#awaiting(dot), by])
      else if (this.#kills(by, add)) this.#hide(add)
    }
  }

  #kills(by: Add | Remove, add: Add): boolean {
    const { access, authority } = this.#before
    if (isOf(by, 'add') && !inOneSlot(by, add)) return false
    return mayTake(access, () => authority.standingAt(by.record) === 'admin', by.record.rid, add.record.rid)
  }

  #revoke(revoke: Revoke): void {
    const { content } = revoke.record
    this.#revoked ??= new Map(this.#before.shown.revoked)
    const others = this.#revoked.get(content)
    const all = [...(others ?? []), revocationOf(revoke)].sort((a, b) => compareHex(a.op, b.op))
    this.#revoked.set(content, all)
    if (others !== undefined) return
    for (const one of this.#visible.filter(({ record }) => record.content === content)) this.#drop(one)
  }

  #awaiting(dot: OpId): readonly (Add | Remove)[] {
    return this.#awaited.get(dot) ?? this.#before.shown.awaited.get(dot) ?? []
  }

  #countingAdd(dot: OpId): Add | undefined {
    const op = this.#ops.get(dot) ?? this.#before.ops.get(dot)
    if (op === undefined || !isOf(op, 'add')) return undefined
    return this.#ignored.has(dot) || this.#before.shown.ignored.has(dot) ? undefined : op
  }

  #show(add: Add): void {
    const record = add.record.contribution
    const id = contributionId(record)
    const at = placeOf(this.#visible, id)
    const there = this.#visible[at]
    if (there?.id === id) {
      const dots = [...there.dots, dotOf(add)].sort((a, b) => compareHex(a.op, b.op))
      this.#visible[at] = shownAs(there, { dots })
      return
    }
    const ids = [...this.#slot(record.name), id].sort(compareHex)
    this.#visible.splice(at, 0, { id, record, dots: [dotOf(add)], conflict: ids.length > 1 })
    this.#changed.set(id, true)
    this.#setSlot(record.name, ids)
  }

  #hide(add: Add): void {
    const at = placeOf(this.#visible, contributionId(add.record.contribution))
    const there = this.#visible[at]
    if (there === undefined || !there.dots.some(({ op }) => op === add.id)) return
    if (there.dots.length === 1) this.#drop(there)
    else this.#visible[at] = shownAs(there, { dots: there.dots.filter(({ op }) => op !== add.id) })
  }

  #drop({ id, record: { name } }: VisibleContribution): void {
    this.#visible.splice(placeOf(this.#visible, id), 1)
    this.#changed.set(id, false)
    this.#setSlot(
      name,
      this.#slot(name).filter((one) => one !== id),
    )
  }

  #slot(name: Name): readonly ContributionId[] {
    return this.#slots.get(name) ?? this.#before.shown.slots.get(name) ?? []
  }

  #setSlot(name: Name, ids: readonly ContributionId[]): void {
    this.#slots.set(name, ids)
    if (ids.length > 2) return // others were in conflict before, and still are
    for (const id of ids) {
      const at = placeOf(this.#visible, id)
      this.#visible[at] = shownAs(this.#visible[at]!, { conflict: ids.length > 1 })
    }
  }
}

/** Where the contribution of this id is, or would be. */
export function placeOf(visible: readonly VisibleContribution[], id: ContributionId): number {
  let [low, high] = [0, visible.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (visible[middle]!.id < id) low = middle + 1
    else high = middle
  }
  return low
}
