/**
 * Messages of reconciliation: ranges of ids in the order of time, each up to a bound, with what the sender says about it.
 *
 *   message     = count of ranges, range…; what no range covers is settled
 *   range       = bound, 0 (settled) | 1, fingerprint | 2, count, raw ids ascending
 *   bound       = 0 (no end) | its ms − that of the bound before + 1, length of prefix, prefix
 */
import { compareHex, fromHex, hex } from '../core/bytes.ts'
import type { OpId } from '../core/ids.ts'
import { type Bound, FINGERPRINT_BYTES } from './ordered-ids.ts'
import { WireReader, WireWriter } from './wire.ts'

/** A frame of 128 KiB holds it, with the session that it is of. */
export const MESSAGE_BYTES_MAX = 127 * 1024
/** More than what fits, for ranges that say anything. */
export const RANGES_MAX = 8192

export type Statement =
  | { readonly kind: 'settled' }
  | { readonly kind: 'fingerprint'; readonly fingerprint: Uint8Array }
  | { readonly kind: 'ids'; readonly ids: readonly OpId[] }
/** From the end of the range before up to `end`; undefined has no end. */
export type Range = { readonly end: Bound | undefined } & Statement

export const isAfter = (bound: Bound, other: Bound): boolean =>
  bound.ms > other.ms || (bound.ms === other.ms && bound.prefix > other.prefix)

const START: Bound = { ms: 0, prefix: '' }
const KINDS = ['settled', 'fingerprint', 'ids'] as const
const ID_BYTES = 32

/** At most. */
export const rangeBytes = (range: Range): number => {
  const bound = 8 + 1 + (range.end?.prefix.length ?? 0) / 2
  return bound + 1 + (range.kind === 'ids' ? 4 + ID_BYTES * range.ids.length : FINGERPRINT_BYTES)
}

export function encodeRanges(ranges: readonly Range[]): Uint8Array {
  let before = START
  return new WireWriter()
    .list(ranges, (writer, range) => {
      const { end } = range
      if (end === undefined) writer.natural(0)
      else {
        writer
          .natural(end.ms - before.ms + 1)
          .u8(end.prefix.length / 2)
          .raw(fromHex(end.prefix))
        before = end
      }
      writer.u8(KINDS.indexOf(range.kind))
      if (range.kind === 'fingerprint') writer.raw(range.fingerprint)
      if (range.kind === 'ids') writer.list([...range.ids].sort(compareHex), (to, id) => void to.id(id))
    })
    .end()
}

/** Anything but what encodeRanges writes is FRAME_INVALID. */
export function decodeRanges(message: Uint8Array): Range[] {
  const reader = new WireReader(message, 'reconcile')
  if (message.length > MESSAGE_BYTES_MAX) throw reader.refusal(`is longer than ${MESSAGE_BYTES_MAX} bytes`)
  let before: Bound | undefined = START
  const ranges = reader.list(RANGES_MAX, (from): Range => {
    if (before === undefined) throw from.refusal('goes on after the range without an end')
    const end = boundAfter(before, from)
    before = end
    return { end, ...statementIn(from) }
  })
  reader.end()
  return ranges
}

function boundAfter(before: Bound, reader: WireReader): Bound | undefined {
  const delta = reader.natural()
  if (delta === 0) return undefined
  const ms = before.ms + delta - 1
  if (!Number.isSafeInteger(ms)) throw reader.refusal('holds a time that is no safe integer')
  const end = { ms, prefix: hex(reader.raw(reader.below(ID_BYTES + 1))) }
  if (!isAfter(end, before)) throw reader.refusal('holds ranges that do not ascend')
  return end
}

function statementIn(reader: WireReader): Statement {
  const kind = KINDS[reader.below(KINDS.length)]!
  if (kind === 'settled') return { kind }
  if (kind === 'fingerprint') return { kind, fingerprint: reader.raw(FINGERPRINT_BYTES) }
  const ids = reader.list(MESSAGE_BYTES_MAX / ID_BYTES, (from) => from.id<OpId>())
  if (ids.some((id, i) => i > 0 && ids[i - 1]! >= id)) throw reader.refusal('holds ids that do not ascend')
  return { kind, ids }
}
