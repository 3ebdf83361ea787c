/** Fetches over real storage: what is written, synced and published, and what a new run finds after an end at any moment. */
import { randomFillSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { hex } from '../../src/core/bytes.ts'
import { TributaryError } from '../../src/core/errors.ts'
import type { TensorRoot } from '../../src/core/ids.ts'
import { leafHash, treeHead } from '../../src/core/merkle.ts'
import { CHUNK_BYTES, FETCH_LIMITS } from '../../src/replication/fetch-plan.ts'
import { fetchTensor, type TensorFetching } from '../../src/replication/fetch-tensor.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createHttpBlobSource } from '../../src/transport/http/http-blob-source.ts'
import type { BlobSource } from '../../src/transport/blob-source.ts'
import { HeldClock } from '../support/held-clock.ts'
import { memoryStorage, temporaryStorage } from '../support/storage.ts'
import { aReplica } from '../support/replica.ts'
import { createServer } from '../../src/api/server.ts'
import { CONFIG } from '../api/listener.ts'
import { safetensors, streamOf } from '../support/safetensors.ts'

const bytes = new Uint8Array(10 * CHUNK_BYTES + 12_345)
randomFillSync(bytes) // any bytes do: nothing of the outcome depends on which
const chunkOf = (i: number) => bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)
const leaves = Array.from({ length: 11 }, (_, i) => leafHash(chunkOf(i)))
const root = hex(treeHead(leaves)) as TensorRoot
const wanted = { root, bytes: bytes.length }

interface Fault {
  /** Sends zeros in place of this chunk. */
  readonly lieAt?: number
  /** Fails after so many bytes of all. */
  readonly dieAfterBytes?: number
}

function source(id: string, { lieAt, dieAfterBytes = Infinity }: Fault = {}): BlobSource & { sent: number } {
  const self = {
    id,
    sent: 0,
    async *leaves() {
      for (const leaf of leaves) yield leaf
    },
    async *read(_: TensorRoot, start: number, end: number, signal: AbortSignal) {
      for (let at = start; at < end; at += 100_000) {
        await Promise.resolve()
        if (signal.aborted || self.sent >= dieAfterBytes) throw new TributaryError('NETWORK', 'cut')
        const piece = bytes.slice(at, Math.min(end, at + 100_000))
        if (lieAt !== undefined && at >= lieAt * CHUNK_BYTES && at < (lieAt + 1) * CHUNK_BYTES) piece.fill(0)
        self.sent += piece.length
        yield piece
      }
    },
  }
  return self
}

const fetching = (storage: Storage, sources: readonly BlobSource[], more: Partial<TensorFetching> = {}) => ({
  storage,
  sources,
  clock: new HeldClock(),
  now: () => 1,
  needRoom: async () => undefined,
  ...more,
})
const stored = async ({ blobs }: Storage) => {
  const pieces: Uint8Array[] = []
  for await (const piece of blobs.read({ kind: 'tensor', digest: root })) pieces.push(piece)
  return Buffer.concat(pieces)
}

describe('a tensor from other replicas', () => {
  test('[XCH-6] is published when it is whole, byte for byte, and leaves nothing beside it', async () => {
    const storage = await temporaryStorage()
    const progress: number[] = []
    const result = await fetchTensor(
      wanted,
      fetching(storage, [source('a'), source('b')], { onProgress: ({ bytesDone }) => progress.push(bytesDone) }),
    )
    expect((await stored(storage)).equals(bytes)).toBe(true)
    expect(result).toEqual({ bytesFetched: bytes.length, lies: [] })
    expect([progress.at(-1), storage.fetches.find(root)]).toEqual([bytes.length, undefined])
    expect(await storage.blobs.verify({ kind: 'tensor', digest: root })).toBe('sound')
    expect(await fetchTensor(wanted, fetching(storage, []))).toEqual({ bytesFetched: 0, lies: [] })
  })

  test('[XCH-2] [XCH-42] completes with one lying source of three, and names it with its chunk', async () => {
    const storage = await memoryStorage()
    const sources = [source('a'), source('liar', { lieAt: 5 }), source('c')]
    sources[0]!.leaves = async function* () {
      for (let i = 0; i < 400; i++) await Promise.resolve() // the lie is written before it can be known
      for (const leaf of leaves) yield leaf
    }
    const { lies } = await fetchTensor(wanted, fetching(storage, sources))
    expect((await stored(storage)).equals(bytes)).toBe(true)
    expect(lies.every((lie) => lie.source === 'liar' && lie.chunk === 5)).toBe(true)
    const told: unknown[] = []
    const alone = await memoryStorage()
    const liar = fetching(alone, [source('liar', { lieAt: 5 })], { onLie: (lie) => told.push(lie) })
    await expect(fetchTensor(wanted, liar)).rejects.toMatchObject({
      code: 'BYTES_MISSING',
      details: { liars: ['liar'] },
    })
    expect(await alone.blobs.has({ kind: 'tensor', digest: root })).toBe(false)
    expect(told).toEqual([{ source: 'liar', what: 'chunk', chunk: 5 }])
  })

  test('[XCH-6] goes on from what was durable: an orderly end keeps all, a kill at most what was not synced', async () => {
    const storage = await memoryStorage()
    const clock = new HeldClock()
    const dying = source('a', { dieAfterBytes: 6 * CHUNK_BYTES })
    const stop = new AbortController()
    const first = fetchTensor(
      wanted,
      fetching(storage, [dying], { clock, signal: stop.signal, syncBytes: 2 * CHUNK_BYTES }),
    )
    while (dying.sent < 6 * CHUNK_BYTES) await new Promise(setImmediate)
    const kept = storage.fetches.find(root)!
    stop.abort()
    await expect(first).rejects.toMatchObject({ code: 'INTERRUPTED' })
    const after = storage.fetches.find(root)!
    const count = (chunks: Uint8Array) =>
      chunks.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
    expect(count(kept.chunks)).toBeGreaterThan(0)
    expect(count(after.chunks)).toBeGreaterThanOrEqual(count(kept.chunks))

    storage.fetches.put(kept) // as a kill would have left it
    const again = source('b')
    const { bytesFetched } = await fetchTensor(wanted, fetching(storage, [again]))
    expect(bytesFetched).toBe(bytes.length - count(kept.chunks) * CHUNK_BYTES)
    expect(again.sent).toBe(bytesFetched)
    expect((await stored(storage)).equals(bytes)).toBe(true)
  })

  /** Files whose sync ends when the test says so. */
  const withSync = (storage: Storage, sync: () => Promise<void>): Storage => ({
    ...storage,
    blobs: {
      ...storage.blobs,
      openTemporary: async (id: string) => ({ ...(await storage.blobs.openTemporary(id)), sync }),
    },
  })

  test('[XCH-6] what comes while a sync goes on is written too, and no more than as much again', async () => {
    const storage = await memoryStorage()
    let release = (): void => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))
    let syncs = 0
    const slow = withSync(storage, () => {
      syncs += 1
      return gate
    })
    let written = 0
    const onProgress = ({ bytesDone }: { bytesDone: number }) => void (written = Math.floor(bytesDone / CHUNK_BYTES))
    const limits = { ...FETCH_LIMITS, rangesMax: 1 }
    const work = fetchTensor(wanted, fetching(slow, [source('a')], { syncBytes: 2 * CHUNK_BYTES, onProgress, limits }))
    for (let i = 0; i < 50; i++) await new Promise(setImmediate)
    expect([written, syncs]).toEqual([3, 1]) // the fourth is written, and waits with what it says
    release()
    await work
    expect((await stored(storage)).equals(bytes)).toBe(true)
  })

  test('[XCH-7] a sync that fails beside the fetch ends it, and nothing is published', async () => {
    const storage = await memoryStorage()
    let syncs = 0
    const failing = withSync(storage, async () => {
      syncs += 1
      await new Promise(setImmediate)
      throw new TributaryError('STORAGE_FAILED', 'the disk is broken')
    })
    for (const syncBytes of [2 * CHUNK_BYTES, 10 * CHUNK_BYTES])
      await expect(fetchTensor(wanted, fetching(failing, [source('a')], { syncBytes }))).rejects.toMatchObject({
        code: 'STORAGE_FAILED',
      })
    expect([await storage.blobs.has({ kind: 'tensor', digest: root }), syncs > 1]).toEqual([false, true])
  })

  test('[XCH-6] believes no row of which the file is gone, and forgets the row of what is here', async () => {
    const storage = await memoryStorage()
    const all = new Uint8Array(2).fill(255)
    const row = { root, bytes: bytes.length, temporary: 'ab'.repeat(16), chunks: all, updatedAtMs: 1 }
    storage.fetches.put(row) // as a kill leaves it that came just after the tensor got its name, and before the row went
    await fetchTensor(wanted, fetching(storage, [source('a')]))
    expect((await stored(storage)).equals(bytes)).toBe(true)
    storage.fetches.put(row)
    await fetchTensor(wanted, fetching(storage, []))
    expect(storage.fetches.find(root)).toBeUndefined()
  })

  test('[XCH-4] waits for no end of an answer of which the last chunk was a lie', async () => {
    const storage = await memoryStorage()
    const short = bytes.subarray(0, CHUNK_BYTES)
    const endless: BlobSource = {
      ...source('liar'),
      async *read(_, __, ___, signal) {
        yield new Uint8Array(CHUNK_BYTES)
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
    }
    const one = { root: hex(leafHash(short)) as TensorRoot, bytes: CHUNK_BYTES }
    await expect(fetchTensor(one, fetching(storage, [endless]))).rejects.toMatchObject({ code: 'BYTES_MISSING' })
  })

  test('[XCH-32] asks a source that lacks it once, waits for nobody, and blames nobody', async () => {
    const storage = await memoryStorage()
    const clock = new HeldClock() // no time passes, so nothing is tried again
    const asked: string[] = []
    const lacking = ['a', 'b'].map((id): BlobSource => ({
      id,
      async *leaves() {
        asked.push(id)
        throw new TributaryError('BLOB_NOT_FOUND', 'not here')
      },
      async *read() {
        asked.push(id)
        throw new TributaryError('BLOB_NOT_FOUND', 'not here')
      },
    }))
    const without = fetchTensor(wanted, fetching(storage, lacking, { clock }))
    await expect(without).rejects.toMatchObject({ code: 'BYTES_MISSING', details: { liars: [] } })
    expect(asked.length).toBeLessThanOrEqual(2 * 5) // what was under way at once: the leaves and four ranges
    const { lies } = await fetchTensor(wanted, fetching(storage, [...lacking, source('c')], { clock }))
    expect(lies).toEqual([])
    expect((await stored(storage)).equals(bytes)).toBe(true)
  })

  test('[XCH-6] leaves no row and no file of a tensor of one chunk that did not come', async () => {
    const storage = await memoryStorage()
    const small = { root: hex(leafHash(Uint8Array.of(1))) as TensorRoot, bytes: 1 }
    const rows: number[] = []
    const put = storage.fetches.put.bind(storage.fetches)
    storage.fetches.put = (fetch) => {
      rows.push(fetch.bytes)
      put(fetch)
    }
    const failing = fetchTensor(small, fetching(storage, [source('a', { lieAt: 0 })]))
    await expect(failing).rejects.toMatchObject({ code: 'BYTES_MISSING' })
    expect([rows, await storage.blobs.sweepTemporary(0, Number.MAX_SAFE_INTEGER)]).toEqual([[], 0])
  })

  test('[XCH-7] is refused before anything is sent where there is no room, for what is still wanted alone', async () => {
    const storage = await memoryStorage()
    const a = source('a')
    const needRoom = async (needed: number) => {
      expect(needed).toBe(bytes.length)
      throw new TributaryError('DISK_FULL', 'no room')
    }
    await expect(fetchTensor(wanted, fetching(storage, [a], { needRoom }))).rejects.toMatchObject({ code: 'DISK_FULL' })
    expect([a.sent, storage.fetches.find(root)]).toEqual([0, undefined])
  })

  test('[XCH-7] ends with the own failure when the own disk fails, and accuses nobody', async () => {
    const storage = await memoryStorage()
    const failing = {
      ...storage,
      blobs: {
        ...storage.blobs,
        openTemporary: async (id: string) => ({
          ...(await storage.blobs.openTemporary(id)),
          write: async () => {
            throw new TributaryError('DISK_FULL', 'no room left')
          },
        }),
      },
    }
    await expect(fetchTensor(wanted, fetching(failing, [source('a')]))).rejects.toMatchObject({ code: 'DISK_FULL' })
  })

  test('[XCH-4] ends with BYTES_MISSING when its last source has failed for good', async () => {
    const clock = new HeldClock()
    const ended = fetchTensor(wanted, fetching(await memoryStorage(), [source('a', { dieAfterBytes: 0 })], { clock }))
    const outcome = ended.catch((error: unknown) => error)
    for (let i = 0; i < 20; i++) {
      await new Promise(setImmediate)
      clock.pass(1000)
    }
    expect(await outcome).toMatchObject({ code: 'BYTES_MISSING' })
  })
})

test('[XCH-1] [XCH-9] a tensor moves between two replicas over HTTP, by ticket', async () => {
  const giver = await aReplica()
  await giver.createSpace({ name: 'lab' })
  const values = Array.from({ length: 1_500_000 }, (_, i) => i)
  const { model } = await giver.uploadModel(streamOf(safetensors([{ name: 'a', shape: [values.length], values }])))
  await giver.contribute('lab', { model, name: 'one' })
  const tensor = giver.findModel(model).tensors[0]!
  const server = createServer({
    operations: giver,
    config: { ...CONFIG, port: 0, token: '0123456789abcdef' },
    version: '0',
  })
  const url = await server.listen({ host: '127.0.0.1', port: 0 })
  const ticket = giver.giveTicket('lab', 'a'.repeat(64))
  const from = (authorization: string) =>
    createHttpBlobSource({ id: 'giver', address: { url }, authorization: () => authorization })
  const [allowed, stranger] = [from(`Ticket ${ticket}`), from('Ticket none')]
  try {
    const storage = await temporaryStorage()
    const place = { root: tensor.root as TensorRoot, bytes: tensor.bytes }
    await fetchTensor(place, fetching(storage, [allowed]))
    expect(await storage.blobs.verify({ kind: 'tensor', digest: place.root })).toBe('sound')
    const failed = stranger.read(place.root, 0, 10, new AbortController().signal)
    await expect(failed[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'NETWORK',
      message: expect.stringContaining('401'),
    })
  } finally {
    allowed.close()
    stranger.close()
    await server.close()
  }
})
