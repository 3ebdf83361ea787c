/**
 * Brings one tensor here from other replicas: runs the schedule of blob-fetch.ts over sources, writes chunks to a temporary
 * of the blob store, says what is durable every 2 MiB, and publishes the tensor when it is whole. It may be ended at any
 * moment: the next run goes on from what was durable.
 */
import { Bitmap } from '../core/bitmap.ts'
import type { Clock } from '../core/clock.ts'
import { isTributaryError, TributaryError } from '../core/errors.ts'
import type { TensorRoot } from '../core/ids.ts'
import { leafHash } from '../core/merkle.ts'
import type { OpenFile } from '../storage/file-system.ts'
import type { Storage } from '../storage/storage.ts'
import type { BlobSource } from '../transport/blob-source.ts'
import { BlobFetch } from './blob-fetch.ts'
import { forgetFetch, knownFetch } from './known-fetch.ts'
import { salvage } from './salvage.ts'
import {
  CHUNK_BYTES,
  chunksIn,
  FETCH_LIMITS,
  type FetchLimits,
  type FetchRequest,
  LEAF_BYTES,
  type Lie,
} from './fetch-plan.ts'
import { OwnFailure, ours } from './own-failure.ts'

/** Twice this is what a kill can cost: so much is synced while so much comes. */
const SYNC_BYTES = 2 * CHUNK_BYTES

export interface TensorFetching {
  readonly storage: Pick<Storage, 'blobs' | 'fetches' | 'pins'>
  readonly sources: readonly BlobSource[]
  readonly clock: Clock
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Refuses bytes for which there is no room: disk or quota. Asked once, before anything is sent. */
  readonly needRoom: (bytes: number) => Promise<void>
  readonly signal?: AbortSignal
  readonly limits?: FetchLimits
  readonly syncBytes?: number
  /** At once: whatever becomes of the fetch, who lied is known. */
  readonly onLie?: (lie: Lie) => void
  readonly onProgress?: (progress: { readonly bytesDone: number; readonly bytesTotal: number }) => void
}

export interface FetchedTensor {
  /** Bytes that came over the network and were kept. */
  readonly bytesFetched: number
  readonly lies: readonly Lie[]
}

/** BYTES_MISSING when no source is left; its details name the liars. */
export async function fetchTensor(
  wanted: { readonly root: TensorRoot; readonly bytes: number },
  fetching: TensorFetching,
): Promise<FetchedTensor> {
  const { storage, needRoom } = fetching
  const name = { kind: 'tensor', digest: wanted.root } as const
  if (wanted.bytes === 0 || (await storage.blobs.has(name))) {
    await forgetFetch(storage, wanted.root) // it came by an upload, or a kill came before the row went
    return { bytesFetched: 0, lies: [] }
  }
  const known = await knownFetch(storage, wanted)
  const chunks = new Bitmap(chunksIn(wanted.bytes), known?.chunks)
  await needRoom(Math.max(0, wanted.bytes - chunks.count * CHUNK_BYTES))
  const temporary = known?.temporary ?? storage.blobs.reserve().id
  const file = await storage.blobs.openTemporary(temporary)
  if (known === undefined && isResumable(chunks))
    await takeOver(wanted, fetching, file, chunks).catch(async (error: unknown) => {
      await file.close()
      await storage.blobs.discardTemporary(temporary)
      throw error
    })
  const run = new TensorRun(wanted, fetching, file, temporary, chunks)
  let isWhole = false
  try {
    await run.untilWhole()
    isWhole = true
  } finally {
    await run.settle()
    await file.close()
    if (!isWhole && !isResumable(chunks)) await storage.blobs.discardTemporary(temporary)
  }
  storage.pins.claim([name])
  const { leaves } = run
  await storage.blobs.adopt([{ name, bytes: wanted.bytes, temporary, ...(leaves && { leaves }) }])
  if (isResumable(chunks)) storage.fetches.remove(wanted.root)
  return { bytesFetched: run.bytesFetched, lies: run.lies }
}

/** What is good of a copy that rotted here counts as fetched. */
async function takeOver(
  wanted: { readonly root: TensorRoot; readonly bytes: number },
  { storage, sources, clock, signal }: TensorFetching,
  file: OpenFile,
  chunks: Bitmap,
): Promise<void> {
  const rotten = await storage.blobs.openQuarantined({ kind: 'tensor', digest: wanted.root })
  if (rotten === undefined) return
  try {
    const good = await salvage(wanted, rotten, file, { sources, clock, signal })
    for (let i = 0; i < good.length; i++) if (good.has(i)) chunks.add(i)
  } finally {
    await rotten.close()
  }
}

/** Of one chunk there is all or nothing: no row is worth its sync. */
const isResumable = (chunks: Bitmap): boolean => chunks.length > 1

class TensorRun {
  readonly #fetch: BlobFetch
  readonly #fetching: TensorFetching
  readonly #file: OpenFile
  readonly #temporary: string
  /** Written since it was last opened or synced, whatever is known of it. */
  readonly #written: Bitmap
  readonly #sources: ReadonlyMap<string, BlobSource>
  readonly #underWay = new Map<number, AbortController>()
  readonly #works = new Set<Promise<void>>()
  readonly #syncBytes: number
  readonly #spares: Uint8Array<ArrayBuffer>[] = []
  readonly #writes = new Map<number, { readonly id: number; readonly done: Promise<void> }>()
  #unsyncedBytes = 0
  #liesTold = 0
  #syncing: Promise<void> | undefined
  #failure: Error | undefined
  #wake = (): void => undefined
  bytesFetched = 0

  constructor(
    wanted: { readonly root: TensorRoot; readonly bytes: number },
    fetching: TensorFetching,
    file: OpenFile,
    temporary: string,
    chunks: Bitmap,
  ) {
    const { limits = FETCH_LIMITS, sources, syncBytes = SYNC_BYTES } = fetching
    this.#fetch = new BlobFetch({ ...wanted, chunks: chunks.toBytes() }, limits)
    this.#fetching = fetching
    this.#file = file
    this.#temporary = temporary
    this.#written = new Bitmap(chunks.length, chunks.toBytes())
    this.#syncBytes = syncBytes
    this.#sources = new Map(sources.map((source) => [source.id, source]))
    for (const id of this.#sources.keys()) this.#fetch.addSource(id)
  }

  get lies(): readonly Lie[] {
    return this.#fetch.lies
  }

  get leaves(): Uint8Array | undefined {
    return this.#fetch.leaves
  }

  async untilWhole(): Promise<void> {
    const { clock, signal } = this.#fetching
    const stop = () => this.#wake()
    signal?.addEventListener('abort', stop, { once: true })
    this.#save() // the file has an owner before anything is in it
    try {
      while (!this.#fetch.isWhole) {
        if (signal?.aborted === true) throw new TributaryError('INTERRUPTED', 'the fetch was called off')
        if (this.#failure !== undefined) throw this.#failure
        this.#fetch.passTime(clock.now())
        for (const id of this.#fetch.takeCalledOff()) this.#underWay.get(id)?.abort()
        for (const request of this.#fetch.next(clock.now())) this.#start(request)
        if (this.#fetch.sourcesLeft === 0) {
          if (this.#works.size === 0) throw this.#starved()
          for (const controller of this.#underWay.values()) controller.abort() // of an answer that never ends
        }
        await this.#change()
      }
      await this.#allWritten()
    } finally {
      signal?.removeEventListener('abort', stop)
      for (const controller of this.#underWay.values()) controller.abort()
    }
  }

  /** Ends what is under way, and says what is durable if that can be said. */
  async settle(): Promise<void> {
    await this.#quiet()
    if (this.#failure === undefined && !this.#fetch.isWhole) await this.#sync().catch(() => undefined)
  }

  async #allWritten(): Promise<void> {
    for (const controller of this.#underWay.values()) controller.abort()
    await this.#quiet()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** A sync that fails has dropped what it was to write: nothing is published before it is known how it ended. */
  async #quiet(): Promise<void> {
    await Promise.allSettled(this.#works)
    await this.#syncing?.catch(() => undefined)
  }

  /** Until something arrives, ends or is due. */
  async #change(): Promise<void> {
    const { clock } = this.#fetching
    const due = this.#fetch.nextDeadline(clock.now())
    let callOff = (): void => undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (due !== undefined) callOff = clock.after(Math.max(0, due - clock.now()), resolve)
    })
    callOff()
  }

  #start(request: FetchRequest): void {
    const controller = new AbortController()
    this.#underWay.set(request.id, controller)
    const work = this.#work(request, controller.signal)
      .catch((error: unknown) => {
        if (error instanceof OwnFailure) this.#failure ??= error.cause as Error
        else if (isTributaryError(error) && error.code === 'BLOB_NOT_FOUND') this.#fetch.lacks(request.id)
        else this.#fetch.failed(request.id, this.#fetching.clock.now())
      })
      .finally(() => {
        this.#underWay.delete(request.id)
        this.#works.delete(work)
        this.#wake()
      })
    this.#works.add(work)
  }

  async #work(request: FetchRequest, signal: AbortSignal): Promise<void> {
    const source = this.#sources.get(request.source)!
    const { clock } = this.#fetching
    const { root, chunks } = this.#fetch
    if (request.kind === 'leaves') {
      const leaves = new Uint8Array(chunks * LEAF_BYTES)
      let at = 0
      for await (const piece of source.leaves(root, leaves.length, signal)) {
        leaves.set(piece, at)
        at += piece.length
        this.#fetch.heard(request.id, clock.now())
      }
      this.#fetch.leavesArrived(request.id, leaves.subarray(0, at))
      this.#tellLies()
      this.#wake()
      return
    }
    const start = request.first * CHUNK_BYTES
    const end = Math.min(this.#fetch.bytes, start + request.count * CHUNK_BYTES)
    let chunk = request.first
    let buffer = this.#spare(this.#fetch.bytesOf(chunk))
    let filled = 0
    for await (const piece of source.read(root, start, end, signal)) {
      this.#fetch.heard(request.id, clock.now())
      for (let from = 0; from < piece.length;) {
        const part = piece.subarray(from, from + buffer.length - filled)
        buffer.set(part, filled)
        filled += part.length
        from += part.length
        if (filled < buffer.length) continue
        await this.#arrived(request.id, chunk, buffer)
        if (buffer.length === CHUNK_BYTES) this.#spares.push(buffer)
        chunk += 1
        filled = 0
        if (chunk < request.first + request.count) buffer = this.#spare(this.#fetch.bytesOf(chunk))
      }
    }
  }

  /** A megabyte that was written is good for the next chunk: a fresh one for each keeps the collector busy. */
  #spare(bytes: number): Uint8Array<ArrayBuffer> {
    const spare = bytes === CHUNK_BYTES ? this.#spares.pop() : undefined
    return spare ?? new Uint8Array(bytes)
  }

  async #arrived(id: number, chunk: number, bytes: Uint8Array): Promise<void> {
    const verdict = this.#fetch.chunkArrived(id, leafHash(bytes), this.#fetching.clock.now())
    this.#tellLies()
    if (verdict === 'keep') {
      await this.#write(id, chunk, bytes)
      this.bytesFetched += bytes.length
      this.#unsyncedBytes += bytes.length
      if (this.#unsyncedBytes >= this.#syncBytes) {
        await this.#syncing?.catch(ours)
        if (this.#unsyncedBytes >= this.#syncBytes) this.#syncBeside()
      }
      const { bytes: bytesTotal, verifiedChunks } = this.#fetch
      this.#fetching.onProgress?.({ bytesDone: Math.min(bytesTotal, verifiedChunks * CHUNK_BYTES), bytesTotal })
    }
    this.#wake()
  }

  #tellLies(): void {
    for (const lie of this.#fetch.lies.slice(this.#liesTold)) this.#fetching.onLie?.(lie)
    this.#liesTold = this.#fetch.lies.length
  }

  /** What a liar sent may still be on its way to the disk when the truth arrives: it waits, and it alone counts. */
  async #write(id: number, chunk: number, bytes: Uint8Array): Promise<void> {
    const before = this.#writes.get(chunk)?.done
    const done = (async () => {
      await before
      await this.#file.write(bytes, chunk * CHUNK_BYTES)
    })()
    this.#written.remove(chunk)
    this.#writes.set(chunk, { id, done })
    await done.catch(ours)
    if (this.#writes.get(chunk)?.id !== id) return
    this.#writes.delete(chunk)
    this.#written.add(chunk)
  }

  /** What comes meanwhile is written meanwhile, up to as much again. */
  #syncBeside(): void {
    this.#sync().catch((error: unknown) => {
      this.#failure ??= error as Error
      this.#wake()
    })
  }

  /** Sync first, then say so: what was written before the sync began, and is verified. */
  #sync(): Promise<void> {
    this.#syncing ??= (async () => {
      const durable = new Bitmap(this.#written.length)
      for (let i = 0; i < durable.length; i++) if (this.#written.has(i) && this.#fetch.isVerified(i)) durable.add(i)
      this.#unsyncedBytes = 0
      await this.#file.sync()
      this.#save(durable)
    })().finally(() => (this.#syncing = undefined))
    return this.#syncing
  }

  #save(durable?: Bitmap): void {
    if (!isResumable(this.#written)) return
    const { storage, now } = this.#fetching
    const { root, bytes } = this.#fetch
    const known = storage.fetches.find(root)
    if (durable === undefined && known !== undefined) return
    const chunks = (durable ?? this.#written).toBytes()
    storage.fetches.put({ root, bytes, temporary: this.#temporary, chunks, updatedAtMs: now() })
  }

  #starved(): TributaryError {
    const { root, lies } = this.#fetch
    return new TributaryError('BYTES_MISSING', `no replica that answers has the tensor ${root}`, {
      details: { digest: root, liars: [...new Set(lies.map(({ source }) => source))] },
      hint: 'connect a replica that holds it, or upload the model here',
    })
  }
}
