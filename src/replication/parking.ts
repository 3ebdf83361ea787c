/**
 * Ops that can't be kept yet, for want of the ops before them or of the paper that names their author. Never stored.
 * Full, it lets the newcomer go: what a peer holds for good comes again with the next sync.
 */
import { entry } from '../core/forks.ts'
import type { OpId, ReplicaId } from '../core/ids.ts'
import type { SignedOp } from '../core/op.ts'

export const PARKED_A_CHAIN_MAX = 64
export const PARKED_MAX = 4096

export interface Parked<From> {
  readonly op: SignedOp
  readonly from: From
  readonly since: number
}

export class Parking<From> {
  readonly #chains = new Map<string, Map<OpId, Parked<From>>>()
  #count = 0

  get count(): number {
    return this.#count
  }

  /** False where there is no room. */
  park(op: SignedOp, from: From, now: number): boolean {
    const chain = entry(this.#chains, keyOf(op.record), () => new Map<OpId, Parked<From>>())
    if (chain.has(op.id)) return true
    if (chain.size >= PARKED_A_CHAIN_MAX || this.#count >= PARKED_MAX) return false
    chain.set(op.id, { op, from, since: now })
    this.#count++
    return true
  }

  has({ id, record }: SignedOp): boolean {
    return this.#chains.get(keyOf(record))?.has(id) ?? false
  }

  /** How many wait for this place. */
  countAt({ rid, ep, seq }: { readonly rid: ReplicaId; readonly ep: number; readonly seq: number }): number {
    const chain = this.#chains.get(keyOf({ rid, ep }))
    return [...(chain?.values() ?? [])].filter(({ op }) => op.record.seq === seq).length
  }

  /** Takes out what waits for this chain, the lowest place first. */
  take(chain: { readonly rid: ReplicaId; readonly ep: number }): Parked<From>[] {
    const key = keyOf(chain)
    const parked = [...(this.#chains.get(key)?.values() ?? [])]
    this.#chains.delete(key)
    this.#count -= parked.length
    return parked.sort((a, b) => a.op.record.seq - b.op.record.seq)
  }

  /** Takes out what waits of this author. */
  takeOf(rid: ReplicaId): Parked<From>[] {
    const epochs = [...this.#chains.values()].flatMap((chain) => {
      const first = chain.values().next().value
      return first?.op.record.rid === rid ? [first.op.record.ep] : []
    })
    return epochs.sort((a, b) => a - b).flatMap((ep) => this.take({ rid, ep }))
  }

  /** Lets go what has waited since before this moment. */
  expire(before: number): number {
    let expired = 0
    for (const [key, chain] of this.#chains) {
      for (const [id, { since }] of chain) if (since < before && chain.delete(id)) expired++
      if (chain.size === 0) this.#chains.delete(key)
    }
    this.#count -= expired
    return expired
  }
}

const keyOf = ({ rid, ep }: { readonly rid: ReplicaId; readonly ep: number }): string => `${rid}/${ep}`
