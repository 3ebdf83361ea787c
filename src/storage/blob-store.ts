/**
 * Port: bytes, named by their digest. A name is visible only when all its bytes are durable; writing costs one hash and
 * one copy; the same bytes are kept once. Full disk: DISK_FULL. Other I/O: STORAGE_FAILED with its cause.
 */
import type { FileDigest, TensorRoot } from '../core/ids.ts'
import type { OpenFile } from './file-system.ts'

/**
 * The two kinds are two namespaces that never mix: the plain SHA-256 of a file that begins with 00 could equal the root
 * of a tensor of one chunk, and one would be served for the other.
 */
export type BlobName =
  { readonly kind: 'tensor'; readonly digest: TensorRoot } | { readonly kind: 'file'; readonly digest: FileDigest }
export type BlobKind = BlobName['kind']

/** A temporary file of the store. The id survives a restart and a moved data directory; the path does neither. */
export interface Temporary {
  readonly id: string
  readonly path: string
}

/** Bytes that are durable under a temporary name, and what they will be called. Plain data: it can be sent to a thread. */
export interface SealedBlob {
  readonly name: BlobName
  readonly bytes: number
  /** Id of the temporary file. */
  readonly temporary: string
  /** Of a tensor: the leaf hashes of its 1 MiB chunks, 32 bytes each. */
  readonly leaves?: Uint8Array
}

/** Writes one blob from start to end. Calls must not overlap. */
export interface BlobWriter {
  write(bytes: Uint8Array): Promise<void>
  /** Syncs and names what was written. Publishes nothing. */
  seal(): Promise<SealedBlob>
  /** Forgets what was written. Harmless after `seal`: then it drops the sealed temporary, unless it was published. */
  discard(): Promise<void>
}

export interface BlobStat {
  readonly bytes: number
}
export interface ListedBlob extends BlobStat {
  readonly name: BlobName
}

export interface BlobStore {
  create(kind: BlobKind): Promise<BlobWriter>
  /**
   * Makes sealed blobs visible and durable: renames all, then syncs each touched directory once. When it fails, any of
   * them may be visible (each whole), none is promised, and the same call may be made again. To be safe from the sweep,
   * say `pins.claim(names)` before, and commit what names them afterwards.
   */
  publish(sealed: readonly SealedBlob[]): Promise<void>
  /**
   * Before a row names blobs that were there already: one that a killed process had only renamed is visible, and gone after
   * a power cut. Those that are not there are passed over.
   */
  settle(names: readonly BlobName[]): Promise<void>

  /** A fresh temporary file that someone else writes, such as a merge worker. Nothing is created yet. */
  reserve(): Temporary
  /**
   * Publishes files that were written through `reserve`: synced here first. The caller vouches for the name (it has
   * hashed what it wrote); the length is checked. Refuses with STORAGE_FAILED when the file is not there or not that long.
   */
  adopt(written: readonly SealedBlob[]): Promise<void>
  /** Opens a temporary to be filled over many calls (uploads); made when absent. */
  openTemporary(id: string): Promise<OpenFile>
  /** Where a temporary lies now. */
  locateTemporary(id: string): string
  discardTemporary(id: string): Promise<void>

  stat(name: BlobName): Promise<BlobStat | undefined>
  has(name: BlobName): Promise<boolean>
  /**
   * Bytes [start, end) in fresh pieces of at most 1 MiB, each read when it is asked for. BYTES_MISSING when the blob is
   * not there or ends early, RANGE_NOT_SATISFIABLE when the range is beyond it. Without an end: to the last byte.
   */
  read(name: BlobName, start?: number, end?: number): AsyncIterable<Uint8Array>
  /** Absolute path, for workers that read slices by themselves; whether the file is there is `has`. */
  locate(name: BlobName): string
  /**
   * Never runs beside a publish. `stillUnwanted` is asked at the last moment, so that a blob that was claimed again while
   * a sweep went on stays. Answers whether it was removed.
   */
  remove(name: BlobName, stillUnwanted?: () => boolean): Promise<boolean>
  /** Tensors, then files, each by digest. */
  list(): AsyncIterable<ListedBlob>
  /** Hashes the bytes again, and waits after each piece where `read` says so. */
  verify(name: BlobName, read?: (bytes: number) => Promise<void>): Promise<'sound' | 'damaged' | 'missing'>

  /** A visible blob that is not what its name says: put aside, so that the name is free for a sound copy. */
  quarantine(name: BlobName): Promise<boolean>
  quarantined(): Promise<readonly BlobName[]>
  openQuarantined(name: BlobName): Promise<OpenFile | undefined>
  dropQuarantined(name: BlobName): Promise<void>

  /** Drops temporaries last written more than `olderThanMs` before `nowMs`, except `keep` (ids); answers how many. */
  sweepTemporary(olderThanMs: number, nowMs: number, keep?: ReadonlySet<string>): Promise<number>
  freeBytes(): Promise<number>
}
