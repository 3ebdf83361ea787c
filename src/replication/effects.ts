/** What goes into the replica core, and what comes out of it. It has no clock, no luck and no I/O of its own. */
import type { OpId, ReplicaId, SpaceId } from '../core/ids.ts'
import type { SignedOp } from '../core/op.ts'
import type { KeptAddress } from './address-book.ts'
import type { BlobEnd, BlobWant } from './blob-frames.ts'
import type { FrameType, Known } from './frames.ts'
import type { RefusalReason } from './gate.ts'
import type { KeptOp } from './space-set.ts'

/** One open connection, as whoever runs the core numbers it. */
export type LinkId = number

export type CloseReason =
  | 'malformed' // a frame that can't be read before the hello
  | 'hello' // no hello, or not one that holds
  | 'version' // no protocol version in common
  | 'self' // the link leads back here
  | 'other' // somebody else answers at an address than who signed it
  | 'timeout' // no hello in time
  | 'score' // too many misdeeds
  | 'bye' // the peer said so

export type Metric =
  | `refused.${RefusalReason | 'parking-full' | 'waiting-full' | 'rate'}`
  | `blobs.${'wants-full' | 'want-twice' | 'part-unasked' | 'part-misplaced' | 'part-too-long'}`
  | `frames.${FrameType | 'unknown' | 'malformed' | 'unexpected'}`
  | 'ops.admitted'
  | 'ops.known'
  | 'ops.void'
  | 'ops.forked'
  | 'ops.parked'
  | 'ops.expired'
  | 'store.failed'
  | 'reconciliations'
  | 'blobs.lies'
  | 'evidence.written'
  | `links.${CloseReason}`
  | 'addresses.learned'
  | 'addresses.refused'
  | 'addresses.full'
  | 'addresses.failed'

export type Effect =
  | { readonly t: 'send'; readonly link: LinkId; readonly type: FrameType; readonly frame: Uint8Array }
  /** One transaction, answered by `stored` or `storeFailed`; for each space one at a time. */
  | {
      readonly t: 'store'
      readonly space: SpaceId
      readonly insert: readonly KeptOp[]
      readonly remove: readonly OpId[]
    }
  /** Who is at the other end is proved. */
  | { readonly t: 'opened'; readonly link: LinkId; readonly rid: ReplicaId }
  /** Nothing more is to be read from it for so long, on top of what was said before: its sender waits. */
  | { readonly t: 'hold'; readonly link: LinkId; readonly ms: number }
  | { readonly t: 'close'; readonly link: LinkId; readonly why: CloseReason }
  /** Durable ops that are shown from now on, and those that fell out. */
  | {
      readonly t: 'visible'
      readonly space: SpaceId
      readonly added: readonly KeptOp[]
      readonly removed: readonly OpId[]
    }
  /** Leave to take the blobs of a space from whoever is at the other end. */
  | { readonly t: 'ticket'; readonly link: LinkId; readonly space: SpaceId; readonly ticket: string }
  /** The other end asks for bytes of a space that it may read: answered by parts and one end. */
  | {
      readonly t: 'blob-wanted'
      readonly link: LinkId
      readonly rid: ReplicaId
      readonly request: number
      readonly want: BlobWant
    }
  | { readonly t: 'blob-called-off'; readonly link: LinkId; readonly request: number }
  /** The next bytes of what was asked for, and that no more come. */
  | { readonly t: 'blob-part'; readonly link: LinkId; readonly request: number; readonly bytes: Uint8Array }
  | { readonly t: 'blob-end'; readonly link: LinkId; readonly request: number; readonly how: BlobEnd }
  /** A space of a peer that the operator named is kept from now on. */
  | { readonly t: 'adopted'; readonly space: SpaceId; readonly link: LinkId }
  /** A space of another peer costs nothing until the operator adopts it. */
  | { readonly t: 'offered'; readonly space: SpaceId; readonly link: LinkId; readonly by: ReplicaId }
  /** Somebody knows ops of this replica that it does not: its storage is older than its word. */
  | { readonly t: 'amnesia'; readonly space: SpaceId; readonly known: Known }
  /** Both are signed for one place: time to write evidence of it, which is a matter of whoever writes here. */
  | { readonly t: 'accuse'; readonly space: SpaceId; readonly pair: readonly [SignedOp, SignedOp] }
  /** A link is wanted to this replica, at any of these addresses: answered by a link that expects it, or a failure. */
  | { readonly t: 'dial'; readonly rid: ReplicaId; readonly urls: readonly string[] }
  /** Addresses that are kept from now on, each in place of what that replica said before. */
  | { readonly t: 'learned'; readonly addresses: readonly KeptAddress[] }
  | { readonly t: 'forgotten'; readonly rid: ReplicaId }
  | { readonly t: 'report'; readonly metric: Metric; readonly count: number }
