/**
 * The disk of a replica: transactions that are whole or not there, as SQLite's log has them. A crash loses what is being
 * written, or finds it written; rot flips bits of what lies there; a full disk takes nothing.
 */
import type { OpId, ReplicaId } from '../../src/core/ids.ts'
import type { SignedOp } from '../../src/core/op.ts'
import { isSound, soundOps } from '../../src/core/sound-ops.ts'
import type { Luck } from './luck.ts'

export interface Transaction {
  readonly insert: readonly SignedOp[]
  readonly remove: readonly OpId[]
}

/** A copy of it, taken at some time. */
export interface Backup {
  readonly rows: ReadonlyMap<OpId, SignedOp>
  readonly epoch: number
  readonly isClean: boolean
}

export class Disk {
  meanWriteMs = 2
  /** Writes fail while it is. */
  full = false
  rows = new Map<OpId, SignedOp>()
  epoch = -1
  isClean = false
  readonly #flipped = new Map<OpId, Uint8Array>()
  #open: Transaction[] = []

  begin(transaction: Transaction): void {
    this.#open.push(transaction)
  }
  commit(transaction: Transaction): void {
    this.abandon(transaction)
    for (const op of transaction.insert) this.rows.set(op.id, op)
    for (const id of transaction.remove) this.rows.delete(id)
  }
  abandon(transaction: Transaction): void {
    this.#open = this.#open.filter((one) => one !== transaction)
  }

  /** Answers what turns out to be durable of that which was being written: each whole or torn, and torn is nothing. */
  crash(luck: Luck | undefined): readonly Transaction[] {
    const open = this.#open
    const torn = luck === undefined ? 0 : open.findIndex(() => luck.chance(0.5))
    const whole = torn < 0 ? open : open.slice(0, torn)
    for (const one of whole) this.commit(one)
    this.#open = []
    return whole
  }

  backup(isClean = false): Backup {
    return { rows: new Map(this.rows), epoch: this.epoch, isClean }
  }
  restore({ rows, epoch, isClean }: Backup): void {
    Object.assign(this, { rows: new Map(rows), epoch, isClean })
    this.#flipped.clear()
  }

  flip(id: OpId, luck: Luck): void {
    const bytes = this.rows.get(id)!.bytes.slice()
    bytes[luck.below(bytes.length)]! ^= 1 << luck.below(8)
    this.#flipped.set(id, bytes)
  }

  /** As a replica starts: what rotted is dropped, and where it was its own, the next op begins an epoch. */
  open(rid: ReplicaId, goesOn: boolean, readsRot = false): readonly SignedOp[] {
    this.epoch = goesOn ? Math.max(this.epoch, 0) : this.epoch + 1
    this.isClean = false
    if (readsRot) this.#readRot()
    const stored = [...this.rows.values()]
    if (readsRot) return stored
    const readable = stored.filter(({ id, bytes }) => isSound({ id, bytes: this.#flipped.get(id) ?? bytes }))
    this.#flipped.clear()
    if (readable.length === stored.length) return stored
    const sound = soundOps(readable)
    this.rows = new Map(sound.map((op) => [op.id, op]))
    if (stored.some(({ id, record }) => record.rid === rid && !this.rows.has(id))) this.epoch++
    return sound
  }

  /** A mistake that must be noticed: what can still be parsed is believed. */
  #readRot(): void {
    for (const [id, bytes] of this.#flipped) {
      try {
        const record = JSON.parse(Buffer.from(bytes).toString('utf8')) as SignedOp['record']
        this.rows.set(id, { ...this.rows.get(id)!, record, bytes })
      } catch {
        continue // no JSON any more
      }
    }
    this.#flipped.clear()
  }
}
