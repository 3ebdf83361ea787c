/**
 * The records of all op types, and the strict reading of them. What each means is judged only by the fold (or-set.ts);
 * here a record is well formed or refused by name.
 */
import { type CanonicalRecord, checkCanonical } from './canonical.ts'
import { type ContributionRecord, parseContribution } from './contribution.ts'
import { type Field, Fields, integer, oneOf, sortedList, text, textAs } from './fields.ts'
import type { ContentRoot, Digest, Name, OpId, ReplicaId, SetRoot, SpaceId } from './ids.ts'
import { parseContentRoot, parseDigest, parseName, parseOpId, parseReplicaId, parseSpaceId } from './ids.ts'
import { fromBase64url } from './bytes.ts'
import { TributaryError } from './errors.ts'

/** Dots one add may replace; see CONTRIBUTION_BYTES_MAX. */
export const REPLACES_MAX = 24
/** Dots one remove may name; the bytes of an op end it about there. */
export const DOTS_MAX = 48
/** Earlier epochs one member.remove may close. */
export const EARLIER_MAX = 128

/** Where in its author's chain an op stands, and which space it is for. */
export type Envelope = {
  readonly v: 1
  readonly sp: SpaceId
  /** Generation of the space. */
  readonly g: number
  readonly rid: ReplicaId
  /** Epoch of the author: a new one after each unclean start. */
  readonly ep: number
  readonly seq: number
  /** The op before it in this epoch; absent exactly at seq 0. */
  readonly prev?: OpId
  /** Hybrid clock in milliseconds: for display and order of listing; it decides nothing. */
  readonly hlc: number
  /** Tree head over the membership ops its author had seen. */
  readonly acl: SetRoot
}

export type Policy = {
  readonly access: 'open' | 'members'
  /** Number of the rules by which the space is folded. */
  readonly rules: number
}

/** The highest first. */
export const ROLES = ['admin', 'writer', 'reader'] as const
export type Role = (typeof ROLES)[number]

/** The last op of an epoch that a removal leaves standing; −1 leaves none. */
export type EpochEnd = readonly [ep: number, lastSeq: number]

export type SpaceInitBody = {
  readonly t: 'space.init'
  readonly name: Name
  /** 32 random bytes: two spaces of one name and one author are two spaces. */
  readonly nonce: Digest
  readonly policy: Policy
  readonly base?: ContentRoot
}
export type AddBody = {
  readonly t: 'add'
  readonly contribution: ContributionRecord
  /** The dots that its author saw in the slot. */
  readonly replaces: readonly OpId[]
}
export type RemoveBody = { readonly t: 'remove'; readonly dots: readonly OpId[] }
export type RevokeBody = { readonly t: 'revoke'; readonly content: ContentRoot; readonly reason?: string }
export type MemberAddBody = {
  readonly t: 'member.add'
  readonly member: ReplicaId
  readonly role: Role
  /** Covers the member's ops from this epoch on; from the first where absent. */
  readonly from_ep?: number
}
export type MemberRemoveBody = {
  readonly t: 'member.remove'
  readonly member: ReplicaId
  /** The member's last op that stands; −1 where none of this epoch does. `ep` and `seq` are the op's own place. */
  readonly last_ep: number
  readonly last_seq: number
  /** Ends of the epochs before, so that they can't be written on afterwards. */
  readonly earlier?: readonly EpochEnd[]
  readonly reason?: string
}
/** Two signed ops of one place in one chain: proof that their author equivocates. */
export type EvidenceBody = { readonly t: 'evidence'; readonly a: string; readonly b: string }
export type AmnestyBody = {
  readonly t: 'amnesty'
  readonly member: ReplicaId
  readonly evidence: OpId
  readonly from_ep: number
  readonly reason?: string
}

/**
 * Types without a meaning under these rules. A name that is not even reserved is typed as one that is: a union can be
 * told apart by literals alone, and nobody looks into an inert op.
 */
export type InertType = 'receipt' | 'attest' | 'dormant' | 'roll'
/** Its other fields are kept as they are, and nobody here reads them. */
export type InertBody = { readonly t: InertType }

export type Body =
  AddBody | RemoveBody | RevokeBody | MemberAddBody | MemberRemoveBody | EvidenceBody | AmnestyBody | InertBody

export type SpaceInitRecord = Omit<Envelope, 'sp' | 'acl' | 'prev'> & SpaceInitBody
export type InnerRecord = Envelope & Body
export type OpRecord = SpaceInitRecord | InnerRecord

const natural = integer(0)
const rid = textAs(parseReplicaId)
const dots = (min: number, max: number) => sortedList(textAs(parseOpId), (dot) => dot, { min, max })

/** Rules other than 1 are read, so that the ops of such a space can be stored and passed on; the fold answers for them. */
const policy: Field<Policy> = (value) => {
  const fields = new Fields(value, 'OP_INVALID', 'the policy')
  const given: Policy = {
    access: fields.take('access', oneOf('open', 'members')),
    rules: fields.take('rules', integer(1)),
  }
  fields.end()
  return given
}

const epochEnd: Field<EpochEnd> = (value) => {
  if (!Array.isArray(value) || value.length !== 2) throw new TributaryError('OP_INVALID', 'an item is not a pair')
  return [natural(value[0]), integer(-1)(value[1])]
}

const earlierEnds =
  (lastEp: number): Field<readonly EpochEnd[]> =>
  (value) => {
    if (!Array.isArray(value) || value.length < 1 || value.length > EARLIER_MAX)
      throw new TributaryError('OP_INVALID', `it takes a list of 1 to ${EARLIER_MAX}`)
    const ends = value.map(epochEnd)
    const epochs = [...ends.map(([epoch]) => epoch), lastEp]
    if (epochs.some((epoch, i) => i > 0 && epochs[i - 1]! >= epoch))
      throw new TributaryError('OP_INVALID', `its epochs do not ascend to less than ${lastEp}`)
    return ends
  }

const signedOp = textAs((encoded) => {
  fromBase64url(encoded)
  return encoded
})

function envelope(fields: Fields): Envelope {
  const seq = fields.take('seq', natural)
  if (seq === 0) fields.refuse('prev', 'the first op of an epoch has none before it')
  return {
    v: fields.take('v', oneOf(1)),
    sp: fields.take('sp', textAs(parseSpaceId)),
    g: fields.take('g', natural),
    rid: fields.take('rid', rid),
    ep: fields.take('ep', natural),
    seq,
    ...(seq > 0 && { prev: fields.take('prev', textAs(parseOpId)) }),
    hlc: fields.take('hlc', natural),
    acl: fields.take(
      'acl',
      textAs((head) => parseDigest(head) as string as SetRoot),
    ),
  }
}

function spaceInit(fields: Fields): SpaceInitRecord {
  for (const key of ['sp', 'acl', 'prev']) fields.refuse(key, 'nothing is before the first op of a space')
  return {
    v: fields.take('v', oneOf(1)),
    g: fields.take('g', oneOf(0)),
    rid: fields.take('rid', rid),
    ep: fields.take('ep', natural),
    seq: fields.take('seq', oneOf(0)),
    hlc: fields.take('hlc', natural),
    t: fields.take('t', oneOf('space.init')),
    name: fields.take('name', textAs(parseName)),
    nonce: fields.take('nonce', textAs(parseDigest)),
    policy: fields.take('policy', policy),
    ...fields.maybe('base', textAs(parseContentRoot)),
  }
}

const TYPE = /^[a-z][a-z0-9_.-]{0,63}$/

function bodyOf(t: string, fields: Fields): Body {
  switch (t) {
    case 'add':
      return {
        t,
        contribution: fields.take('contribution', parseContribution),
        replaces: fields.take('replaces', dots(0, REPLACES_MAX)),
      }
    case 'remove':
      return { t, dots: fields.take('dots', dots(1, DOTS_MAX)) }
    case 'revoke':
      return { t, content: fields.take('content', textAs(parseContentRoot)), ...fields.maybe('reason', text) }
    case 'member.add':
      return {
        t,
        member: fields.take('member', rid),
        role: fields.take('role', oneOf(...ROLES)),
        ...fields.maybe('from_ep', natural),
      }
    case 'member.remove': {
      const lastEp = fields.take('last_ep', natural)
      return {
        t,
        member: fields.take('member', rid),
        last_ep: lastEp,
        last_seq: fields.take('last_seq', integer(-1)),
        ...fields.maybe('earlier', earlierEnds(lastEp)),
        ...fields.maybe('reason', text),
      }
    }
    case 'evidence':
      return { t, a: fields.take('a', signedOp), b: fields.take('b', signedOp) }
    case 'amnesty':
      return {
        t,
        member: fields.take('member', rid),
        evidence: fields.take('evidence', textAs(parseOpId)),
        from_ep: fields.take('from_ep', natural),
        ...fields.maybe('reason', text),
      }
    default:
      if (!TYPE.test(t)) throw fields.refusal(`has the type ${JSON.stringify(t.slice(0, 80))}`, 't')
      return { t: t as InertType, ...(fields.rest() as CanonicalRecord) }
  }
}

/** The record, or a refusal that names the field. That both ops of an evidence are what they should be, op.ts sees to. */
export function parseOpRecord(value: unknown): OpRecord {
  checkCanonical(value)
  const fields = new Fields(value, 'OP_INVALID', 'the op')
  const t = fields.take('t', text)
  const record = t === 'space.init' ? spaceInit(fields) : { ...envelope(fields), ...bodyOf(t, fields) }
  if (!isInert(record)) fields.end()
  return record
}

const TYPES: ReadonlySet<string> = new Set([
  'space.init',
  'add',
  'remove',
  'revoke',
  'member.add',
  'member.remove',
  'evidence',
  'amnesty',
])

export const hasMeaning = (t: string): boolean => TYPES.has(t)

/** Stored and passed on, without a meaning under these rules: the reserved types and those of later versions. */
export const isInert = (record: OpRecord): record is Envelope & InertBody => !hasMeaning(record.t)

/** Ops that say who may do what: `acl` is the tree head over their ids. */
export const isMembershipOp = ({ t }: { readonly t: string }): boolean =>
  t === 'space.init' || t === 'member.add' || t === 'member.remove' || t === 'amnesty'
