/**
 * Ops: signed records, each named by the digest of its bytes. On the wire and on disk an op is `signature ‖ bytes`.
 * The signature is no part of the name: a known op under another valid signature is the same op.
 */
import { base64url, concat, fromBase64url, fromHex } from './bytes.ts'
import { canonicalBytes, parseCanonical, SIZE_LIMITS } from './canonical.ts'
import { trustContribution } from './contribution.ts'
import { digestBytes, digestOf } from './digest.ts'
import { TributaryError } from './errors.ts'
import type { OpId, SetRoot, SpaceId } from './ids.ts'
import { setRoot } from './merkle.ts'
import { type Envelope, type EvidenceBody, type OpRecord, parseOpRecord, type SpaceInitRecord } from './op-schemas.ts'
import { SIGNATURE_BYTES, verify } from './signature.ts'

export interface Op<R extends OpRecord = OpRecord> {
  readonly id: OpId
  readonly record: R
  /** The record's canonical form: what is hashed and signed. */
  readonly bytes: Uint8Array
}

export interface SignedOp<R extends OpRecord = OpRecord> extends Op<R> {
  readonly signature: Uint8Array
}

const sizeLimit = ({ t }: OpRecord): number => (t === 'evidence' ? SIZE_LIMITS.evidence : SIZE_LIMITS.op)

function opOf<R extends OpRecord>(record: R, bytes: Uint8Array): Op<R> {
  const limit = sizeLimit(record)
  if (bytes.length > limit)
    throw new TributaryError('OP_INVALID', `the op takes ${bytes.length} bytes, where at most ${limit} are allowed`, {
      details: { bytes: bytes.length, max: limit },
    })
  if (record.t === 'evidence') twoOpsOfOnePlace(record)
  return { id: digestBytes<OpId>('op', bytes), record, bytes }
}

/** From a record that its author made. It is read as strictly as one that arrives. */
export const makeOp = <R extends OpRecord>(record: R): Op<R> => opOf(parseOpRecord(record) as R, canonicalBytes(record))

/** From bytes that arrived: refused unless they are the canonical form of a well-formed record. */
export const parseOp = (bytes: Uint8Array): Op =>
  opOf(parseOpRecord(parseCanonical(bytes, SIZE_LIMITS.evidence)), bytes)

/** From one's own storage, where only ops lie that were read and verified when they came: nothing is judged again. */
export function readOp(bytes: Uint8Array): OpRecord {
  const record = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')) as OpRecord
  if (record.t === 'add') trustContribution(record.contribution, contributionIn(bytes))
  return record
}

/** In canonical bytes `acl` stands before it and `ep` after it, and neither does anywhere behind that. */
function contributionIn(bytes: Uint8Array): Uint8Array {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const key = '"contribution":'
  return whole.subarray(whole.indexOf(key) + key.length, whole.lastIndexOf(',"ep":'))
}

export const encodeSigned = ({ signature, bytes }: SignedOp): Uint8Array => concat(signature, bytes)

/** Checks the form, not the signature. */
export function decodeSigned(encoded: Uint8Array): SignedOp {
  if (encoded.length <= SIGNATURE_BYTES)
    throw new TributaryError('OP_INVALID', `${encoded.length} bytes are too few for a signature and an op`)
  return { ...parseOp(encoded.slice(SIGNATURE_BYTES)), signature: encoded.slice(0, SIGNATURE_BYTES) }
}

/**
 * Believes nothing but the bytes: form, schema, id, signature, and for evidence the signatures inside. What it answers
 * is made from the bytes anew.
 */
export function verifyOp(given: SignedOp): SignedOp {
  const op = parseOp(given.bytes)
  if (op.id !== given.id)
    throw new TributaryError('DIGEST_MISMATCH', `this op is ${op.id}, and not ${given.id}, as it says`)
  if (!verify('op', op.bytes, op.record.rid, given.signature))
    throw new TributaryError('SIGNATURE_INVALID', `the op ${op.id} is not signed by ${op.record.rid}`, {
      details: { id: op.id, rid: op.record.rid },
    })
  if (op.record.t === 'evidence') twoOpsOfOnePlace(op.record).forEach(verifyOp)
  return { ...op, signature: given.signature }
}

export type Verify = typeof verify

/** Whether an op read from its bytes is signed by its author, and an evidence also by whom it accuses. */
export const signaturesHold = (op: SignedOp, verifies: Verify): boolean =>
  verifies('op', op.bytes, op.record.rid, op.signature) &&
  (op.record.t !== 'evidence' || twoOpsOfOnePlace(op.record).every((inner) => signaturesHold(inner, verifies)))

export const isSpaceInit = (op: Op): op is Op<SpaceInitRecord> => op.record.t === 'space.init'

/** The space that an op is for: its own id names it where it is the first. */
export const spaceOf = ({ id, record }: Op): SpaceId =>
  record.t === 'space.init' ? (id.slice(0, 32) as SpaceId) : record.sp

export const spaceIdOf = (init: Op<SpaceInitRecord>): SpaceId => spaceOf(init)

/** The op that it follows in its chain. */
export const prevOf = ({ record }: Op): OpId | undefined => (record.t === 'space.init' ? undefined : record.prev)

/** An author may sign one op for each place in its chain. */
const samePlace = (a: Op, b: Op): boolean =>
  spaceOf(a) === spaceOf(b) &&
  a.record.rid === b.record.rid &&
  a.record.g === b.record.g &&
  a.record.ep === b.record.ep &&
  a.record.seq === b.record.seq

/** Self-contained proof that one author signed two ops for one place of this space. */
function twoOpsOfOnePlace(evidence: Envelope & EvidenceBody): readonly [SignedOp, SignedOp] {
  const { sp, a, b } = evidence
  const [one, two] = [decodeSigned(fromBase64url(a)), decodeSigned(fromBase64url(b))]
  if (!samePlace(one, two) || spaceOf(one) !== sp)
    throw new TributaryError('OP_INVALID', 'the evidence holds ops of two places, or of another space', {
      pointer: '/b',
    })
  if (one.id >= two.id)
    throw new TributaryError('OP_INVALID', 'the evidence does not hold two ops sorted by id', { pointer: '/b' })
  accused.set(evidence, one)
  return [one, two]
}

/** Body of the op that proves it. */
export function evidenceOf(one: SignedOp, two: SignedOp): EvidenceBody {
  const [a, b] = one.id < two.id ? [one, two] : [two, one]
  return { t: 'evidence', a: base64url(encodeSigned(a)), b: base64url(encodeSigned(b)) }
}

/** The first of the two ops: it says who is accused, and of which place. */
export const accusedBy = (evidence: EvidenceBody): Op =>
  accused.get(evidence) ?? decodeSigned(fromBase64url(evidence.a))

// reading an evidence decodes it anyway, and each fold asks
const accused = new WeakMap<EvidenceBody, Op>()

/** The number by which Yjs knows a chain: 53 bits, never 0. */
export function clientIdOf({ ep, g, rid, sp }: Pick<Envelope, 'ep' | 'g' | 'rid' | 'sp'>): number {
  const digest = fromHex(digestOf('clock', { ep, g, rid, sp }))
  const view = new DataView(digest.buffer)
  return view.getUint32(0) * 2 ** 21 + (view.getUint32(4) >>> 11) || 1
}

/** `acl` of an author who has seen these membership ops (op-schemas.ts says which ops those are). */
export const aclOf = (membershipOps: Iterable<OpId>): SetRoot => setRoot(membershipOps)
