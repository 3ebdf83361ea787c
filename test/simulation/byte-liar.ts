/** What a member that misbehaves gives out in place of bytes, and what it keeps back. Whatever it tells is written down. */
import type { ReplicaId } from '../../src/core/ids.ts'
import type { BlobKind } from '../../src/replication/blob-frames.ts'
import type { Effect } from '../../src/replication/effects.ts'
import { decodeFrame } from '../../src/replication/frames.ts'
import type { BlobReading, ReadBlob } from '../../src/replication/link-giving.ts'
import { type ByteWorld, chunkOf } from './byte-world.ts'
import { blobKey } from './models.ts'

export const BYTE_BEHAVIOURS = [
  'bad-chunks',
  'bad-proofs',
  'other-files',
  'short-answers',
  'long-answers',
  'mute',
  'half-answers',
] as const
export type ByteBehaviour = (typeof BYTE_BEHAVIOURS)[number]

const PIECE_BYTES = 2 ** 20

export class ByteLiar {
  readonly #rid: ReplicaId
  readonly #world: ByteWorld
  readonly #does: (what: ByteBehaviour) => boolean
  /** What it answers of each request, by link and request: so many bytes more, and then nothing. */
  readonly #left = new Map<string, number>()

  constructor(rid: ReplicaId, world: ByteWorld, behaviours: readonly ByteBehaviour[]) {
    this.#rid = rid
    this.#world = world
    this.#does = (what) => behaviours.includes(what) && world.luck.chance(0.5)
  }

  /** It says that it has every model of the run. */
  gives: ReadBlob = async ({ kind, digest }) => {
    const bytes = this.#world.shelf.blobs.get(blobKey(kind, digest))
    return bytes === undefined ? { bytes: 0, read: nothing } : this.#reading(kind, digest, bytes)
  }

  #reading(kind: BlobKind, digest: string, truth: Uint8Array): BlobReading {
    const spoils = this.#does(kind === 'tensor' ? 'bad-chunks' : kind === 'leaves' ? 'bad-proofs' : 'other-files')
    const isShort = this.#does('short-answers')
    const isLong = !isShort && this.#does('long-answers')
    const read = async function* (this: ByteLiar, start: number, end: number): AsyncIterable<Uint8Array> {
      const { luck } = this.#world
      const bytes = truth.slice(start, end)
      const [at, left] = [luck.below(bytes.length), isShort ? luck.below(bytes.length) : bytes.length]
      if (spoils) {
        bytes[at]! ^= 1 << luck.below(8)
        this.#tells(kind, digest, start + at)
      }
      // who gets less of a file than there is can't know that it is the same
      if (isShort && (kind === 'file' || kind === 'manifest')) this.#tells(kind, digest, 0)
      if (isLong && (kind === 'file' || kind === 'manifest')) this.#tells(kind, digest, 0)
      for (let from = 0; from < left; from += PIECE_BYTES)
        yield bytes.subarray(from, Math.min(left, from + PIECE_BYTES))
      if (isLong) yield luck.bytes(1 + luck.below(100))
    }.bind(this)
    return { bytes: truth.length, read }
  }

  #tells(kind: BlobKind, digest: string, at: number): void {
    const what =
      kind === 'tensor'
        ? chunkOf(digest, at)
        : kind === 'leaves'
          ? `the leaves of the tensor ${digest}`
          : `the ${kind} ${digest}`
    this.#world.tells(this.#rid, what)
  }

  /** A part or an end that it keeps back. */
  keepsBack({ link, type, frame }: Extract<Effect, { t: 'send' }>): boolean {
    if (type !== 'blob-part' && type !== 'blob-end') return false
    const sent = decodeFrame(frame)
    if (sent.t === 'blob-end' && sent.how === 'called-off') return false
    if (sent.t !== 'blob-part' && sent.t !== 'blob-end') return false
    const key = `${link}/${sent.request}`
    let left = this.#left.get(key)
    if (left === undefined) {
      const { luck } = this.#world
      left = this.#does('mute') ? 0 : this.#does('half-answers') ? 1 + luck.below(2 ** 20) : Infinity
      this.#left.set(key, left)
    }
    if (left === 0) return true
    if (sent.t === 'blob-part') this.#left.set(key, Math.max(0, left - sent.bytes.length))
    return false
  }
}

async function* nothing(): AsyncIterable<Uint8Array> {}
