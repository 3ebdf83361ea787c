/**
 * Chains and forks. An author writes one chain an epoch; two ops for one place fork it, and from the lowest such place
 * on nothing of that epoch counts. More ops can only lower that place, so the order of arrival does not matter.
 */
import type { ChainHead } from './author.ts'
import type { OpId, ReplicaId } from './ids.ts'
import { accusedBy, type Op, prevOf } from './op.ts'

export interface Chain {
  readonly rid: ReplicaId
  readonly ep: number
  /** Lowest place with two ops; infinite where there is none. */
  readonly forkedAt: number
  /** Where the author would write on: what counts ends before it. */
  readonly head: ChainHead
}

export interface WalkedChain extends Chain {
  /** Ops that count: each follows the one before it, from seq 0 to before the fork. */
  readonly ops: readonly Op[]
}

/** All chains of one author. */
export interface AuthorChains<C extends Chain = Chain> {
  /** Ascending. */
  readonly epochs: ReadonlyMap<number, C>
  readonly latestEpoch: number
  /** Ascending: anyone can sign a hundred thousand epochs, and each op asks for this. */
  readonly forkedEpochs: readonly number[]
}

/** What an evidence says of a chain: it is forked here, or before. */
export interface Accusation {
  readonly by: OpId
  readonly rid: ReplicaId
  readonly ep: number
  readonly seq: number
}

/** It counts whoever brought it: it proves itself. */
export function accusationIn({ id, record }: Op, generation: number): Accusation | undefined {
  if (record.t !== 'evidence' || record.g !== generation) return undefined
  const { g, rid, ep, seq } = accusedBy(record).record
  return g === generation ? { by: id, rid, ep, seq } : undefined
}

export type Chains = ReadonlyMap<ReplicaId, AuthorChains>
export type WalkedChains = ReadonlyMap<ReplicaId, AuthorChains<WalkedChain>>

interface Places {
  readonly bySeq: Map<number, Op>
  forkedAt: number
}

/** Walks from seq 0 while there is one op that names the one before it. */
function walk(rid: ReplicaId, ep: number, { bySeq, forkedAt }: Places): WalkedChain {
  const ops: Op[] = []
  let last: Op | undefined
  for (let seq = 0; seq < forkedAt; seq++) {
    const op = bySeq.get(seq)
    if (op === undefined || prevOf(op) !== last?.id) break
    ops.push(op)
    last = op
  }
  const head = { ep, nextSeq: ops.length, lastId: last?.id, lastHlc: last?.record.hlc ?? 0 }
  return { rid, ep, forkedAt, ops, head }
}

/** Of one generation, from distinct ops of one space. */
export function chainsOf(ops: Iterable<Op>, generation: number): WalkedChains {
  const authors = new Map<ReplicaId, Map<number, Places>>()
  const placesOf = (rid: ReplicaId, ep: number): Places => {
    const epochs = entry(authors, rid, () => new Map<number, Places>())
    return entry(epochs, ep, () => ({ bySeq: new Map<number, Op>(), forkedAt: Infinity }))
  }
  for (const op of ops) {
    const { g, rid, ep, seq } = op.record
    if (g !== generation) continue
    const places = placesOf(rid, ep)
    if (places.bySeq.has(seq)) places.forkedAt = Math.min(places.forkedAt, seq)
    else places.bySeq.set(seq, op)
    const accused = accusationIn(op, generation)
    if (accused !== undefined) {
      const fork = placesOf(accused.rid, accused.ep)
      fork.forkedAt = Math.min(fork.forkedAt, accused.seq)
    }
  }
  const inOrder = (epochs: ReadonlyMap<number, Places>) => [...epochs].sort(([a], [b]) => a - b)
  const walked = (rid: ReplicaId, epochs: ReadonlyMap<number, Places>) =>
    inOrder(epochs).map(([ep, places]) => walk(rid, ep, places))
  return new Map([...authors].map(([rid, epochs]) => [rid, authorChains(walked(rid, epochs))]))
}

/** From all chains of one author, by epoch ascending. */
export const authorChains = <C extends Chain>(chains: readonly C[]): AuthorChains<C> => ({
  epochs: new Map(chains.map((chain) => [chain.ep, chain])),
  latestEpoch: chains.at(-1)?.ep ?? 0,
  forkedEpochs: chains.filter(isForked).map(({ ep }) => ep),
})

const isForked = ({ forkedAt }: Chain): boolean => forkedAt < Infinity

/** The chains of one author, one of them otherwise, or new. */
export function withChain(before: AuthorChains | undefined, chain: Chain): AuthorChains {
  const { ep } = chain
  const { epochs: old = new Map<number, Chain>(), latestEpoch = 0, forkedEpochs = [] } = before ?? {}
  const known = old.get(ep)
  const epochs = new Map(old).set(ep, chain)
  const wasForked = known !== undefined && isForked(known)
  const others = wasForked && !isForked(chain) ? forkedEpochs.filter((epoch) => epoch !== ep) : forkedEpochs
  return {
    epochs: known !== undefined || ep >= latestEpoch ? epochs : new Map([...epochs].sort(([a], [b]) => a - b)),
    latestEpoch: Math.max(latestEpoch, ep),
    forkedEpochs: isForked(chain) && !wasForked ? [...others, ep].sort((a, b) => a - b) : others,
  }
}

/** The chains of one author without that of an epoch; undefined where no other is left. */
export function withoutChain(before: AuthorChains, ep: number): AuthorChains | undefined {
  const epochs = new Map(before.epochs)
  epochs.delete(ep)
  if (epochs.size === 0) return undefined
  const { forkedEpochs } = before
  return {
    epochs,
    latestEpoch: [...epochs.keys()].at(-1)!,
    forkedEpochs: forkedEpochs.includes(ep) ? forkedEpochs.filter((epoch) => epoch !== ep) : forkedEpochs,
  }
}

/** The value at a key, made where it is missing. */
export function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}

/** One more at a key. Most lists have one value, and one that is made with it takes a fifth of the room of one that grew. */
export function listAt<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
