/** Writes ops as a Yjs update without a document (update-format.ts has the form). */
import { utf8 } from '../core/bytes.ts'
import { invariant } from '../core/invariant.ts'
import type { SlotRecord } from './slots.ts'
import { ITEM_START, KEY_BYTES, type UpdateLimits } from './update-format.ts'
import { WireWriter } from './wire.ts'

/** At most: a length takes no more than four bytes. */
const bytesOf = ({ record }: SlotRecord): number => ITEM_START.length + KEY_BYTES + 4 + record.length

/** By client, the highest first; within one by clock. */
const inOrder = (records: readonly SlotRecord[]): SlotRecord[] =>
  [...records].sort((a, b) => b.client - a.client || a.clock - b.clock)

/** Runs of one client; an update has room for one run of each. */
function runsOf(records: readonly SlotRecord[]): SlotRecord[][] {
  const runs: SlotRecord[][] = []
  for (const record of inOrder(records)) {
    const run = runs.at(-1)
    const last = run?.at(-1)
    if (run === undefined || last?.client !== record.client) runs.push([record])
    else {
      invariant(record.clock === last.clock + 1, 'the ops of a client stand one after the other in an update')
      run.push(record)
    }
  }
  return runs
}

/** The ops of each client must stand one after the other. */
export function encodeRecords(records: readonly SlotRecord[]): Uint8Array {
  const runs = runsOf(records)
  const writer = new WireWriter().natural(runs.length)
  for (const run of runs) {
    writer.natural(run.length).natural(run[0]!.client).natural(run[0]!.clock)
    for (const { id, record } of run) writer.raw(ITEM_START).raw(utf8(id)).bytes(record)
  }
  return writer.natural(0).end()
}

/** More ops than one update may hold, as several, in an order in which each can be admitted. */
export function encodeInParts(records: readonly SlotRecord[], limits: UpdateLimits): Uint8Array[] {
  const parts: SlotRecord[][] = []
  let bytes = Infinity
  for (const record of inOrder(records)) {
    // 32 bytes are more than a client can add to it
    const more = bytesOf(record) + 32
    if (bytes + more > limits.bytes || parts.at(-1)!.length >= limits.records) {
      parts.push([])
      bytes = 32
    }
    parts.at(-1)!.push(record)
    bytes += more
  }
  return parts.map(encodeRecords)
}
