/**
 * What a space shows when ops begin to count, or no longer do: only the adds are looked at again that these are, name or
 * hide. What comes out is what judging all of them would give (visibility.ts).
 */
import { compareHex } from './bytes.ts'
import { contributionId } from './contribution.ts'
import { entry } from './forks.ts'
import type { ContentRoot, ContributionId, Name, OpId } from './ids.ts'
import { sortedIds } from './merkle.ts'
import type { Op } from './op.ts'
import { headerOf } from './shelved-op.ts'
import {
  type Add,
  contentKey,
  dotOf,
  inOneSlot,
  type Remove,
  type Revocation,
  revocationOf,
  type Revoke,
  type Shown,
  shownBy,
  type VisibleContribution,
} from './visibility.ts'

export interface Turned {
  /** They count now, and did not before. */
  readonly counts: readonly Op[]
  readonly lost: readonly Op[]
  /** They count as before, but may take otherwise. */
  readonly weighed: readonly Op[]
}

export interface Judges {
  /** The add of this dot, if it counts now. */
  readonly countingAdd: (dot: OpId) => Add | undefined
  /** May the author of this op take what that add brought? */
  readonly mayTake: (by: Add | Remove, add: Add) => boolean
}

export interface GrownShown {
  readonly shown: Shown
  /** Contributions that came into sight (true) or left it. */
  readonly changed: ReadonlyMap<ContributionId, boolean>
}

export function growShown(before: Shown, { counts, lost, weighed }: Turned, judges: Judges): GrownShown {
  const growth = new ShownGrowth(before, judges)
  for (const op of lost) growth.lose(op)
  for (const op of counts) growth.count(op)
  for (const op of weighed) growth.lookAgain(op as Add | Remove)
  return growth.end()
}

/** Dots of one contribution that are to be shown, and some that are not. */
interface Change {
  readonly shows: Map<OpId, Add>
  readonly hides: Set<OpId>
}

class ShownGrowth {
  readonly #before: Shown
  readonly #judges: Judges
  readonly #killers = new Map<OpId, readonly (Add | Remove)[] | undefined>()
  readonly #adds = new Map<number, readonly Add[] | undefined>()
  readonly #named = new Set<OpId>()
  readonly #contents = new Set<ContentRoot>()
  readonly #lostAdds = new Map<OpId, Add>()
  readonly #newAdds = new Map<OpId, Add>()
  #revoked: Map<ContentRoot, readonly Revocation[]> | undefined

  constructor(before: Shown, judges: Judges) {
    this.#before = before
    this.#judges = judges
  }

  lose(op: Op): void {
    const { t } = headerOf(op)
    if (t === 'add') {
      const add = op as Add
      this.#lostAdds.set(op.id, add)
      this.#keepAdds(add, (adds) => adds.filter(({ id }) => id !== op.id))
    }
    if (t === 'add' || t === 'remove') this.#name(op as Add | Remove, (by) => by.filter(({ id }) => id !== op.id))
    else if (t === 'revoke') this.#revoke(op as Revoke, (by) => by.filter((one) => one.op !== op.id))
  }

  count(op: Op): void {
    const { t } = headerOf(op)
    if (t === 'add') {
      const add = op as Add
      this.#newAdds.set(op.id, add)
      this.#keepAdds(add, (adds) => [...adds, add])
    }
    if (t === 'add' || t === 'remove') {
      const by = op as Add | Remove
      this.#name(by, (others) => [...others, by])
    } else if (t === 'revoke') {
      const revocation = revocationOf(op as Revoke)
      this.#revoke(op as Revoke, (by) => [...by, revocation].sort((a, b) => compareHex(a.op, b.op)))
    }
  }

  lookAgain(op: Add | Remove): void {
    for (const dot of namedBy(op)) this.#named.add(dot)
  }

  end(): GrownShown {
    const { visible, slots, killers, adds, revoked } = this.#before
    const changes = this.#changes()
    const patch = new Map<ContributionId, VisibleContribution | undefined>()
    const changed = new Map<ContributionId, boolean>()
    const inSlots = new Map<Name, { readonly came: ContributionId[]; readonly went: ContributionId[] }>()
    for (const [id, { shows, hides }] of changes) {
      const there = find(visible, id)
      const dots = (there?.dots ?? []).filter(({ op }) => !hides.has(op) && !shows.has(op))
      const all = [...dots, ...Array.from(shows.values(), dotOf)].sort((a, b) => compareHex(a.op, b.op))
      const first = [...shows.values()][0]
      if (there !== undefined && all.length > 0) patch.set(id, otherwise(there, all, there.conflict))
      else if (first !== undefined) patch.set(id, shownBy(id, first, all, false))
      else if (there !== undefined) patch.set(id, undefined)
      if ((there !== undefined) === all.length > 0) continue
      const { name } = there?.record ?? first!.record.contribution
      const slot = entry(inSlots, name, () => ({ came: [], went: [] }))
      changed.set(id, all.length > 0)
      if (all.length > 0) slot.came.push(id)
      else slot.went.push(id)
    }
    const newSlots = new Map<Name, readonly ContributionId[] | undefined>()
    for (const [name, { came, went }] of inSlots) {
      const before = slots.get(name) ?? []
      const gone = new Set(went)
      const after = [...before.filter((id) => !gone.has(id)), ...came].sort(compareHex)
      newSlots.set(name, after.length > 0 ? after : undefined)
      const conflict = after.length > 1
      for (const id of conflict === before.length > 1 ? came : after) {
        const one = patch.get(id) ?? find(visible, id)!
        if (one.conflict !== conflict) patch.set(id, otherwise(one, one.dots, conflict))
      }
    }
    return {
      shown: {
        visible: patched(visible, patch),
        slots: slots.with(newSlots),
        revoked: this.#revoked ?? revoked,
        killers: killers.with(this.#killers),
        adds: adds.with(this.#adds),
      },
      changed,
    }
  }

  /** What is to be shown and hidden, of all that may be either. */
  #changes(): ReadonlyMap<ContributionId, Change> {
    const candidates = new Map(this.#newAdds)
    for (const dot of this.#named) {
      const add = this.#judges.countingAdd(dot)
      if (add !== undefined) candidates.set(dot, add)
    }
    for (const content of this.#contents)
      for (const add of this.#addsAt(contentKey(content)))
        if (add.record.contribution.content === content) candidates.set(add.id, add)
    const changes = new Map<ContributionId, Change>()
    const changeOf = (add: Add): Change =>
      entry(changes, contributionId(add.record.contribution), () => ({ shows: new Map(), hides: new Set() }))
    for (const [id, add] of this.#lostAdds) changeOf(add).hides.add(id)
    for (const [id, add] of candidates)
      if (this.#isShown(add)) changeOf(add).shows.set(id, add)
      else changeOf(add).hides.add(id)
    return changes
  }

  #isShown(add: Add): boolean {
    if ((this.#revoked ?? this.#before.revoked).has(add.record.contribution.content)) return false
    return !this.#killersOf(add.id).some(
      (by) => (headerOf(by).t === 'remove' || inOneSlot(by as Add, add)) && this.#judges.mayTake(by, add),
    )
  }

  #killersOf(dot: OpId): readonly (Add | Remove)[] {
    return (this.#killers.has(dot) ? this.#killers.get(dot) : this.#before.killers.get(dot)) ?? []
  }

  #name(op: Add | Remove, change: (by: readonly (Add | Remove)[]) => readonly (Add | Remove)[]): void {
    for (const dot of namedBy(op)) {
      this.#named.add(dot)
      const by = change(this.#killersOf(dot))
      this.#killers.set(dot, by.length > 0 ? by : undefined)
    }
  }

  #addsAt(key: number): readonly Add[] {
    return (this.#adds.has(key) ? this.#adds.get(key) : this.#before.adds.get(key)) ?? []
  }

  #keepAdds(add: Add, change: (adds: readonly Add[]) => readonly Add[]): void {
    const key = contentKey(add.record.contribution.content)
    const adds = change(this.#addsAt(key))
    this.#adds.set(key, adds.length > 0 ? adds : undefined)
  }

  #revoke({ record }: Revoke, change: (by: readonly Revocation[]) => readonly Revocation[]): void {
    const { content } = record
    this.#revoked ??= new Map(this.#before.revoked)
    const by = change(this.#revoked.get(content) ?? [])
    if (by.length > 0) this.#revoked.set(content, by)
    else this.#revoked.delete(content)
    this.#contents.add(content)
  }
}

const namedBy = ({ record }: Add | Remove): readonly OpId[] => (record.t === 'add' ? record.replaces : record.dots)

const otherwise = (
  one: VisibleContribution,
  dots: VisibleContribution['dots'],
  conflict: boolean,
): VisibleContribution => ({ id: one.id, record: one.record, dots, conflict })

/** Where the contribution of this id is, or would be, from a place on. */
export function placeOf(visible: readonly VisibleContribution[], id: ContributionId, from = 0): number {
  let [low, high] = [from, visible.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (visible[middle]!.id < id) low = middle + 1
    else high = middle
  }
  return low
}

export function find(visible: readonly VisibleContribution[], id: ContributionId): VisibleContribution | undefined {
  const found = visible[placeOf(visible, id)]
  return found?.id === id ? found : undefined
}

function patched(
  before: readonly VisibleContribution[],
  patch: ReadonlyMap<ContributionId, VisibleContribution | undefined>,
): readonly VisibleContribution[] {
  if (patch.size === 0) return before
  const after = new Array<VisibleContribution>(before.length + patch.size)
  let from = 0
  let to = 0
  for (const id of sortedIds(patch.keys())) {
    const at = placeOf(before, id, from)
    while (from < at) after[to++] = before[from++]!
    if (before[at]?.id === id) from += 1
    const one = patch.get(id)
    if (one !== undefined) after[to++] = one
  }
  while (from < before.length) after[to++] = before[from++]!
  after.length = to
  return after
}
