/**
 * What travels over a link: frames of u8 type, u32 length (big-endian) and body. Every type has a size, every list a
 * count, every number one spelling. A type that nobody knows is let pass; a body that is malformed is refused by name.
 */
import { concat } from '../core/bytes.ts'
import { isTributaryError, TributaryError } from '../core/errors.ts'
import type { OpId, ReplicaId, SetRoot, SpaceId } from '../core/ids.ts'
import { at } from '../core/invariant.ts'
import { SIGNATURE_BYTES } from '../core/signature.ts'
import { ADDRESS_BYTES_MAX } from './address-limits.ts'
import { BLOB_FRAMES, type BlobBodies } from './blob-frames.ts'
import { WireReader, WireWriter } from './wire.ts'

export const PROTOCOL_VERSION = 1
export const NONCE_BYTES = 32
export const FRAME_HEADER_BYTES = 5

/** Highest place of a chain that somebody knows. */
export interface Known {
  readonly ep: number
  readonly seq: number
}

/** An author's fork: the lowest place with two ops, and the two of smallest id there. */
export interface Fork {
  readonly rid: ReplicaId
  readonly ep: number
  readonly seq: number
  readonly pair: readonly [OpId, OpId]
}

export interface SpaceOffer {
  readonly space: SpaceId
  /** What I know of the one I talk to. */
  readonly known?: Known
}

export interface SpaceRoots {
  readonly space: SpaceId
  readonly ops: number
  readonly opsRoot: SetRoot
}

export const ID_KINDS = ['ihave', 'iwant', 'graft', 'prune'] as const
export type IdKind = (typeof ID_KINDS)[number]

interface Bodies extends BlobBodies {
  readonly hello: {
    readonly versions: readonly [min: number, max: number]
    readonly rid: ReplicaId
    readonly nonce: Uint8Array
  }
  readonly 'hello-ack': {
    readonly version: number
    readonly spaces: readonly SpaceOffer[]
    readonly signature: Uint8Array
  }
  readonly 'state-vector': {
    readonly space: SpaceId
    readonly vector: Uint8Array
    readonly forks: readonly Fork[]
    readonly opsRoot: SetRoot
    readonly root: SetRoot
    /** Asks for the other's vector in return. */
    readonly ask: boolean
  }
  readonly update: { readonly space: SpaceId; readonly update: Uint8Array }
  readonly need: { readonly space: SpaceId; readonly rid: ReplicaId; readonly ep: number; readonly from: number }
  readonly ids: { readonly space: SpaceId; readonly kind: IdKind; readonly ids: readonly OpId[] }
  readonly reconcile: {
    readonly space: SpaceId
    readonly session: number
    readonly answer: boolean
    readonly message: Uint8Array
  }
  readonly records: { readonly space: SpaceId; readonly records: readonly Uint8Array[] }
  readonly roots: { readonly spaces: readonly SpaceRoots[] }
  /** Asks for leave to take the blobs of a space over HTTP. */
  readonly 'ticket-want': { readonly space: SpaceId }
  readonly ticket: { readonly space: SpaceId; readonly ticket: string }
  /** Where the sender may be dialed, and those that it is linked to: each record as its owner signed it. */
  readonly addresses: { readonly addresses: readonly Uint8Array[] }
  readonly bye: { readonly code: string; readonly retryAfterMs: number }
}

export type FrameType = keyof Bodies
export type FrameOf<T extends FrameType> = { readonly t: T } & Bodies[T]
export type Frame = { [T in FrameType]: FrameOf<T> }[FrameType]

/** Bytes of one op record on the wire: a signature, and an evidence at the most. */
export const RECORD_BYTES_MAX = SIGNATURE_BYTES + 16 * 1024
export const IDS_MAX = 512
export const SPACES_MAX = 128
export const FORKS_MAX = 256
export const RECORDS_MAX = 10_000
export const TICKET_CHARACTERS_MAX = 512
export const ADDRESSES_MAX = 20

interface Kind<T extends FrameType> {
  readonly number: number
  readonly bytesMax: number
  readonly write: (body: Bodies[T], writer: WireWriter) => void
  readonly read: (reader: WireReader) => Bodies[T]
}

const KiB = 1024
const MiB = 1024 * KiB

const flag = (reader: WireReader): boolean => {
  const value = reader.u8()
  if (value > 1) throw reader.refusal(`has ${value} where 0 or 1 may stand`)
  return value === 1
}

const fork = (reader: WireReader): Fork => {
  const [rid, ep, seq] = [reader.id<ReplicaId>(), reader.natural(), reader.natural()]
  const pair = [reader.id<OpId>(), reader.id<OpId>()] as const
  if (pair[0] >= pair[1]) throw reader.refusal('names a fork whose two ops are not sorted')
  return { rid, ep, seq, pair }
}

/** It goes into a header as it is. */
const ticketText = (reader: WireReader): string => {
  const text = reader.text(TICKET_CHARACTERS_MAX)
  if (!/^[A-Za-z0-9_-]+$/.test(text)) throw reader.refusal('holds a ticket that is none')
  return text
}

const KINDS: { readonly [T in FrameType]: Kind<T> } = {
  hello: {
    number: 1,
    bytesMax: 8 * KiB,
    write: ({ versions, rid, nonce }, writer) => void writer.u8(versions[0]).u8(versions[1]).id(rid).raw(nonce),
    read: (reader) => ({ versions: [reader.u8(), reader.u8()], rid: reader.id(), nonce: reader.raw(NONCE_BYTES) }),
  },
  'hello-ack': {
    number: 2,
    bytesMax: 8 * KiB,
    write: (frame, writer) => void writer.raw(frame.signature).raw(helloBody(frame)),
    read: (reader) => ({
      signature: reader.raw(SIGNATURE_BYTES),
      version: reader.u8(),
      spaces: reader.list(SPACES_MAX, (one) => ({
        space: one.space<SpaceId>(),
        ...(flag(one) && { known: { ep: one.natural(), seq: one.natural() } }),
      })),
    }),
  },
  'state-vector': {
    number: 3,
    bytesMax: 128 * KiB,
    write: ({ space, vector, forks, opsRoot, root, ask }, writer) =>
      void writer
        .space(space)
        .u8(Number(ask))
        .id(opsRoot)
        .id(root)
        .bytes(vector)
        .list(forks, (one, { rid, ep, seq, pair }) => one.id(rid).natural(ep).natural(seq).id(pair[0]).id(pair[1])),
    read: (reader) => ({
      space: reader.space(),
      ask: flag(reader),
      opsRoot: reader.id(),
      root: reader.id(),
      vector: reader.bytes(64 * KiB),
      forks: reader.list(FORKS_MAX, fork),
    }),
  },
  update: {
    number: 4,
    bytesMax: 4 * MiB,
    write: ({ space, update }, writer) => void writer.space(space).raw(update),
    read: (reader) => ({ space: reader.space(), update: reader.rest() }),
  },
  need: {
    number: 5,
    bytesMax: 128,
    write: ({ space, rid, ep, from }, writer) => void writer.space(space).id(rid).natural(ep).natural(from),
    read: (reader) => ({ space: reader.space(), rid: reader.id(), ep: reader.natural(), from: reader.natural() }),
  },
  ids: {
    number: 6,
    bytesMax: 32 * IDS_MAX + 32,
    write: ({ space, kind, ids }, writer) =>
      void writer
        .space(space)
        .u8(ID_KINDS.indexOf(kind))
        .list(ids, (one, id) => one.id(id)),
    read: (reader) => ({
      space: reader.space(),
      kind: at(ID_KINDS, reader.below(ID_KINDS.length)),
      ids: reader.list(IDS_MAX, (one) => one.id<OpId>()),
    }),
  },
  reconcile: {
    number: 7,
    bytesMax: 128 * KiB,
    write: ({ space, session, answer, message }, writer) =>
      void writer.space(space).natural(session).u8(Number(answer)).raw(message),
    read: (reader) => ({
      space: reader.space(),
      session: reader.natural(),
      answer: flag(reader),
      message: reader.rest(),
    }),
  },
  records: {
    number: 8,
    bytesMax: MiB,
    write: ({ space, records }, writer) => void writer.space(space).list(records, (one, record) => one.bytes(record)),
    read: (reader) => ({
      space: reader.space(),
      records: reader.list(RECORDS_MAX, (one) => one.bytes(RECORD_BYTES_MAX)),
    }),
  },
  roots: {
    number: 9,
    bytesMax: 16 * KiB,
    write: ({ spaces }, writer) =>
      void writer.list(spaces, (one, { space, ops, opsRoot }) => one.space(space).natural(ops).id(opsRoot)),
    read: (reader) => ({
      spaces: reader.list(SPACES_MAX, (one) => ({
        space: one.space<SpaceId>(),
        ops: one.natural(),
        opsRoot: one.id<SetRoot>(),
      })),
    }),
  },
  'ticket-want': {
    number: 10,
    bytesMax: 16,
    write: ({ space }, writer) => void writer.space(space),
    read: (reader) => ({ space: reader.space() }),
  },
  ticket: {
    number: 11,
    bytesMax: KiB,
    write: ({ space, ticket }, writer) => void writer.space(space).text(ticket),
    read: (reader) => ({ space: reader.space(), ticket: ticketText(reader) }),
  },
  bye: {
    number: 12,
    bytesMax: KiB,
    write: ({ code, retryAfterMs }, writer) => void writer.text(code).natural(retryAfterMs),
    read: (reader) => ({ code: reader.text(64), retryAfterMs: reader.natural() }),
  },
  ...BLOB_FRAMES,
  addresses: {
    number: 16,
    bytesMax: 32 * KiB,
    write: ({ addresses }, writer) => void writer.list(addresses, (one, address) => one.bytes(address)),
    read: (reader) => ({ addresses: reader.list(ADDRESSES_MAX, (one) => one.bytes(ADDRESS_BYTES_MAX)) }),
  },
}

export const FRAME_TYPES = Object.keys(KINDS) as FrameType[]
const typeByNumber = new Map(FRAME_TYPES.map((t) => [KINDS[t].number, t]))

/** What a hello-ack says besides its signature. */
const helloBody = ({ version, spaces }: Pick<FrameOf<'hello-ack'>, 'version' | 'spaces'>): Uint8Array =>
  new WireWriter()
    .u8(version)
    .list(spaces, (one, { space, known }) => {
      one.space(space).u8(known === undefined ? 0 : 1)
      if (known !== undefined) one.natural(known.ep).natural(known.seq)
    })
    .end()

/** Who says hello to whom, each with the nonce it gave for this link alone. */
export interface Greeting {
  readonly from: ReplicaId
  readonly to: ReplicaId
  readonly fromNonce: Uint8Array
  readonly toNonce: Uint8Array
}

/** What is signed under the domain `hello`: nobody can give it to another replica, on another link, or back to its maker. */
export const helloProof = (
  { from, to, fromNonce, toNonce }: Greeting,
  ack: Pick<FrameOf<'hello-ack'>, 'version' | 'spaces'>,
): Uint8Array => new WireWriter().id(from).id(to).raw(fromNonce).raw(toNonce).raw(helloBody(ack)).end()

export const encodeFrame = (frame: Frame): Uint8Array => encodeBody(frame.t, frame as never)

function encodeBody<T extends FrameType>(t: T, frame: Bodies[T]): Uint8Array {
  const { number, write } = KINDS[t]
  const writer = new WireWriter()
  write(frame, writer)
  const body = writer.end()
  const header = new Uint8Array(FRAME_HEADER_BYTES)
  header[0] = number
  new DataView(header.buffer).setUint32(1, body.length)
  return concat(header, body)
}

export type Decoded = Frame | { readonly t: 'unknown'; readonly number: number }

export function decodeFrame(bytes: Uint8Array): Decoded {
  if (bytes.length < FRAME_HEADER_BYTES)
    throw new TributaryError('FRAME_INVALID', `${bytes.length} bytes are too few for a frame`)
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
  const body = bytes.subarray(FRAME_HEADER_BYTES)
  if (length !== body.length)
    throw new TributaryError('FRAME_INVALID', `a frame of ${length} bytes came with ${body.length}`)
  const number = bytes[0]!
  const t = typeByNumber.get(number)
  return t === undefined ? { t: 'unknown', number } : decodeBody(t, body)
}

function decodeBody<T extends FrameType>(t: T, body: Uint8Array): Frame {
  const { bytesMax, read } = KINDS[t]
  const reader = new WireReader(body, t)
  if (body.length > bytesMax) throw reader.refusal(`takes ${body.length} bytes, where at most ${bytesMax} are allowed`)
  try {
    const frame = read(reader)
    reader.end()
    return { t, ...frame } as Frame
  } catch (error) {
    if (isTributaryError(error) && error.code !== 'FRAME_INVALID')
      throw reader.refusal(`is malformed: ${error.message}`)
    throw error
  }
}

export const frameBytesMax = (t: FrameType): number => FRAME_HEADER_BYTES + KINDS[t].bytesMax
