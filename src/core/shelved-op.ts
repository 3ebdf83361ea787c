/**
 * Ops as they lie on disk, many in one buffer. What is asked of every op stands beside it; its record is read again when
 * somebody asks, and of those the last few are kept: a hundred thousand records would take ten times the room.
 */
import type { OpId, ReplicaId } from './ids.ts'
import { type Op, prevOf, readOp, type SignedOp } from './op.ts'
import type { OpRecord } from './op-schemas.ts'
import { SIGNATURE_BYTES } from './signature.ts'

/** What an op says of itself, as far as it is asked without the rest. */
export interface OpHeader {
  readonly rid: ReplicaId
  readonly ep: number
  readonly seq: number
  readonly hlc: number
  readonly t: string
  readonly prev?: OpId | undefined
}

/** Where `signature ‖ bytes` of an op begin in a buffer, and where they end. */
export interface Shelf {
  readonly records: Uint8Array
  readonly start: number
  readonly end: number
}

export const bytesOn = ({ records, start, end }: Shelf): Uint8Array => records.subarray(start + SIGNATURE_BYTES, end)

const READ_MAX = 256
/** Those that were read last. */
const read: (ShelvedOp | undefined)[] = []
let next = 0

export class ShelvedOp implements SignedOp, OpHeader {
  readonly id: OpId
  readonly rid: ReplicaId
  readonly ep: number
  readonly seq: number
  readonly hlc: number
  readonly t: string
  readonly prev: OpId | undefined
  readonly #records: Uint8Array
  readonly #start: number
  readonly #end: number
  #record: OpRecord | undefined

  /** The bytes are those of the id: whoever gives them has looked. */
  constructor(id: OpId, header: OpHeader, { records, start, end }: Shelf) {
    this.id = id
    this.rid = header.rid
    this.ep = header.ep
    this.seq = header.seq
    this.hlc = header.hlc
    this.t = header.t
    this.prev = header.prev
    this.#records = records
    this.#start = start
    this.#end = end
  }

  get bytes(): Uint8Array {
    return this.#records.subarray(this.#start + SIGNATURE_BYTES, this.#end)
  }
  get signature(): Uint8Array {
    return this.#records.subarray(this.#start, this.#start + SIGNATURE_BYTES)
  }

  get record(): OpRecord {
    if (this.#record === undefined) {
      read[next]?.release()
      read[next] = this
      next = (next + 1) % READ_MAX
      this.hold()
    }
    return this.#record!
  }

  /** Keeps the record until it is released. */
  hold(): void {
    if (this.#record !== undefined) return
    const record = readOp(this.bytes)
    // names that many ops repeat are held once
    Object.assign(record, { rid: this.rid }, this.prev !== undefined && { prev: this.prev })
    this.#record = record
  }

  release(): void {
    this.#record = undefined
  }
}

export const headerOf = (op: Op): OpHeader =>
  op instanceof ShelvedOp ? op : { ...headerIn(op.record), prev: prevOf(op) }

const headerIn = ({ rid, ep, seq, hlc, t }: OpRecord) => ({ rid, ep, seq, hlc, t })

/** Work that reads each of these records many times. */
export function whileRead<T>(ops: Iterable<Op>, work: () => T): T {
  const held: ShelvedOp[] = []
  for (const op of ops)
    if (op instanceof ShelvedOp) {
      op.hold()
      held.push(op)
    }
  try {
    return work()
  } finally {
    for (const op of held) op.release()
  }
}

/** Of ops that come one after the other, whose headers are not known yet. */
export class Shelver {
  readonly #ids = new Map<string, string>()

  shelve(id: OpId, shelf: Shelf): ShelvedOp {
    const record = readOp(bytesOn(shelf))
    const prev = record.t === 'space.init' ? undefined : record.prev
    const header = { ...headerIn(record), rid: this.#one(record.rid), prev: prev && this.#one(prev) }
    return new ShelvedOp(this.#one(id), header, shelf)
  }

  /** For equal texts the same one. */
  #one<Id extends string>(id: Id): Id {
    const same = this.#ids.get(id)
    if (same === undefined) this.#ids.set(id, id)
    return (same ?? id) as Id
  }
}
