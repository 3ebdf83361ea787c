/**
 * A folded space when ops come and go: chains first, then who may do what, then what that shows. Each looks at what the
 * one before it touched, and at nothing else; the fold of all ops (or-set.ts) gives the same.
 */
import type { ContributionId, OpId, ReplicaId } from './ids.ts'
import { type ChainFacts, growChains, type GrownChains } from './grow-chains.ts'
import { growAuthority, type GrownAuthority } from './grow-membership.ts'
import { growShown } from './grow-shown.ts'
import type { LayeredMap } from './layered-map.ts'
import type { Authority } from './membership.ts'
import type { Op } from './op.ts'
import type { Policy } from './op-schemas.ts'
import { headerOf, whileRead } from './shelved-op.ts'
import { type Add, type Ignored, ignoredFor, mayTake, type Shown } from './visibility.ts'

export interface Folded extends ChainFacts {
  readonly access: Policy['access']
  readonly ignored: LayeredMap<OpId, Ignored>
  /** Undefined where the rules are not known. */
  readonly judged?: { readonly authority: Authority; readonly shown: Shown } | undefined
}

export interface Grown extends Omit<Folded, 'access'> {
  /** Contributions that came into sight (true) or left it. */
  readonly changed: ReadonlyMap<ContributionId, boolean>
}

/** Ops that are not here yet, and some that are. */
export function grow(before: Folded, insert: readonly Op[], remove: readonly Op[], generation: number): Grown {
  const chains = growChains(before, insert, remove, generation)
  const { ops, strays, accusations, entered, outside } = chains
  const facts = { ops, chains: chains.chains, strays, accusations }
  if (before.judged === undefined) {
    const ignored = new Map([...outside, ...entered.map(({ id }) => [id, undefined] as const)])
    return { ...facts, ignored: before.ignored.with(ignored), judged: undefined, changed: new Map() }
  }
  const grown = growAuthority(before.judged.authority, chains)
  const { authority } = grown
  const turned = new Judging(before, before.judged.authority, chains, grown).turned()
  const ignored = before.ignored.with(turned.ignored)
  const countingAdd = (dot: OpId): Add | undefined => {
    const op = ops.get(dot)
    return op !== undefined && headerOf(op).t === 'add' && !ignored.has(dot) ? (op as Add) : undefined
  }
  const judges = {
    countingAdd,
    mayTake: (by: Op, add: Op) => {
      const place = headerOf(by)
      return mayTake(before.access, () => authority.standingAt(place) === 'admin', place.rid, headerOf(add).rid)
    },
  }
  const { shown } = before.judged
  const all = [...turned.counts, ...turned.lost]
  const { changed, ...more } = whileRead(all, () => growShown(shown, turned, judges))
  return { ...facts, ignored, judged: { authority, shown: more.shown }, changed }
}

/** Which links of chains count otherwise than before. */
class Judging {
  readonly #before: Folded
  readonly #authorityBefore: Authority
  readonly #chains: GrownChains
  readonly #grown: GrownAuthority
  readonly ignored: Map<OpId, Ignored | undefined>
  readonly counts: Op[] = []
  readonly lost: Op[] = []
  readonly weighed: Op[] = []

  constructor(before: Folded, authorityBefore: Authority, chains: GrownChains, grown: GrownAuthority) {
    this.#before = before
    this.#authorityBefore = authorityBefore
    this.#chains = chains
    this.#grown = grown
    this.ignored = new Map(chains.outside)
  }

  turned(): this {
    const { left, entered } = this.#chains
    for (const op of left) if (!this.#before.ignored.has(op.id)) this.lost.push(op)
    for (const op of entered) {
      const why = this.#ignoredFor(op)
      this.ignored.set(op.id, why)
      if (why === undefined) this.counts.push(op)
    }
    const judged = new Set([...entered, ...left].map(({ id }) => id))
    const { touched, turned } = this.#grown
    for (const rid of touched) for (const op of this.#linksOf(rid)) if (!judged.has(op.id)) this.#judge(op)
    for (const op of turned) if (!judged.has(op.id) && !touched.has(op.record.rid)) this.#judge(op)
    return this
  }

  /** A link before and now. */
  #judge(op: Op): void {
    const was = this.#before.ignored.get(op.id)
    const why = this.#ignoredFor(op)
    if (why === was) {
      if (why === undefined && this.#takesOtherwise(op)) this.weighed.push(op)
      return
    }
    this.ignored.set(op.id, why)
    if (was === undefined) this.lost.push(op)
    else if (why === undefined) this.counts.push(op)
  }

  #ignoredFor(op: Op): Ignored | undefined {
    return ignoredFor(op.id, headerOf(op), this.#grown.authority)
  }

  /** Whether its author is an admin decides what an op may take from others. */
  #takesOtherwise(op: Op): boolean {
    const place = headerOf(op)
    if (this.#before.access === 'open' || (place.t !== 'add' && place.t !== 'remove')) return false
    const isAdmin = (authority: Authority): boolean => authority.standingAt(place) === 'admin'
    return isAdmin(this.#authorityBefore) !== isAdmin(this.#grown.authority)
  }

  *#linksOf(rid: ReplicaId): Iterable<Op> {
    const { chains, ops } = this.#chains
    for (const { head } of chains.get(rid)?.epochs.values() ?? [])
      for (let id = head.lastId; id !== undefined;) {
        const op = ops.get(id)!
        yield op
        id = headerOf(op).prev
      }
  }
}
