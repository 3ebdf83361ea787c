/** What the gate sees while it judges one message: the replica as it is, and in front of it what was admitted so far. */
import { entry } from '../core/forks.ts'
import type { OpId, ReplicaId, SpaceId } from '../core/ids.ts'
import type { SignedOp, Verify } from '../core/op.ts'
import type { ChainView, GateView } from './gate-view.ts'
import type { Slot } from './slots.ts'

interface Growing {
  nextSeq: number
  lastId: OpId | undefined
  forkedAt: number
  readonly added: Map<number, OpId[]>
}

export class Admitting implements GateView {
  readonly #view: GateView
  readonly #slots = new Map<OpId, Slot>()
  readonly #chains = new Map<string, Growing>()
  #initId: OpId | undefined
  readonly space: SpaceId
  readonly generation: number
  readonly verify?: Verify

  constructor(view: GateView) {
    this.#view = view
    this.#initId = view.initId
    this.space = view.space
    this.generation = view.generation
    if (view.verify !== undefined) this.verify = view.verify
  }

  get initId(): OpId | undefined {
    return this.#initId
  }

  slotOf(id: OpId): Slot | undefined {
    return this.#slots.get(id) ?? this.#view.slotOf(id)
  }

  chain(rid: ReplicaId, ep: number): ChainView | undefined {
    const growing = this.#chains.get(`${rid}/${ep}`)
    const stored = this.#view.chain(rid, ep)
    if (growing === undefined) return stored
    const { nextSeq, lastId, forkedAt, added } = growing
    return { nextSeq, lastId, forkedAt, at: (seq) => [...(stored?.at(seq) ?? []), ...(added.get(seq) ?? [])] }
  }

  admit(op: SignedOp, slot: Slot): void {
    const chain = this.#growing(op)
    chain.nextSeq = op.record.seq + 1
    chain.lastId = op.id
    this.#put(op, slot, chain)
    if (op.record.t === 'space.init') this.#initId = op.id
  }

  fork(op: SignedOp, slot: Slot): void {
    const chain = this.#growing(op)
    chain.forkedAt = Math.min(chain.forkedAt, op.record.seq)
    this.#put(op, slot, chain)
  }

  #put({ id, record }: SignedOp, slot: Slot, chain: Growing): void {
    this.#slots.set(id, slot)
    entry(chain.added, record.seq, () => []).push(id)
  }

  #growing({ record: { rid, ep } }: SignedOp): Growing {
    return entry(this.#chains, `${rid}/${ep}`, () => {
      const { nextSeq = 0, lastId, forkedAt = Infinity } = this.#view.chain(rid, ep) ?? {}
      return { nextSeq, lastId, forkedAt, added: new Map<number, OpId[]>() }
    })
  }
}
