/** Bytes over links, between two cores on a wire that is held: who asks, who gives, and what a hostile side can do. */
import { expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import type { SpaceId, TensorRoot } from '../../src/core/ids.ts'
import { PART_BYTES_MAX, WANT_BYTES_MAX, WANTS_MAX } from '../../src/replication/blob-frames.ts'
import { decodeFrame } from '../../src/replication/frames.ts'
import { ASKED_BYTES_MAX, ASKED_MAX } from '../../src/replication/link-asking.ts'
import { WAITING_BYTES_MAX } from '../../src/replication/link-giving.ts'

import { MIB, space, tensor, file, bytesOf, never, aWire, gather, codeOf } from './link-wire.ts'

test('[XCH-27] ranges, leaves, files, manifests and what is there come over the link as they are', async () => {
  const wire = await aWire()
  const { one, two } = wire
  const bytes = bytesOf(5 * MIB + 3)
  const leaves = 'ef'.repeat(32) as TensorRoot
  const nobody = '00'.repeat(32)
  two.blobs.set(tensor, bytes).set(file, bytesOf(WANT_BYTES_MAX)).set(leaves, bytesOf(96))
  const source = one.source(two)
  const brings = async (pieces: AsyncIterable<Uint8Array>, given: Uint8Array) => {
    const all = await wire.run(gather(pieces))
    expect(all.equals(given), `${all.length} bytes where ${given.length} are right`).toBe(true)
  }
  await brings(source.read(tensor, MIB, 5 * MIB, never), bytes.subarray(MIB, 5 * MIB))
  await brings(source.leaves(leaves, 96, never), bytesOf(96))
  await brings(source.file(file, 64 * MIB, never), bytesOf(WANT_BYTES_MAX)) // two ranges, of which the second is empty
  await brings(source.manifest(tensor, 64 * MIB, never), bytes)
  const has = [tensor, nobody].map((digest) => source.has(digest, never))
  expect(await wire.run(Promise.all(has))).toEqual([true, false])
  const codes = [
    source.read(nobody as TensorRoot, 0, 5, never),
    source.leaves(leaves, 64, never), // they are of use only whole
    source.read(tensor, 5 * MIB, 6 * MIB, never), // it ends early
    source.leaves(tensor, bytes.length, never), // too many for one request
  ].map((pieces) => codeOf(gather(pieces)))
  expect(await wire.run(Promise.all(codes))).toEqual(['BLOB_NOT_FOUND', 'BLOB_NOT_FOUND', 'NETWORK', 'NETWORK'])
  expect([...new Set(two.asked.map((asked) => asked.split(' ')[2]))]).toEqual([space.id])
})

test('[XCH-28] an op is never behind more than half a MiB of bytes, whatever the other side asked for', async () => {
  const wire = await aWire()
  const { one, two } = wire
  two.blobs.set(tensor, bytesOf(4 * MIB))
  const reading = Promise.all([0, 1, 2, 3, 4].map(() => gather(one.source(two).read(tensor, 0, 4 * MIB, never))))
  for (let turn = 0; turn < 50; turn++) {
    wire.pass(one)
    await new Promise(setImmediate)
  }
  expect(two.waitingBytes).toBeGreaterThan(WAITING_BYTES_MAX) // nobody takes them
  expect(two.waitingBytes).toBeLessThan(WAITING_BYTES_MAX + PART_BYTES_MAX)
  expect(two.sent('blob-part')).toBe(1)
  expect((await wire.run(reading)).map(({ length }) => length)).toEqual(Array(5).fill(4 * MIB))
})

test('[XCH-28] so much of a link is asked for at once, and what waits for its turn is alive while anything comes', async () => {
  const wire = await aWire()
  const { one, two } = wire
  two.blobs.set(tensor, bytesOf(4 * MIB))
  const beats: number[] = []
  const reading = Array.from({ length: 12 }, async (_, i) => {
    for await (const piece of one.source(two).read(tensor, 0, 4 * MIB, never)) if (piece.length === 0) beats.push(i)
  })
  await new Promise(setImmediate)
  expect(one.sent('blob-want')).toBe(ASKED_BYTES_MAX / (4 * MIB))
  await wire.run(Promise.all(reading))
  expect(beats).toContain(11)
  const small = Array.from({ length: 12 }, () => gather(one.source(two).read(tensor, 0, 10, never)))
  await new Promise(setImmediate)
  expect(one.sent('blob-want')).toBe(ASKED_MAX)
  await wire.run(Promise.all(small))
})

test('[XCH-27] what is called off is not whole, though its end was here before it was read', async () => {
  const wire = await aWire()
  const { one, two } = wire
  two.readBlob = () => new Promise(() => undefined)
  const stop = new AbortController()
  const called = codeOf(gather(one.source(two).manifest(tensor, 64 * MIB, stop.signal)))
  await wire.settle()
  one.bytes.on({ t: 'blob-part', link: 1, request: 1, bytes: bytesOf(5) })
  one.bytes.on({ t: 'blob-end', link: 1, request: 1, how: 'done' })
  stop.abort()
  expect(await called).toBe('NETWORK')
})

test('[XCH-41] who never says whether it has a model is not waited for, and who is busy on the link is', async () => {
  const wire = await aWire()
  const { one, two } = wire
  two.readBlob = () => new Promise(() => undefined) // says nothing
  const silent = codeOf(one.source(two).has(tensor, never))
  await wire.settle()
  wire.clock.pass(15_001)
  expect(await silent).toBe('NETWORK')
  await wire.settle()
  expect(wire.passed).toContain('blob-end') // it was called off
  const busy = one.source(two).has(tensor, never)
  for (let i = 0; i < 5; i++) {
    wire.clock.pass(10_000)
    one.bytes.on({ t: 'blob-part', link: 1, request: 99, bytes: bytesOf(1) }) // of something else
    await new Promise(setImmediate)
  }
  one.bytes.on({ t: 'blob-end', link: 1, request: 2, how: 'done' })
  expect(await busy).toBe(true)
})

test('[XCH-28] who asks for many small things goes slower than what counts as a flood', async () => {
  const wire = await aWire()
  const { one, two } = wire
  two.blobs.set(tensor, bytesOf(10))
  const source = one.source(two)
  const started = wire.clock.now()
  const work = async () => {
    for (let i = 0; i < 150; i++) await gather(source.read(tensor, 0, 10, never))
  }
  await wire.run(Promise.all(Array.from({ length: 8 }, work)))
  expect(wire.clock.now() - started).toBeGreaterThan(2000) // 700 beyond the burst, 250 a second
  expect([two.counts.get('refused.rate'), one.counts.get('refused.rate')]).toEqual([undefined, undefined])
})

test('[XCH-28] what was asked for does not count as a flood, however much it is', async () => {
  const wire = await aWire()
  const { one, two } = wire
  two.blobs.set(tensor, new Uint8Array(4 * MIB))
  for (let i = 0; i < 30; i++) await wire.run(gather(one.source(two).read(tensor, 0, 4 * MIB, never))) // 120 MiB, at once
  expect(one.counts.get('refused.rate')).toBeUndefined()
})

test('[XCH-29] nothing is given of a space that the other side may not read, and it is not said why', async () => {
  const wire = await aWire()
  const { one, two } = wire
  two.blobs.set(tensor, bytesOf(10))
  two.mayRead = false
  expect(await wire.run(codeOf(gather(one.source(two).read(tensor, 0, 10, never))))).toBe('BLOB_NOT_FOUND')
  two.mayRead = true
  two.readBlob = async () => {
    throw new TributaryError('NOT_ALLOWED', 'no member')
  }
  expect(await wire.run(codeOf(gather(one.source(two).read(tensor, 0, 10, never))))).toBe('BLOB_NOT_FOUND')
  two.readBlob = async () => {
    throw new TributaryError('TOO_MANY_REQUESTS', 'too many')
  }
  expect(await wire.run(codeOf(gather(one.source(two).read(tensor, 0, 10, never))))).toBe('NETWORK')
  const other = 'f'.repeat(32) as SpaceId
  wire.give(two, { t: 'blob-want', request: 9, space: other, kind: 'tensor', digest: tensor, start: 0, end: 1 })
  expect(decodeFrame(two.outbox.at(-1)!.frame)).toEqual({ t: 'blob-end', request: 9, how: 'lacks' })
})

test('[XCH-30] a part that nobody asked for is refused by name, and whoever goes on with it loses the link', async () => {
  const wire = await aWire()
  const { one } = wire
  for (let i = 0; i < 9; i++) wire.give(one, { t: 'blob-part', request: i, offset: 0, bytes: bytesOf(3) })
  expect([one.counts.get('blobs.part-unasked'), one.closed]).toEqual([9, []])
  for (let i = 0; i < 2; i++) wire.give(one, { t: 'blob-part', request: i, offset: 0, bytes: bytesOf(3) })
  expect(one.closed).toEqual([1])
})

test('[XCH-30] a part at another place, an empty one and one beyond what was asked for end the request, each by its name', async () => {
  const wire = await aWire()
  const { one, two } = wire
  two.readBlob = () => new Promise(() => undefined) // says nothing
  const cases = [
    [{ offset: 1, bytes: bytesOf(5) }, 'blobs.part-misplaced'],
    [{ offset: 0, bytes: bytesOf(0) }, 'blobs.part-misplaced'],
    [{ offset: 0, bytes: bytesOf(11) }, 'blobs.part-too-long'],
  ] as const
  for (const [i, [part, metric]] of cases.entries()) {
    const failed = codeOf(gather(one.source(two).read(tensor, 0, 10, never)))
    await wire.settle()
    wire.give(one, { t: 'blob-part', request: i + 1, ...part })
    expect(await failed).toBe('NETWORK')
    expect(one.counts.get(metric)).toBe(metric === 'blobs.part-misplaced' ? i + 1 : 1)
    await wire.settle()
  }
  expect(wire.passed.filter((type) => type === 'blob-end')).toHaveLength(6) // called off, and ended for that
})

test('[XCH-30] a flood of wants is answered with busy and named, and nothing more is read for it', async () => {
  const wire = await aWire()
  const { two } = wire
  two.readBlob = (blob) => {
    two.asked.push(blob.digest)
    return new Promise(() => undefined)
  }
  const want = (request: number) =>
    wire.give(two, { t: 'blob-want', request, space: space.id, kind: 'tensor', digest: tensor, start: 0, end: 1 })
  for (let i = 0; i < WANTS_MAX + 5; i++) want(i)
  expect([two.counts.get('blobs.wants-full'), two.sent('blob-end'), two.asked.length]).toEqual([5, 5, 1])
  want(3)
  expect(two.counts.get('blobs.want-twice')).toBe(1)
})

test('[XCH-30] what was called off is let pass and forgotten, and an end that nobody waits for changes nothing', async () => {
  const wire = await aWire()
  const { one, two } = wire
  two.blobs.set(tensor, bytesOf(4 * MIB))
  const stop = new AbortController()
  const failed = codeOf(gather(one.source(two).read(tensor, 0, 4 * MIB, stop.signal)))
  for (let turn = 0; turn < 5; turn++) {
    wire.pass(one)
    await new Promise(setImmediate)
  }
  expect(two.sent('blob-part')).toBeGreaterThan(0)
  stop.abort()
  expect(await failed).toBe('NETWORK')
  await wire.settle()
  expect([...one.counts].filter(([metric]) => metric.startsWith('blobs.'))).toEqual([])
  expect(wire.passed.filter((type) => type === 'blob-part').length).toBeLessThan((4 * MIB) / PART_BYTES_MAX)
  wire.give(one, { t: 'blob-end', request: 1, how: 'done' })
  wire.give(two, { t: 'blob-end', request: 1, how: 'called-off' })
  expect(one.counts.get('frames.unexpected')).toBe(1)
  expect((await wire.run(gather(one.source(two).read(tensor, 0, 10, never)))).length).toBe(10)
})

test('[XCH-30] when a link ends, all that was asked of it fails, and all that was owed to it is let go', async () => {
  const wire = await aWire()
  const { one, two } = wire
  two.blobs.set(tensor, bytesOf(4 * MIB))
  const failing = Promise.all(
    Array.from({ length: 6 }, () => codeOf(gather(one.source(two).read(tensor, 0, 4 * MIB, never)))),
  )
  for (let turn = 0; turn < 10; turn++) {
    wire.pass(one)
    await new Promise(setImmediate)
  }
  for (const side of [one, two]) {
    side.do(side.core.linkClosed(1))
    side.closed.push(1)
    side.bytes.closed(1)
  }
  expect(await failing).toEqual(Array(6).fill('NETWORK'))
  const waiting = two.waitingBytes
  await wire.settle()
  expect(two.waitingBytes).toBeLessThan(waiting + 1)
  expect(await codeOf(gather(one.source(two).read(tensor, 0, 10, never)))).toBe('NETWORK')
})
