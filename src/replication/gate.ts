/**
 * The gate: what arrives is judged op by op before anything of it is stored, applied or passed on. It judges form, slot,
 * chain and signature, the cheap first. Who may do what is no question here: only the fold answers that.
 */
import { hex } from '../core/bytes.ts'
import { digestBytes } from '../core/digest.ts'
import { isTributaryError } from '../core/errors.ts'
import type { OpId, ReplicaId } from '../core/ids.ts'
import { clientIdOf, parseOp, prevOf, signaturesHold, type SignedOp, spaceOf, type Verify } from '../core/op.ts'
import { SIGNATURE_BYTES, verify } from '../core/signature.ts'
import type { ChainView, GateView } from './gate-view.ts'
import { RecentSet } from './recent-set.ts'
import type { Slot, SlotRecord } from './slots.ts'
import { type StructureRefusal, UPDATE_LIMITS } from './update-format.ts'

export type { ChainView, GateView }

export type RefusalReason =
  | StructureRefusal // of the whole update; `key` and `too-large` also of one op
  | 'form' // not the canonical bytes of a well-formed op
  | 'space' // an op of another space or generation, or a second space.init
  | 'copycat' // a known op in a slot that is not its own
  | 'slot-mismatch' // not the slot that the op itself names
  | 'signature' // its author, or within evidence the accused, did not sign it

/** The op that must come first: `prev` itself, which stands right before, or whatever is lacked from seq `from` on. */
export interface Needs {
  readonly rid: ReplicaId
  readonly ep: number
  readonly from: number
  readonly prev: OpId | undefined
}

export type Verdict =
  /** Follows its chain: store it, then show it. Where the chain is forked at this place it stays out of the document. */
  | { readonly kind: 'admit'; readonly op: SignedOp; readonly slot: SlotRecord }
  | { readonly kind: 'known'; readonly id: OpId }
  /** Signed for a place that has another op: proof against its author. */
  | { readonly kind: 'fork'; readonly op: SignedOp; readonly slot: SlotRecord; readonly with: OpId }
  /** Signed, and its place not reached, or reached by another branch. */
  | { readonly kind: 'gap'; readonly op: SignedOp; readonly needs: Needs }
  /** Above a known fork, or the third of a place: it counts nowhere. An honest peer may not know that yet. */
  | { readonly kind: 'void'; readonly id: OpId }
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly id?: OpId }
export type VerdictOf<K extends Verdict['kind']> = Extract<Verdict, { kind: K }>

const refused = (reason: RefusalReason, id?: OpId): VerdictOf<'refused'> => ({
  kind: 'refused',
  reason,
  ...(id !== undefined && { id }),
})

/**
 * Believes nothing but the bytes. What it answers is made from a copy of them. Without a slot it travelled as a raw
 * record, outside the document.
 */
export function judgeRecord(record: Uint8Array, slot: Omit<SlotRecord, 'record'> | undefined, view: GateView): Verdict {
  if (record.length <= SIGNATURE_BYTES) return refused('form')
  if (record.length > UPDATE_LIMITS.recordBytes) return refused('too-large')
  const id = digestBytes<OpId>('op', record.subarray(SIGNATURE_BYTES))
  if (slot !== undefined && slot.id !== id) return refused('key', id)
  const known = view.slotOf(id)
  if (known !== undefined)
    return slot === undefined || sameSlot(known, slot) ? { kind: 'known', id } : refused('copycat', id)

  const copy = new Uint8Array(record)
  const op = opIn(copy)
  if (typeof op === 'string') return refused(op, id)
  if (!isOfSpace(op, view)) return refused('space', id)
  const { g, rid, ep, seq } = op.record
  const own = { client: clientIdOf({ ep, g, rid, sp: view.space }), clock: seq }
  if (slot !== undefined && !sameSlot(own, slot)) return refused('slot-mismatch', id)

  const verdict = placed(op, { ...own, id, record: copy }, view.chain(rid, ep))
  if (verdict.kind !== 'void' && !isSigned(op, view.verify)) return refused('signature', id)
  return verdict
}

const sameSlot = (a: Slot, b: Slot): boolean => a.client === b.client && a.clock === b.clock

function opIn(record: Uint8Array): SignedOp | 'form' | 'too-large' {
  try {
    return { ...parseOp(record.subarray(SIGNATURE_BYTES)), signature: record.subarray(0, SIGNATURE_BYTES) }
  } catch (error) {
    if (!isTributaryError(error)) throw error
    return 'max' in error.details ? 'too-large' : 'form'
  }
}

function isOfSpace(op: SignedOp, { space, generation, initId }: GateView): boolean {
  if (spaceOf(op) !== space || op.record.g !== generation) return false
  return op.record.t !== 'space.init' || initId === undefined || op.id === initId
}

/** By its place in its chain alone; whether its author signed it is not asked yet. */
function placed(op: SignedOp, slot: SlotRecord, chain: ChainView | undefined): Verdict {
  const { rid, ep, seq } = op.record
  const { nextSeq = 0, lastId, forkedAt = Infinity } = chain ?? {}
  if (seq > forkedAt) return { kind: 'void', id: op.id }
  const there = chain?.at(seq) ?? []
  if (there.length > 1 && there.every((id) => id < op.id)) return { kind: 'void', id: op.id }
  if (there[0] !== undefined) return { kind: 'fork', op, slot, with: there[0] }
  const prev = prevOf(op)
  if (seq === nextSeq && prev === lastId) return { kind: 'admit', op, slot }
  return { kind: 'gap', op, needs: { rid, ep, from: Math.min(nextSeq, seq - 1), prev } }
}

const FAILED_MAX = 4096
/** Bytes that failed the costliest check: sending them again costs their sender more than us. */
const failed = new RecentSet(FAILED_MAX)

function isSigned(op: SignedOp, given: Verify | undefined): boolean {
  if (given !== undefined) return signaturesHold(op, given)
  const name = op.id + hex(op.signature)
  if (failed.has(name)) return false
  const holds = signaturesHold(op, verify)
  if (!holds) failed.add(name)
  return holds
}
