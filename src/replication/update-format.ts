/**
 * The one form in which ops travel as a Yjs update (v1): for each client, highest first, its ops from one clock on, each
 * an item of one clock in the root map `ops`, and an empty delete set. A stock Yjs writes exactly these bytes for a
 * document of ops; whatever else Yjs would read is refused by name.
 *
 *   update  = count of clients, client…, 0 (deletions)
 *   client  = count of items, client id, first clock, item…
 *   item    = 0x23 (binary content under a key, no origins), 1 (parent is a root), 'ops', key, record
 *   strings and records carry their length in front; numbers are varints
 */
import { utf8 } from '../core/bytes.ts'
import { SIZE_LIMITS } from '../core/canonical.ts'
import { SIGNATURE_BYTES } from '../core/signature.ts'
import type { SlotRecord } from './slots.ts'

export const ROOT = 'ops'
export const ITEM_INFO = 0x23
export const KEY_BYTES = 64
/** What stands before the key of each item. */
export const ITEM_START = Uint8Array.of(ITEM_INFO, 1, ROOT.length, ...utf8(ROOT), KEY_BYTES)

export interface UpdateLimits {
  readonly bytes: number
  readonly records: number
  readonly recordBytes: number
}
export const UPDATE_LIMITS: UpdateLimits = {
  bytes: 4 * 1024 * 1024 - 1024, // a frame of 4 MiB holds it, with the space that it is for
  records: 10_000,
  recordBytes: SIGNATURE_BYTES + SIZE_LIMITS.evidence,
}

/** Why an update is refused whole, before any op in it is looked at. */
export type StructureRefusal =
  | 'malformed' // not an update, or spelled otherwise than ours
  | 'too-large' // more bytes or ops than a message or a record may have
  | 'delete-set' // it deletes
  | 'struct' // something that is not an item: collected garbage, or a gap
  | 'origin' // an item set beside another
  | 'content' // not one byte string
  | 'parent' // not in the root map of ops
  | 'key' // not 64 hex digits

export type UpdateReading =
  | { readonly records: readonly SlotRecord[]; readonly refused?: never }
  | { readonly refused: StructureRefusal; readonly records?: never }
