/**
 * What a space keeps of its chains: all below the lowest fork, at the fork the two ops of smallest id, above it nothing.
 * Each part is a minimum, so replicas that have seen the same ops keep the same, in whatever order they came.
 */
import { compareHex } from '../core/bytes.ts'
import { entry } from '../core/forks.ts'
import type { OpId, ReplicaId } from '../core/ids.ts'
import type { Op } from '../core/op.ts'
import { headerOf } from '../core/shelved-op.ts'
import type { Fork, Known } from './frames.ts'
import type { ChainView } from './gate-view.ts'

/** What became of an op, and which kept ones fell out because of it. */
export type Placed =
  | { readonly kind: 'kept'; readonly fellOut: readonly OpId[] }
  /** Above the fork, or not among the two smallest at it. */
  | { readonly kind: 'void' }
  /** It follows nothing that is kept. */
  | { readonly kind: 'gap' }

class Chain implements ChainView {
  readonly rid: ReplicaId
  readonly ep: number
  /** By seq, below the fork. */
  readonly #ids: OpId[] = []
  /** At the fork, sorted. */
  #pair: readonly OpId[] = []

  constructor(rid: ReplicaId, ep: number) {
    this.rid = rid
    this.ep = ep
  }

  get forkedAt(): number {
    return this.#pair.length > 0 ? this.#ids.length : Infinity
  }
  get nextSeq(): number {
    return this.#ids.length + (this.#pair.length > 0 ? 1 : 0)
  }
  get lastId(): OpId | undefined {
    return this.#pair.length > 0 ? undefined : this.#ids.at(-1)
  }
  get fork(): Fork | undefined {
    const [one, two] = this.#pair
    return one && two && { rid: this.rid, ep: this.ep, seq: this.forkedAt, pair: [one, two] }
  }

  at(seq: number): readonly OpId[] {
    if (seq === this.forkedAt) return this.#pair
    const id = this.#ids[seq]
    return id === undefined ? [] : [id]
  }

  *from(seq: number): Iterable<OpId> {
    for (let at = seq; at < this.nextSeq; at++) yield* this.at(at)
  }

  place(id: OpId, seq: number, prev: OpId | undefined, twin?: OpId): Placed {
    if (seq > this.forkedAt) return { kind: 'void' }
    if (seq === this.forkedAt) return this.#atFork(id)
    const there = this.#ids[seq]
    if (there !== undefined) return this.#forkAt(seq, there, id)
    if (seq !== this.#ids.length) return { kind: 'gap' }
    if (twin !== undefined) return this.#forkAt(seq, twin, id)
    if (prev !== this.#ids.at(-1)) return { kind: 'gap' }
    this.#ids.push(id)
    return { kind: 'kept', fellOut: [] }
  }

  #atFork(id: OpId): Placed {
    const [one, two, third] = [...this.#pair, id].sort(compareHex)
    this.#pair = [one!, two!]
    return third === id ? { kind: 'void' } : { kind: 'kept', fellOut: [third!] }
  }

  #forkAt(seq: number, there: OpId, id: OpId): Placed {
    const fellOut = [...this.#ids.splice(seq).slice(1), ...this.#pair]
    this.#pair = [there, id].sort(compareHex)
    return { kind: 'kept', fellOut }
  }
}

/** The same for many, in any order: each is placed once what it needs is. Answers those that have no place. */
export function placeAll<O extends Op>(ops: Iterable<O>, place: (op: O, twin?: O) => Placed['kind']): readonly O[] {
  const chains = new Map<ReplicaId, Map<number, O[]>>()
  for (const op of ops) {
    const { rid, ep } = headerOf(op)
    const epochs = entry(chains, rid, () => new Map<number, O[]>())
    entry(epochs, ep, () => []).push(op)
  }
  const left: O[] = []
  for (const epochs of chains.values())
    for (const chain of epochs.values())
      for (const group of placesOf(chain)) {
        const gaps = group.filter((op) => place(op) === 'gap')
        const still = gaps.filter((op) => place(op) === 'gap')
        const [one, two, ...more] = still
        if (one === undefined || two === undefined || place(two, one) === 'gap') left.push(...still)
        else for (const op of more) place(op)
      }
  return left
}

/** Ops of one chain by their place, the lowest first. */
function* placesOf<O extends Op>(chain: O[]): Iterable<readonly O[]> {
  const seqOf = (op: O): number => headerOf(op).seq
  chain.sort((a, b) => seqOf(a) - seqOf(b))
  for (let from = 0, to = 0; from < chain.length; from = to) {
    while (to < chain.length && seqOf(chain[to]!) === seqOf(chain[from]!)) to++
    yield chain.slice(from, to)
  }
}

export class ForkLattice {
  readonly #chains = new Map<ReplicaId, Map<number, Chain>>()

  /**
   * Of an op that is not kept yet. Two ops for one place are a fork even where neither follows the op before it: the
   * one that did may have been pushed out elsewhere by these two. So a gap may bring its twin, which then is kept too.
   */
  place(op: Op, twin?: Op): Placed {
    const { rid, ep, seq, prev } = headerOf(op)
    const epochs = entry(this.#chains, rid, () => new Map<number, Chain>())
    const chain = epochs.get(ep) ?? new Chain(rid, ep)
    const placed = chain.place(op.id, seq, prev, twin?.id)
    if (placed.kind === 'kept') epochs.set(ep, chain)
    return placed
  }

  chain(rid: ReplicaId, ep: number): ChainView | undefined {
    return this.#chains.get(rid)?.get(ep)
  }

  /** Ids from a place of a chain on, both of its fork among them. */
  from(rid: ReplicaId, ep: number, seq: number): Iterable<OpId> {
    return this.#chains.get(rid)?.get(ep)?.from(seq) ?? []
  }

  forks(): Fork[] {
    return this.#all().flatMap(({ fork }) => fork ?? [])
  }

  /** Chains that lie in the document: those without a fork. */
  whole(): readonly (ChainView & { readonly rid: ReplicaId; readonly ep: number })[] {
    return this.#all().filter(({ fork }) => fork === undefined)
  }

  /** The highest place of an author. */
  highest(rid: ReplicaId): Known | undefined {
    const epochs = this.#chains.get(rid)
    if (epochs === undefined || epochs.size === 0) return undefined
    const ep = Math.max(...epochs.keys())
    return { ep, seq: epochs.get(ep)!.nextSeq - 1 }
  }

  /** Forgets an author's chain, so that it can be placed anew. */
  forget(rid: ReplicaId, ep: number): void {
    this.#chains.get(rid)?.delete(ep)
  }

  #all(): Chain[] {
    return [...this.#chains.values()].flatMap((epochs) => [...epochs.values()])
  }
}
