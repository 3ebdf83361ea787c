/** The frames that bring blobs over a link, for replicas that can't be reached by HTTP: what is wanted, a part of it, its end. */
import type { SpaceId } from '../core/ids.ts'
import { at } from '../core/invariant.ts'
import type { WireReader, WireWriter } from './wire.ts'

export const BLOB_KINDS = ['tensor', 'leaves', 'file', 'manifest'] as const
export type BlobKind = (typeof BLOB_KINDS)[number]

/** Bytes [start, end) of a blob, or as many of them as there are. None: is it there? */
export interface BlobWant {
  readonly space: SpaceId
  readonly kind: BlobKind
  readonly digest: string
  readonly start: number
  readonly end: number
}

/** `called-off` is said by who asked, the others by who was asked. */
export const BLOB_ENDS = ['done', 'lacks', 'busy', 'failed', 'called-off'] as const
export type BlobEnd = (typeof BLOB_ENDS)[number]

/** Behind a part of this size an op waits a fifth of a second at 10 Mbit/s. */
export const PART_BYTES_MAX = 256 * 1024
export const WANT_BYTES_MAX = 4 * 1024 * 1024
/** Wants of one link that are not ended. */
export const WANTS_MAX = 32

export interface BlobBodies {
  /** Each side numbers what it asks for. */
  readonly 'blob-want': { readonly request: number } & BlobWant
  readonly 'blob-part': { readonly request: number; readonly offset: number; readonly bytes: Uint8Array }
  readonly 'blob-end': { readonly request: number; readonly how: BlobEnd }
}

type Kinds = {
  readonly [T in keyof BlobBodies]: {
    readonly number: number
    readonly bytesMax: number
    readonly write: (body: BlobBodies[T], writer: WireWriter) => void
    readonly read: (reader: WireReader) => BlobBodies[T]
  }
}

export const BLOB_PART_NUMBER = 14
const NUMBERS_BYTES_MAX = 16

export const BLOB_FRAMES: Kinds = {
  'blob-want': {
    number: 13,
    bytesMax: 128,
    write: ({ request, space, kind, digest, start, end }, writer) =>
      void writer
        .space(space)
        .natural(request)
        .u8(BLOB_KINDS.indexOf(kind))
        .id(digest)
        .natural(start)
        .natural(end - start),
    read(reader) {
      const [space, request] = [reader.space<SpaceId>(), reader.natural()]
      const kind = at(BLOB_KINDS, reader.below(BLOB_KINDS.length))
      const [digest, start] = [reader.id<string>(), reader.natural(Number.MAX_SAFE_INTEGER - WANT_BYTES_MAX)]
      return { request, space, kind, digest, start, end: start + reader.natural(WANT_BYTES_MAX) }
    },
  },
  'blob-part': {
    number: BLOB_PART_NUMBER,
    bytesMax: PART_BYTES_MAX + NUMBERS_BYTES_MAX,
    write: ({ request, offset, bytes }, writer) => void writer.natural(request).natural(offset).raw(bytes),
    read: (reader) => ({ request: reader.natural(), offset: reader.natural(), bytes: reader.rest() }),
  },
  'blob-end': {
    number: 15,
    bytesMax: NUMBERS_BYTES_MAX,
    write: ({ request, how }, writer) => void writer.natural(request).u8(BLOB_ENDS.indexOf(how)),
    read: (reader) => ({ request: reader.natural(), how: at(BLOB_ENDS, reader.below(BLOB_ENDS.length)) }),
  },
}
