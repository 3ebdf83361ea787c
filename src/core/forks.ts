/**
 * Chains and forks. An author writes one chain an epoch; two ops for one place fork it, and from the lowest such place
 * on nothing of that epoch counts. More ops can only lower that place, so the order of arrival does not matter.
 */
import type { ChainHead } from './author.ts'
import type { ReplicaId } from './ids.ts'
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

/** Of one generation, from distinct ops of one space. An evidence counts whoever brought it: it proves itself. */
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
    if (op.record.t === 'evidence') {
      const accused = accusedBy(op.record).record
      if (accused.g !== generation) continue
      const fork = placesOf(accused.rid, accused.ep)
      fork.forkedAt = Math.min(fork.forkedAt, accused.seq)
    }
  }
  return new Map([...authors].map(([rid, epochs]) => [rid, authorChains(rid, epochs)]))
}

function authorChains(rid: ReplicaId, epochs: ReadonlyMap<number, Places>): AuthorChains<WalkedChain> {
  const chains = [...epochs.keys()].sort((a, b) => a - b).map((ep) => walk(rid, ep, epochs.get(ep)!))
  return {
    epochs: new Map(chains.map((chain) => [chain.ep, chain])),
    latestEpoch: chains.at(-1)?.ep ?? 0,
    forkedEpochs: chains.filter(({ forkedAt }) => forkedAt < Infinity).map(({ ep }) => ep),
  }
}

/** The chains of one author, one of them longer, or new. */
export function withChain(before: AuthorChains | undefined, chain: Chain): AuthorChains {
  const epochs = new Map(before?.epochs).set(chain.ep, chain)
  const { latestEpoch = 0, forkedEpochs = [] } = before ?? {}
  if (chain.ep >= latestEpoch) return { epochs, latestEpoch: chain.ep, forkedEpochs }
  return { epochs: new Map([...epochs].sort(([a], [b]) => a - b)), latestEpoch, forkedEpochs }
}

/** The value at a key, made where it is missing. */
export function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}
