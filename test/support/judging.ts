/**
 * The verdicts of the gate on a whole message, where a test asks for them. What the gate sees meanwhile is the replica as it
 * is, and in front of it what was admitted so far; a replica itself places each op at once (src/replication/admission.ts).
 */
import { entry } from '../../src/core/forks.ts'
import type { OpId, ReplicaId, SpaceId } from '../../src/core/ids.ts'
import type { SignedOp, Verify } from '../../src/core/op.ts'
import type { ChainView, GateView } from '../../src/replication/gate-view.ts'
import { readUpdate } from '../../src/replication/read-update.ts'
import { UPDATE_LIMITS, type UpdateLimits } from '../../src/replication/update-format.ts'
import { judgeRecord, type RefusalReason, type VerdictOf } from '../../src/replication/gate.ts'
import type { Slot, SlotRecord } from '../../src/replication/slots.ts'

export interface Verdicts {
  /** Every op in it is admitted and it is spelled as we would: it may be applied and passed on as it came. */
  readonly clean: boolean
  readonly admitted: readonly VerdictOf<'admit'>[]
  readonly known: number
  readonly voided: number
  readonly forks: readonly VerdictOf<'fork'>[]
  readonly gaps: readonly VerdictOf<'gap'>[]
  readonly refused: ReadonlyMap<RefusalReason, number>
}

export interface ArrivedRecord {
  readonly record: Uint8Array
  /** Undefined where it travelled as a raw record, outside the document. */
  readonly slot?: Omit<SlotRecord, 'record'> | undefined
}

interface Growing {
  nextSeq: number
  lastId: OpId | undefined
  forkedAt: number
  readonly added: Map<number, OpId[]>
}

class Admitting implements GateView {
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

/** Op by op; each sees those that were admitted before it. An update that is not of our form is refused whole. */
export function judgeUpdate(update: Uint8Array, view: GateView, limits: UpdateLimits = UPDATE_LIMITS): Verdicts {
  const reading = readUpdate(update, limits)
  if (reading.refused !== undefined) return { ...judgeRecords([], view), refused: new Map([[reading.refused, 1]]) }
  return judgeRecords(
    reading.records.map((slot) => ({ record: slot.record, slot })),
    view,
  )
}

/** The same for records, in the order in which they are given. */
export function judgeRecords(arrived: readonly ArrivedRecord[], view: GateView): Verdicts {
  const seen = new Admitting(view)
  const admitted: VerdictOf<'admit'>[] = []
  const forks: VerdictOf<'fork'>[] = []
  const gaps: VerdictOf<'gap'>[] = []
  const refusedBy = new Map<RefusalReason, number>()
  let known = 0
  let voided = 0
  for (const { record, slot } of arrived) {
    const verdict = judgeRecord(record, slot, seen)
    switch (verdict.kind) {
      case 'admit':
        admitted.push(verdict)
        seen.admit(verdict.op, verdict.slot)
        break
      case 'fork':
        forks.push(verdict)
        seen.fork(verdict.op, verdict.slot)
        break
      case 'gap':
        gaps.push(verdict)
        break
      case 'known':
        known++
        break
      case 'void':
        voided++
        break
      case 'refused':
        refusedBy.set(verdict.reason, (refusedBy.get(verdict.reason) ?? 0) + 1)
    }
  }
  const clean = admitted.length > 0 && admitted.length === arrived.length
  return { clean, admitted, known, voided, forks, gaps, refused: refusedBy }
}
