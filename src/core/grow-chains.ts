/**
 * Chains when ops come and go: each that is touched is walked again from where it changes, and no other is looked at.
 * What comes out is what walking all of them would give (forks.ts).
 */
import {
  type Accusation,
  accusationIn,
  type AuthorChains,
  type Chains,
  entry,
  withChain,
  withoutChain,
} from './forks.ts'
import type { OpId, ReplicaId } from './ids.ts'
import type { LayeredMap } from './layered-map.ts'
import type { Op } from './op.ts'
import { headerOf } from './shelved-op.ts'
import type { Ignored } from './visibility.ts'

export interface ChainFacts {
  readonly ops: LayeredMap<OpId, Op>
  readonly chains: Chains
  /** Ops of each author that are no links of its chains: behind a fork or a gap. */
  readonly strays: LayeredMap<ReplicaId, readonly Op[]>
  /** Of each author's chains. */
  readonly accusations: LayeredMap<ReplicaId, readonly Accusation[]>
}

export interface GrownChains extends ChainFacts {
  /** Links of their chains now, and not before. */
  readonly entered: readonly Op[]
  /** Links before, and not now. */
  readonly left: readonly Op[]
  /** Why ops that are no links have no effect; undefined for those that are not here any more. */
  readonly outside: ReadonlyMap<OpId, Ignored | undefined>
  /** Authors of whom other epochs are forked than before. */
  readonly reforked: ReadonlySet<ReplicaId>
}

/** Ops that are not here yet, and some that are. */
export function growChains(
  before: ChainFacts,
  insert: Iterable<Op>,
  remove: Iterable<Op>,
  generation: number,
): GrownChains {
  const growth = new ChainGrowth(before, generation)
  for (const op of insert) growth.come(op)
  for (const op of remove) growth.go(op)
  return growth.end()
}

/** What one chain gets and loses. */
interface Touched {
  readonly came: Op[]
  readonly gone: Op[]
}

class ChainGrowth {
  readonly #before: ChainFacts
  readonly #generation: number
  readonly #ops = new Map<OpId, Op | undefined>()
  readonly #touched = new Map<ReplicaId, Map<number, Touched>>()
  readonly #accusations = new Map<ReplicaId, readonly Accusation[]>()
  readonly #entered: Op[] = []
  readonly #left: Op[] = []
  readonly #outside = new Map<OpId, Ignored | undefined>()

  constructor(before: ChainFacts, generation: number) {
    this.#before = before
    this.#generation = generation
  }

  come(op: Op): void {
    this.#ops.set(op.id, op)
    const { g, rid, ep } = op.record
    if (g !== this.#generation) this.#leaveOut(op, 'generation')
    else this.#chain(rid, ep).came.push(op)
    this.#accuse(op, (accusations, accusation) => [...accusations, accusation])
  }

  go(op: Op): void {
    this.#ops.set(op.id, undefined)
    this.#outside.set(op.id, undefined)
    const { g, rid, ep } = op.record
    if (g === this.#generation) this.#chain(rid, ep).gone.push(op)
    this.#accuse(op, (accusations) => accusations.filter(({ by }) => by !== op.id))
  }

  end(): GrownChains {
    const { ops, strays, accusations } = this.#before
    const chains = new Map(this.#before.chains)
    const newStrays = new Map<ReplicaId, readonly Op[] | undefined>()
    const reforked = new Set<ReplicaId>()
    for (const [rid, epochs] of this.#touched) {
      const before = chains.get(rid)
      let after = before
      let outside = strays.get(rid) ?? []
      for (const [ep, touched] of epochs) {
        const isOfChain = (op: Op): boolean => headerOf(op).ep === ep
        const walked = this.#walk(rid, ep, after, outside.filter(isOfChain), touched)
        after = walked.author
        if (outside.length + walked.strays.length > 0)
          outside = [...outside.filter((op) => !isOfChain(op)), ...walked.strays]
      }
      if (after === undefined) chains.delete(rid)
      else chains.set(rid, after)
      if (strays.has(rid) || outside.length > 0) newStrays.set(rid, outside.length > 0 ? outside : undefined)
      const [were, are] = [before?.forkedEpochs ?? [], after?.forkedEpochs ?? []]
      if (were.length !== are.length || were.some((ep, i) => ep !== are[i])) reforked.add(rid)
    }
    const accused = [...this.#accusations].map(([rid, all]) => [rid, all.length > 0 ? all : undefined] as const)
    return {
      ops: ops.with(this.#ops),
      chains,
      strays: strays.with(newStrays),
      accusations: accusations.with(new Map(accused)),
      entered: this.#entered,
      left: this.#left,
      outside: this.#outside,
      reforked,
    }
  }

  #chain(rid: ReplicaId, ep: number): Touched {
    const epochs = entry(this.#touched, rid, () => new Map<number, Touched>())
    return entry(epochs, ep, () => ({ came: [], gone: [] }))
  }

  #accusationsOf(rid: ReplicaId): readonly Accusation[] {
    return this.#accusations.get(rid) ?? this.#before.accusations.get(rid) ?? []
  }

  #accuse(op: Op, change: (all: readonly Accusation[], one: Accusation) => readonly Accusation[]): void {
    const accusation = accusationIn(op, this.#generation)
    if (accusation === undefined) return
    const { rid, ep } = accusation
    this.#chain(rid, ep)
    this.#accusations.set(rid, change(this.#accusationsOf(rid), accusation))
  }

  /** An evidence does its work wherever it stands. */
  #leaveOut(op: Op, why: Ignored): void {
    const { t } = headerOf(op)
    if (t !== 'space.init' && t !== 'evidence') this.#outside.set(op.id, why)
  }

  /** The author's chains with this one as it is now, and the ops of it that are no links. */
  #walk(
    rid: ReplicaId,
    ep: number,
    before: AuthorChains | undefined,
    strays: readonly Op[],
    { came, gone }: Touched,
  ): { readonly author: AuthorChains | undefined; readonly strays: readonly Op[] } {
    const old = before?.epochs.get(ep)?.head ?? { nextSeq: 0, lastId: undefined, lastHlc: 0 }
    const goneIds = new Set(gone.map(({ id }) => id))
    const goneSeqs = new Set(gone.map((op) => headerOf(op).seq).filter((seq) => seq < old.nextSeq))
    const outside = [...strays.filter(({ id }) => !goneIds.has(id)), ...came]
    const accusations = this.#accusationsOf(rid).filter((accusation) => accusation.ep === ep)

    let forkedAt = accusations.reduce((lowest, { seq }) => Math.min(lowest, seq), Infinity)
    const bySeq = new Map<number, Op>()
    for (const op of outside) {
      const { seq } = headerOf(op)
      const isTwin = bySeq.has(seq) || (seq < old.nextSeq && !goneSeqs.has(seq))
      if (isTwin) forkedAt = Math.min(forkedAt, seq)
      else bySeq.set(seq, op)
    }

    let { nextSeq, lastId, lastHlc } = old
    const kept = [...goneSeqs].reduce((lowest, seq) => Math.min(lowest, seq), Math.min(nextSeq, forkedAt))
    for (; nextSeq > kept; nextSeq--) {
      const op = this.#before.ops.get(lastId!)!
      this.#left.push(op)
      if (!goneIds.has(op.id)) outside.push(op)
      lastId = headerOf(op).prev
    }
    if (nextSeq < old.nextSeq) lastHlc = lastId === undefined ? 0 : headerOf(this.#before.ops.get(lastId)!).hlc

    const entered = new Set<Op>()
    for (; nextSeq < forkedAt; nextSeq++) {
      const op = bySeq.get(nextSeq)
      if (op === undefined || headerOf(op).prev !== lastId) break
      entered.add(op)
      this.#entered.push(op)
      lastId = op.id
      lastHlc = headerOf(op).hlc
    }

    const left = outside.filter((op) => !entered.has(op))
    for (const op of left) this.#leaveOut(op, headerOf(op).seq >= forkedAt ? 'forked' : 'detached')
    const isThere = nextSeq > 0 || left.length + accusations.length > 0
    const chain = { rid, ep, forkedAt, head: { ep, nextSeq, lastId, lastHlc } }
    return { author: isThere ? withChain(before, chain) : before && withoutChain(before, ep), strays: left }
  }
}
