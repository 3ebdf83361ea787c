/**
 * The way of what arrived into a space's set: judged op by op, kept in its chain or parked, stored in one batch, shown
 * when that is durable. While a batch is being stored what arrives waits; the queue is bounded and the newest is let go.
 */
import { fromBase64url } from '../core/bytes.ts'
import { isTributaryError } from '../core/errors.ts'
import type { OpId, ReplicaId } from '../core/ids.ts'
import { encodeSigned, type SignedOp } from '../core/op.ts'
import { headerOf } from '../core/shelved-op.ts'
import type { Policy } from '../core/op-schemas.ts'
import type { LinkId, Metric } from './effects.ts'
import { placeAll } from './fork-lattice.ts'
import { judgeRecord, type Needs } from './gate.ts'
import { unpackUpdate } from './pack-update.ts'
import { Parking } from './parking.ts'
import type { Misdeed } from './peer-score.ts'
import { readUpdate } from './read-update.ts'
import type { Settings } from './settings.ts'
import type { Slot, SlotRecord } from './slots.ts'
import type { KeptOp, SpaceSet } from './space-set.ts'
import type { UpdateReading } from './update-format.ts'

/** Ops of authors that no stored paper names. */
export const STRANGERS_MAX = 256
const BATCH_OPS_MAX = 2000

export interface Arrival {
  readonly link: LinkId
  readonly kind: 'update' | 'records'
  readonly update?: Uint8Array
  readonly records?: readonly Uint8Array[]
}

export interface AdmissionContext {
  readonly settings: Settings
  readonly now: () => number
  readonly report: (metric: Metric, count: number) => void
  readonly blame: (link: LinkId, misdeed: Misdeed) => void
  /** Asks the peer for what stands before an op. */
  readonly needs: (link: LinkId, needs: Needs) => void
  /** Is the peer one whose ops are taken, whoever wrote them: named by the operator, or a member itself? */
  readonly vouches: (link: LinkId, isMember: (rid: ReplicaId) => boolean) => boolean
  /** All that came was known already. */
  readonly duplicate: (link: LinkId) => void
}

type Item = { readonly link: LinkId; readonly record: Uint8Array; readonly slot?: Slot & { readonly id: OpId } }

export class Admission {
  readonly set: SpaceSet
  readonly #context: AdmissionContext
  readonly #parking = new Parking<LinkId>()
  readonly #strangers = new Parking<LinkId>()
  readonly #waiting: Arrival[] = []
  #waitingBytes = 0
  /** Who brought an op that is not shown yet: nobody tells them about it. */
  readonly #sources = new Map<OpId, Set<LinkId>>()
  readonly #members = new Set<ReplicaId>()
  #access: Policy['access'] | undefined

  constructor(set: SpaceSet, context: AdmissionContext) {
    this.set = set
    this.#context = context
  }

  get parked(): number {
    return this.#parking.count + this.#strangers.count
  }
  get waiting(): number {
    return this.#waiting.length
  }

  enqueue(arrival: Arrival): void {
    const { settings, report } = this.#context
    const bytes = sizeOf(arrival)
    if (this.#waiting.length >= settings.waitingFrames || this.#waitingBytes + bytes > settings.waitingBytes) {
      report('refused.waiting-full', 1)
      return
    }
    this.#waiting.push(arrival)
    this.#waitingBytes += bytes
  }

  /** Judges what waits, unless a batch is on its way to the disk. */
  pump(): void {
    let admitted = 0
    while (!this.set.isStoring && admitted < BATCH_OPS_MAX) {
      const arrival = this.#waiting.shift()
      if (arrival === undefined) return
      this.#waitingBytes -= sizeOf(arrival)
      admitted += this.#judge(arrival)
    }
  }

  /** An own op, or one from storage: papers count, and what waited for it goes on. */
  kept(op: SignedOp): void {
    this.#note(op)
    this.#unpark(headerOf(op))
  }

  sourcesOf(id: OpId): ReadonlySet<LinkId> {
    const sources = this.#sources.get(id) ?? new Set<LinkId>()
    this.#sources.delete(id)
    return sources
  }

  abandon(): void {
    this.#sources.clear()
  }

  expire(): void {
    const before = this.#context.now() - this.#context.settings.parkedMs
    const expired = this.#parking.expire(before) + this.#strangers.expire(before)
    if (expired > 0) this.#context.report('ops.expired', expired)
  }

  #judge(arrival: Arrival): number {
    const items = this.#itemsOf(arrival)
    let admitted = 0
    let known = 0
    for (const item of items) {
      const became = this.#judgeOne(item)
      if (became === 'kept') admitted++
      if (became === 'known') known++
    }
    if (items.length > 0 && known === items.length && arrival.kind === 'update') this.#context.duplicate(arrival.link)
    return admitted
  }

  #itemsOf({ link, update, records }: Arrival): readonly Item[] {
    if (update === undefined) return (records ?? []).map((record) => ({ link, record }))
    const reading = readPacked(update)
    if (reading.refused === undefined) return reading.records.map((slot) => ({ link, record: slot.record, slot }))
    this.#context.report(`refused.${reading.refused}`, 1)
    this.#context.blame(link, 'malformed')
    return []
  }

  #judgeOne({ link, record, slot }: Item): 'kept' | 'known' | 'other' {
    const { report, blame, needs } = this.#context
    const verdict = judgeRecord(record, slot, this.set)
    switch (verdict.kind) {
      case 'known':
        this.#sources.get(verdict.id)?.add(link)
        report('ops.known', 1)
        return 'known'
      case 'void':
        report('ops.void', 1)
        return 'other'
      case 'refused':
        report(`refused.${verdict.reason}`, 1)
        blame(link, verdict.reason === 'signature' ? 'forged' : 'refused')
        return 'other'
      case 'gap':
        if (this.#isStranger(link, verdict.op)) this.#park(this.#strangers, verdict.op, link)
        else if (this.#park(this.#parking, verdict.op, link)) {
          needs(link, verdict.needs)
          if (this.#parking.countAt(verdict.op.record) > 1) this.#unpark(verdict.op.record)
        }
        return 'other'
      case 'fork':
        report('ops.forked', 1)
        return this.#admit(link, verdict.op, verdict.slot)
      case 'admit':
        return this.#admit(link, verdict.op, verdict.slot)
    }
  }

  #admit(link: LinkId, op: SignedOp, slot: SlotRecord): 'kept' | 'other' {
    if (this.#isStranger(link, op)) {
      this.#park(this.#strangers, op, link)
      return 'other'
    }
    if (this.set.admit({ op, slot }) !== 'kept') return 'other'
    this.#sources.set(op.id, new Set([link]))
    this.#context.report('ops.admitted', 1)
    this.#note(op)
    this.#unpark(op.record)
    if (op.record.t === 'evidence') this.#judgeInside(link, op.record)
    return 'kept'
  }

  /** An evidence brings two ops along, whose author its bearer may know better than we do. */
  #judgeInside(link: LinkId, { a, b }: { readonly a: string; readonly b: string }): void {
    for (const record of [a, b].map(fromBase64url)) this.#judgeOne({ link, record })
  }

  #park(parking: Parking<LinkId>, op: SignedOp, link: LinkId): boolean {
    if (parking.has(op)) return false
    const isFull = parking === this.#strangers && parking.count >= STRANGERS_MAX
    const isParked = !isFull && parking.park(op, link, this.#context.now())
    this.#context.report(isParked ? 'ops.parked' : 'refused.parking-full', 1)
    return isParked
  }

  /** What waited for this chain is placed again; what still waits keeps its age. */
  #unpark(chain: { readonly rid: ReplicaId; readonly ep: number }): void {
    if (this.#parking.count === 0) return
    const parked = this.#parking.take(chain).filter(({ op }) => this.set.slotOf(op.id) === undefined)
    if (parked.length === 0) return
    const byId = new Map(parked.map((one) => [one.op.id, one]))
    const left = placeAll(
      parked.map(({ op }) => op),
      (op, twin) => this.set.admit(this.#keptOf(op), twin && this.#keptOf(twin)),
    )
    for (const { id } of left) this.#parking.park(byId.get(id)!.op, byId.get(id)!.from, byId.get(id)!.since)
    for (const { op, from } of parked) {
      if (this.set.slotOf(op.id) === undefined) continue
      this.#sources.set(op.id, new Set([from]))
      this.#context.report('ops.admitted', 1)
      this.#note(op)
    }
  }

  #keptOf(op: SignedOp): KeptOp {
    return this.set.keptOf(op)
  }

  #note(op: SignedOp): void {
    const { t } = headerOf(op)
    if (t !== 'space.init' && t !== 'member.add') return
    const { record } = op
    if (record.t === 'space.init') {
      this.#access = record.policy.access
      this.#members.add(record.rid)
    }
    if (record.t !== 'member.add' || this.#members.has(record.member)) return
    this.#members.add(record.member)
    for (const { op, from } of this.#strangers.takeOf(record.member))
      this.#judgeOne({ link: from, record: encodeSigned(op) })
  }

  #isStranger(link: LinkId, { record }: SignedOp): boolean {
    if (this.#access !== 'members' || this.#members.has(record.rid)) return false
    return !this.#context.vouches(link, (rid) => this.#members.has(rid))
  }
}

/** What can't be unpacked is as malformed as what can't be read. */
function readPacked(update: Uint8Array): UpdateReading {
  try {
    return readUpdate(unpackUpdate(update))
  } catch (error) {
    if (!isMalformed(error)) throw error
    return { refused: 'malformed' }
  }
}

const sizeOf = ({ update, records = [] }: Arrival): number =>
  update?.length ?? records.reduce((sum, { length }) => sum + length, 0)

export const isMalformed = (error: unknown): boolean => isTributaryError(error) && error.code === 'FRAME_INVALID'
