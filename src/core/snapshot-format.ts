/**
 * How a snapshot lies in bytes: SHA-256 of what follows ‖ u32 length of the head ‖ the head as JSON ‖ columns of numbers
 * and ids, each as long as the head says. What was cut, or changed in any bit, is no snapshot.
 */
import { hash } from 'node:crypto'
import type { Ignored } from './visibility.ts'

/** Another fold, or another form, is another number: what was written before is not read any more. */
export const SNAPSHOT_FORMAT = 2

export interface SnapshotHead {
  readonly format: number
  readonly space: string
  readonly root: string
  readonly opsRoot: string
  readonly acl: string
  /** Of the lists below: which op is the first one of the space. Ops are named by their place in (hlc, id) order. */
  readonly init: number
  readonly types: readonly string[]
  /** What chains the ops are in: author and epoch. */
  readonly places: readonly (readonly [rid: string, ep: number])[]
  /** Chains as they count; −1 where there is no fork, '' where there is no op. */
  readonly chains: readonly (readonly [
    rid: string,
    ep: number,
    forkedAt: number,
    nextSeq: number,
    lastId: string,
    lastHlc: number,
  ])[]
  /** Chains that evidence says are forked, and where. */
  readonly accusations: readonly (readonly [rid: string, by: number, ep: number, seq: number])[]
  readonly papers: readonly number[]
  readonly revoked: readonly (readonly [
    content: string,
    by: readonly (readonly [op: string, rid: string, hlc: number, reason: string | null])[],
  ])[]
  readonly ignored: readonly (readonly [op: number, why: Ignored])[]
  /** Ops that would kill one which is not here. */
  readonly awaited: readonly (readonly [dot: string, by: readonly number[]])[]
  /** How many would kill one which is. */
  readonly kills: number
  /** Names of what is visible, in the order of its ids. */
  readonly names: readonly string[]
  readonly ops: number
  readonly dots: number
}

/** Columns of ops, then those of visible contributions. */
export interface SnapshotColumns {
  readonly hlcs: Float64Array
  /** 32 bytes each, as for the visible ones. */
  readonly ids: Uint8Array
  readonly seqs: Uint32Array
  readonly places: Uint32Array
  readonly types: Uint32Array
  /** One more than the place of the op before in the chain; 0 where none is named. */
  readonly prevs: Uint32Array
  /** Of an add that counts, one more than the key of its content; else 0. */
  readonly contents: Uint32Array
  /** Pairs of places: an op, and one that would kill it. */
  readonly killed: Uint32Array
  readonly killers: Uint32Array
  readonly visible: Uint8Array
  /** How many dots each has. */
  readonly dotCounts: Uint32Array
  /** Ops, by their places. */
  readonly dots: Uint32Array
}

export interface Snapshot {
  readonly head: SnapshotHead
  readonly columns: SnapshotColumns
}

const DIGEST_BYTES = 32

/** Columns of a snapshot of this size, one after the other from an offset that eight divides. */
function columnsIn(buffer: ArrayBuffer, offset: number, { ops, dots, names, kills }: SnapshotHead): SnapshotColumns {
  let at = offset
  const next = (bytes: number): number => {
    at += bytes
    return at - bytes
  }
  const visible = names.length
  return {
    hlcs: new Float64Array(buffer, next(8 * ops), ops),
    ids: new Uint8Array(buffer, next(32 * ops), 32 * ops),
    seqs: new Uint32Array(buffer, next(4 * ops), ops),
    places: new Uint32Array(buffer, next(4 * ops), ops),
    types: new Uint32Array(buffer, next(4 * ops), ops),
    prevs: new Uint32Array(buffer, next(4 * ops), ops),
    contents: new Uint32Array(buffer, next(4 * ops), ops),
    killed: new Uint32Array(buffer, next(4 * kills), kills),
    killers: new Uint32Array(buffer, next(4 * kills), kills),
    visible: new Uint8Array(buffer, next(32 * visible), 32 * visible),
    dotCounts: new Uint32Array(buffer, next(4 * visible), visible),
    dots: new Uint32Array(buffer, next(4 * dots), dots),
  }
}

const columnBytes = ({ ops, dots, names, kills }: SnapshotHead): number =>
  60 * ops + 8 * kills + 36 * names.length + 4 * dots
const aligned = (offset: number): number => Math.ceil(offset / 8) * 8

/** `fill` writes the columns. */
export function encodeSnapshot(head: SnapshotHead, fill: (columns: SnapshotColumns) => void): Uint8Array {
  const text = Buffer.from(JSON.stringify(head))
  const start = aligned(DIGEST_BYTES + 4 + text.length)
  const bytes = new Uint8Array(start + columnBytes(head))
  new DataView(bytes.buffer).setUint32(DIGEST_BYTES, text.length)
  bytes.set(text, DIGEST_BYTES + 4)
  fill(columnsIn(bytes.buffer, start, head))
  bytes.set(hash('sha256', bytes.subarray(DIGEST_BYTES), 'buffer'))
  return bytes
}

/** Undefined where it is not whole, or of another format. */
export function decodeSnapshot(given: Uint8Array): Snapshot | undefined {
  if (given.length < DIGEST_BYTES + 4) return undefined
  const bytes = given.byteOffset % 8 === 0 ? given : given.slice()
  const digest = Buffer.from(bytes.buffer, bytes.byteOffset, DIGEST_BYTES)
  if (!digest.equals(hash('sha256', bytes.subarray(DIGEST_BYTES), 'buffer'))) return undefined
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(DIGEST_BYTES)
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + DIGEST_BYTES + 4, length)
  const head = JSON.parse(text.toString('utf8')) as SnapshotHead
  if (head.format !== SNAPSHOT_FORMAT) return undefined
  const start = bytes.byteOffset + aligned(DIGEST_BYTES + 4 + length)
  return { head, columns: columnsIn(bytes.buffer as ArrayBuffer, start, head) }
}
