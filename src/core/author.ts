/** Writing the next op of a chain: pure, so whoever calls keeps the head, the clock and the lock. */
import { TributaryError } from './errors.ts'
import type { OpId, SetRoot, SpaceId } from './ids.ts'
import { invariant } from './invariant.ts'
import { makeOp, type Op, type SignedOp } from './op.ts'
import type { Body, Envelope, InnerRecord, OpRecord, SpaceInitBody, SpaceInitRecord } from './op-schemas.ts'
import { type KeyPair, sign } from './signature.ts'

/** Where an author's chain ends. */
export interface ChainHead {
  readonly ep: number
  readonly nextSeq: number
  readonly lastId?: OpId | undefined
  readonly lastHlc: number
}

export interface Authoring {
  readonly key: KeyPair
  readonly head: ChainHead
  /** Milliseconds since 1970 as the replica's clock tells them now. */
  readonly now: number
}

export interface SpaceAuthoring extends Authoring {
  readonly space: SpaceId
  readonly g?: number
  /** Of the membership ops its author has seen. */
  readonly acl: SetRoot
}

export const emptyHead = (ep: number): ChainHead => ({ ep, nextSeq: 0, lastHlc: 0 })

/** The head after this op was written. */
export const headAfter = ({ id, record }: Op): ChainHead => ({
  ep: record.ep,
  nextSeq: record.seq + 1,
  lastId: id,
  lastHlc: record.hlc,
})

/** Later than what it follows, and not behind the clock. It looks at the author's own chain alone: nobody can push it. */
export function nextHlc(last: number, now: number): number {
  const next = Math.max(last + 1, Math.floor(now), 0)
  if (!Number.isSafeInteger(next)) throw new TributaryError('OP_INVALID', `no time is after ${last}`)
  return next
}

const signed = <R extends OpRecord>(record: R, key: KeyPair): SignedOp<R> => {
  const op = makeOp(record)
  return { ...op, signature: sign('op', op.bytes, key) }
}

/** The first op of a new space, which gives the space its id. */
export function authorSpace({ key, head, now }: Authoring, body: Omit<SpaceInitBody, 't'>): SignedOp<SpaceInitRecord> {
  invariant(head.nextSeq === 0, 'a space begins at the start of a chain')
  const hlc = nextHlc(head.lastHlc, now)
  return signed({ v: 1, g: 0, rid: key.rid, ep: head.ep, seq: 0, hlc, t: 'space.init', ...body }, key)
}

/** The next op of this author in this space. */
export function authorOp(authoring: SpaceAuthoring, body: Body): SignedOp<InnerRecord> {
  const { key, head, now, space, g = 0, acl } = authoring
  invariant((head.nextSeq === 0) === (head.lastId === undefined), 'a chain has a last op once it has begun')
  const envelope: Envelope = {
    v: 1,
    sp: space,
    g,
    rid: key.rid,
    ep: head.ep,
    seq: head.nextSeq,
    ...(head.lastId !== undefined && { prev: head.lastId }),
    hlc: nextHlc(head.lastHlc, now),
    acl,
  }
  return signed({ ...envelope, ...body }, key)
}
