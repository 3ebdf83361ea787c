/**
 * Five minutes of leave to take the blobs of one space: given to a member over its link, shown with each request. Made and
 * checked by this replica alone, under a secret that lasts until it stops.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { base64url, concat, fromBase64url, fromHex, hex } from '../../core/bytes.ts'
import { TributaryError } from '../../core/errors.ts'
import type { ReplicaId, SpaceId } from '../../core/ids.ts'

export const TICKET_LIFE_MS = 5 * 60 * 1000
const RID_BYTES = 32
const SPACE_BYTES = 16
const TIME_BYTES = 8
const MAC_BYTES = 32
const CLAIM_BYTES = RID_BYTES + SPACE_BYTES + TIME_BYTES

export interface Leave {
  readonly rid: ReplicaId
  readonly space: SpaceId
}

export interface Tickets {
  give(leave: Leave, nowMs: number): string
  /** UNAUTHORIZED for one that is none, was changed, or is over. */
  check(ticket: string, nowMs: number): Leave
}

const refused = (why: string) =>
  new TributaryError('UNAUTHORIZED', `the ticket ${why}`, { hint: 'ask for a new one over the link' })

export function createTickets(secret: Uint8Array): Tickets {
  const macOf = (claim: Uint8Array) => createHmac('sha256', secret).update('blobs/').update(claim).digest()
  return {
    give({ rid, space }, nowMs) {
      const time = new Uint8Array(TIME_BYTES)
      new DataView(time.buffer).setFloat64(0, nowMs + TICKET_LIFE_MS)
      const claim = concat(fromHex(rid), fromHex(space), time)
      return base64url(concat(claim, new Uint8Array(macOf(claim))))
    },
    check(ticket, nowMs) {
      const bytes = bytesOf(ticket)
      const claim = bytes.subarray(0, CLAIM_BYTES)
      if (!timingSafeEqual(bytes.subarray(CLAIM_BYTES), macOf(claim))) throw refused('is not of this replica')
      const view = new DataView(claim.buffer, claim.byteOffset, claim.byteLength)
      if (!(nowMs < view.getFloat64(RID_BYTES + SPACE_BYTES))) throw refused('is over')
      return {
        rid: hex(claim.subarray(0, RID_BYTES)) as ReplicaId,
        space: hex(claim.subarray(RID_BYTES, RID_BYTES + SPACE_BYTES)) as SpaceId,
      }
    },
  }
}

function bytesOf(ticket: string): Uint8Array {
  try {
    const bytes = fromBase64url(ticket.slice(0, 200))
    if (bytes.length === CLAIM_BYTES + MAC_BYTES) return bytes
  } catch {
    // told below
  }
  throw refused('is none')
}
