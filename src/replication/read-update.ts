/**
 * Reads a Yjs update that arrived, without Yjs. It takes exactly what write-update.ts writes and stops at the first
 * thing that is anything else, so nothing in it can make Yjs do what an insertion of ops would not.
 */
import { fromUtf8 } from '../core/bytes.ts'
import { isTributaryError } from '../core/errors.ts'
import { isHex64, type OpId } from '../core/ids.ts'
import type { SlotRecord } from './slots.ts'
import {
  KEY_BYTES,
  ROOT,
  type StructureRefusal,
  UPDATE_LIMITS,
  type UpdateLimits,
  type UpdateReading,
} from './update-format.ts'
import { WireReader } from './wire.ts'

class Refused {
  readonly reason: StructureRefusal

  constructor(reason: StructureRefusal) {
    this.reason = reason
  }
}

/** Judges form alone. */
export function readUpdate(update: Uint8Array, limits: UpdateLimits = UPDATE_LIMITS): UpdateReading {
  if (update.length > limits.bytes) return { refused: 'too-large' }
  try {
    return { records: recordsIn(new WireReader(update, 'update'), limits) }
  } catch (error) {
    if (error instanceof Refused) return { refused: error.reason }
    if (isTributaryError(error)) return { refused: 'malformed' }
    throw error
  }
}

function recordsIn(reader: WireReader, limits: UpdateLimits): SlotRecord[] {
  const records: SlotRecord[] = []
  let clientBefore = Infinity
  for (let clients = reader.natural(); clients > 0; clients--) {
    const items = reader.natural()
    if (items > limits.records - records.length) refuse('too-large')
    const client = reader.natural()
    const first = reader.natural()
    if (items === 0 || client >= clientBefore) throw reader.refusal('does not hold each client once, the highest first')
    if (!Number.isSafeInteger(first + items)) throw reader.refusal('holds a clock that is no safe integer')
    clientBefore = client
    for (let i = 0; i < items; i++) records.push({ client, clock: first + i, ...itemIn(reader, limits) })
  }
  if (reader.natural() > 0) refuse('delete-set')
  reader.end()
  return records
}

const BINARY = 3

function itemIn(reader: WireReader, limits: UpdateLimits): Pick<SlotRecord, 'id' | 'record'> {
  const info = reader.u8()
  if ((info & 0x1f) === 0 || info === 10) refuse('struct')
  if ((info & 0xc0) > 0) refuse('origin')
  if ((info & 0x1f) !== BINARY) refuse('content')
  if (reader.natural() !== 1 || text(reader, ROOT.length) !== ROOT) refuse('parent')
  if ((info & 0x20) === 0) refuse('key')
  const id = text(reader, KEY_BYTES)
  if (id === undefined || !isHex64(id)) refuse('key')
  const length = reader.natural()
  if (length > limits.recordBytes) refuse('too-large')
  return { id: id as OpId, record: reader.raw(length) }
}

/** Undefined where it is not of this length. */
function text(reader: WireReader, length: number): string | undefined {
  return reader.natural() === length ? fromUtf8(reader.raw(length)) : undefined
}

function refuse(reason: StructureRefusal): never {
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- caught above, and never seen by anybody
  throw new Refused(reason)
}
