/** The scheduler of fetches against a network that exists only here: virtual time, and sources that lie, stall and die. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, hex, utf8 } from '../../src/core/bytes.ts'
import { sha256 } from '../../src/core/digest.ts'
import type { TensorRoot } from '../../src/core/ids.ts'
import { treeHead } from '../../src/core/merkle.ts'
import { BlobFetch } from '../../src/replication/blob-fetch.ts'
import { CHUNK_BYTES, FETCH_LIMITS, type FetchLimits, type FetchRequest } from '../../src/replication/fetch-plan.ts'
import { Bitmap } from '../../src/core/bitmap.ts'

const leafOf = (chunk: number) => sha256(utf8(`chunk ${chunk}`))
const blobOf = (chunks: number) => {
  const leaves = Array.from({ length: chunks }, (_, i) => leafOf(i))
  return { root: hex(treeHead(leaves)) as TensorRoot, bytes: chunks * CHUNK_BYTES, leaves: concat(...leaves) }
}

interface Behaviour {
  readonly latencyMs: number
  readonly chunkMs: number
  /** Chunks of which it sends others. */
  readonly lies?: readonly number[]
  readonly lyingLeaves?: 'other' | 'short' | 'long' | 'none' | 'silent'
  /** From then on nothing comes from it. */
  readonly diesAtMs?: number
  readonly answers?: 'everything' | 'nothing' | 'refusals'
}

interface Run {
  readonly fetch: BlobFetch
  readonly endedAtMs: number
  /** By chunk, what was written last. */
  readonly written: ReadonlyMap<number, string>
  readonly chunksSent: number
  readonly windowMax: number
}

function run(
  chunks: number,
  sources: readonly Behaviour[],
  more: { limits?: Partial<FetchLimits>; done?: Bitmap } = {},
): Run {
  const blob = blobOf(chunks)
  const limits = { ...FETCH_LIMITS, ...more.limits }
  const fetch = new BlobFetch({ ...blob, ...(more.done && { chunks: more.done.toBytes() }) }, limits)
  const events: { at: number; order: number; act: () => void }[] = []
  const calledOff = new Set<number>()
  const written = new Map<number, string>()
  const inFlight = new Map<number, Set<number>>()
  let now = 0
  let order = 0
  let chunksSent = 0
  let windowMax = 0
  const later = (ms: number, act: () => void) => events.push({ at: now + ms, order: order++, act })

  function send(request: FetchRequest): void {
    const behaviour = sources[Number(request.source)]!
    const { latencyMs, chunkMs, lies = [], lyingLeaves, diesAtMs = Infinity, answers = 'everything' } = behaviour
    const arrives = (ms: number, act: () => void) =>
      later(ms, () => {
        if (!calledOff.has(request.id) && now < diesAtMs) act()
      })
    if (answers === 'refusals') return void arrives(latencyMs, () => fetch.failed(request.id, now))
    if (request.kind === 'leaves') {
      const whole = blob.leaves
      const told =
        lyingLeaves === 'other'
          ? concat(sha256(), whole.subarray(32))
          : lyingLeaves === 'short'
            ? whole.subarray(32)
            : lyingLeaves === 'long'
              ? concat(whole, sha256())
              : whole
      if (lyingLeaves === 'none') arrives(latencyMs, () => fetch.failed(request.id, now))
      else if (answers !== 'nothing' && lyingLeaves !== 'silent')
        arrives(latencyMs, () => fetch.leavesArrived(request.id, told))
      return
    }
    inFlight.set(request.id, new Set(Array.from({ length: request.count }, (_, i) => request.first + i)))
    if (answers === 'nothing') return
    for (let i = 0; i < request.count; i++)
      arrives(latencyMs + (i + 1) * chunkMs, () => {
        const chunk = request.first + i
        chunksSent += 1
        inFlight.get(request.id)?.delete(chunk)
        const leaf = lies.includes(chunk) ? sha256(utf8('a lie')) : leafOf(chunk)
        if (fetch.chunkArrived(request.id, leaf, now) === 'keep') written.set(chunk, hex(leaf))
      })
  }
  function pump(): void {
    for (const id of fetch.takeCalledOff()) {
      calledOff.add(id)
      inFlight.delete(id)
    }
    for (const request of fetch.next(now)) send(request)
    windowMax = Math.max(windowMax, new Set([...inFlight.values()].flatMap((set) => [...set])).size)
  }

  for (const i of sources.keys()) fetch.addSource(String(i))
  pump()
  for (let steps = 0; !fetch.isWhole && steps < 200_000; steps++) {
    const deadline = fetch.nextDeadline(now) ?? Infinity
    const event = events.sort((a, b) => a.at - b.at || a.order - b.order)[0]
    if (event !== undefined && event.at <= deadline) {
      events.shift()
      now = event.at
      event.act()
    } else if (deadline < Infinity) {
      now = Math.max(now, deadline)
      fetch.passTime(now)
    } else break
    pump()
  }
  return { fetch, endedAtMs: now, written, chunksSent, windowMax }
}

const good = (more: Partial<Behaviour> = {}): Behaviour => ({ latencyMs: 5, chunkMs: 10, ...more })
const truthOf = (chunks: number) => Array.from({ length: chunks }, (_, i) => [i, hex(leafOf(i))])
const writtenIn = ({ written }: Run) => [...written].sort(([a], [b]) => a - b)

describe('a fetch', () => {
  test('[XCH-1] from one source brings every chunk once, within the window', () => {
    const result = run(100, [good()])
    expect(result.fetch.isWhole).toBe(true)
    expect(writtenIn(result)).toEqual(truthOf(100))
    expect(result.chunksSent).toBe(100)
    expect(result.windowMax).toBeLessThanOrEqual(16)
    expect(result.fetch.lies).toEqual([])
  })

  test('[XCH-1] of one chunk needs no leaves; a short last chunk is one', () => {
    const fetch = new BlobFetch({ root: hex(leafOf(0)) as TensorRoot, bytes: 7 })
    fetch.addSource('a')
    const [request, ...none] = fetch.next(0)
    expect([request, none]).toEqual([{ id: 1, source: 'a', kind: 'chunks', first: 0, count: 1 }, []])
    expect([fetch.bytesOf(0), fetch.chunkArrived(1, leafOf(0), 1), fetch.isWhole]).toEqual([7, 'keep', true])
    expect(new BlobFetch({ root: blobOf(3).root, bytes: 2 * CHUNK_BYTES + 1 }).chunks).toBe(3)
  })

  test('[XCH-2] one lying source of three is found by the exact chunk, and the rest completes it', () => {
    const result = run(64, [good(), good({ lies: [...Array(64).keys()] }), good()])
    expect(result.fetch.isWhole).toBe(true)
    expect(writtenIn(result)).toEqual(truthOf(64))
    expect(result.fetch.lies).toHaveLength(1)
    expect(result.fetch.lies[0]).toMatchObject({ source: '1', what: 'chunk', chunk: expect.any(Number) })
    expect(result.fetch.sourcesLeft).toBe(2)
  })

  test('[XCH-2] chunks that came before the leaves are judged when those come', () => {
    const slowLeaves = good({ latencyMs: 500 })
    const result = run(40, [slowLeaves, good({ lies: [17], chunkMs: 1 })])
    expect(result.fetch.isWhole).toBe(true)
    expect(writtenIn(result)).toEqual(truthOf(40))
    expect(result.fetch.lies.every((lie) => lie.source === '1' && lie.chunk === 17)).toBe(true)
  })

  test.each(['other', 'short', 'long'] as const)(
    '[XCH-2] leaves that are not those of the root name the liar: %s',
    (lyingLeaves) => {
      const result = run(20, [good({ lyingLeaves, latencyMs: 1 }), good()])
      expect(result.fetch.isWhole).toBe(true)
      expect(result.fetch.lies).toEqual([{ source: '0', what: 'leaves' }])
    },
  )

  test('[XCH-3] without leaves no more than the bound is held, and nothing counts as here', () => {
    const result = run(100, [good({ lyingLeaves: 'none' })], { limits: { unverifiedBytesMax: 24 * CHUNK_BYTES } })
    expect(result.fetch.verifiedChunks).toBe(0)
    expect(result.written.size).toBe(24)
    expect(result.fetch.sourcesLeft).toBe(0)
  })

  test('[XCH-4] a source that stalls, refuses or dies is rested and then dropped; the others go on', () => {
    for (const bad of [good({ answers: 'nothing' }), good({ answers: 'refusals' }), good({ diesAtMs: 60 })]) {
      const result = run(60, [bad, good()])
      expect(result.fetch.isWhole).toBe(true)
      expect(result.fetch.lies).toEqual([])
    }
    const alone = run(60, [good({ answers: 'nothing' })])
    expect([alone.fetch.isWhole, alone.fetch.sourcesLeft]).toEqual([false, 0])
    expect(alone.endedAtMs).toBeLessThan(120_000)
  })

  test('[XCH-5] the last chunks of a slow source are asked of an idle one, too', () => {
    const alone = run(64, [good()]).endedAtMs
    const withSnail = run(64, [good(), good({ chunkMs: 5_000 })])
    expect(withSnail.fetch.isWhole).toBe(true)
    expect(withSnail.endedAtMs).toBeLessThan(alone * 2)
    expect(withSnail.chunksSent).toBeLessThanOrEqual(64 + 32)
  })

  test('[XCH-5] what is here is asked of nobody again, however long its leaves are owed', () => {
    const result = run(3, [good({ lyingLeaves: 'silent' }), good(), good()])
    expect(result.fetch.isWhole).toBe(true)
    expect(result.endedAtMs).toBeGreaterThan(FETCH_LIMITS.stalledMsMax) // the leaves came from another
    expect(result.chunksSent).toBeLessThanOrEqual(3 * 3)
  })

  test('[XCH-5] a small one is asked of one source, and of another once it was owed for a while', () => {
    const { root, bytes } = blobOf(1)
    const fetch = new BlobFetch({ root, bytes })
    for (const id of ['a', 'b']) fetch.addSource(id)
    expect(fetch.next(0).map(({ source }) => source)).toEqual(['a'])
    expect([fetch.next(249), fetch.nextDeadline(249)]).toEqual([[], 250])
    expect(fetch.next(250).map(({ source }) => source)).toEqual(['b'])
    expect([fetch.next(251), fetch.nextDeadline(251)]).toEqual([[], 500])
    expect(fetch.nextDeadline(501)).toBe(15_000)
  })

  test('[XCH-6] what an earlier run made durable is not asked for again', () => {
    const done = new Bitmap(50)
    for (let i = 0; i < 50; i++) if (i % 3 !== 0) done.add(i)
    const result = run(50, [good()], { done })
    expect(result.fetch.isWhole).toBe(true)
    expect([...result.written.keys()].every((chunk) => chunk % 3 === 0)).toBe(true)
    expect(result.chunksSent).toBe(17)
  })

  test('[XCH-4] a source that was dropped is not asked again, and one that comes late helps', () => {
    const { root, bytes, leaves } = blobOf(9)
    const fetch = new BlobFetch({ root, bytes })
    expect(fetch.next(0)).toEqual([])
    fetch.addSource('a')
    const asked = fetch.next(0)
    expect(asked.map(({ source }) => source)).toEqual(['a', 'a', 'a', 'a'])
    fetch.dropSource('a')
    fetch.addSource('a')
    expect([fetch.takeCalledOff().length, fetch.next(1)]).toEqual([4, []])
    fetch.addSource('b')
    const again = fetch.next(2)
    expect(again.length).toBe(4)
    fetch.leavesArrived(asked[0]!.id, leaves) // too late: it was called off
    expect(fetch.chunkArrived(asked[1]!.id, leafOf(0), 3)).toBe('drop')
    expect(fetch.verifiedChunks).toBe(0)
  })
})

const behaviours = fc.record({
  latencyMs: fc.integer({ min: 0, max: 2000 }),
  chunkMs: fc.integer({ min: 1, max: 3000 }),
  lies: fc.array(fc.nat(39), { maxLength: 3 }),
  lyingLeaves: fc.constantFrom('other' as const, 'short' as const, 'none' as const, undefined),
  diesAtMs: fc.option(fc.integer({ min: 0, max: 20_000 }), { nil: undefined }),
  answers: fc.constantFrom('everything' as const, 'everything' as const, 'nothing' as const, 'refusals' as const),
})

test('[XCH-2] [XCH-3] [XCH-4] with one honest source it completes whatever the others do; it names liars alone, and keeps to its windows', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.array(behaviours, { maxLength: 4 }),
      fc.nat(4),
      fc.array(fc.nat(39)),
      (chunks, others, place, already) => {
        const sources: Behaviour[] = others.map(({ lyingLeaves, diesAtMs, ...rest }) => ({
          ...rest,
          ...(lyingLeaves && { lyingLeaves }),
          ...(diesAtMs !== undefined && { diesAtMs }),
        }))
        const honest = Math.min(place, sources.length)
        sources.splice(honest, 0, good({ chunkMs: 50 }))
        const done = new Bitmap(chunks)
        for (const chunk of already) if (chunk < chunks) done.add(chunk)
        const limits = { windowBytes: 12 * CHUNK_BYTES, unverifiedBytesMax: 20 * CHUNK_BYTES }
        const result = run(chunks, sources, { limits, done })
        expect(result.fetch.isWhole).toBe(true)
        for (const [chunk, leaf] of result.written) expect(leaf).toBe(hex(leafOf(chunk)))
        for (let chunk = 0; chunk < chunks; chunk++) expect(done.has(chunk) || result.written.has(chunk)).toBe(true)
        expect(result.windowMax).toBeLessThanOrEqual(12)
        for (const { source, what, chunk } of result.fetch.lies) {
          const liar = sources[Number(source)]!
          expect(source).not.toBe(String(honest))
          if (what === 'chunk') expect(liar.lies).toContain(chunk)
          else expect(liar.lyingLeaves).toMatch(/other|short/)
        }
      },
    ),
    { seed: 1, numRuns: 300 },
  )
})

test('[XCH-6] a bitmap gives back the bits it was made of', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70 }), fc.array(fc.nat(69)), (length, bits) => {
      const bitmap = new Bitmap(length)
      const inside = new Set(bits.filter((bit) => bit < length))
      for (const bit of inside) bitmap.add(bit)
      const again = new Bitmap(length, bitmap.toBytes())
      expect([again.count, [...Array(length).keys()].filter((bit) => again.has(bit))]).toEqual([
        inside.size,
        [...inside].sort((a, b) => a - b),
      ])
      for (const bit of inside) again.remove(bit)
      expect(again.count).toBe(0)
    }),
    { seed: 1, numRuns: 100 },
  )
})
