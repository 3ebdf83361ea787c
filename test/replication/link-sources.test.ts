import { expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import type { ReplicaId, SpaceId } from '../../src/core/ids.ts'
import { eitherSource } from '../../src/replication/either-source.ts'
import { LinkSources, type SourceOpening } from '../../src/replication/link-sources.ts'
import type { ModelSource } from '../../src/transport/blob-source.ts'
import { aReplica } from '../support/replica.ts'
import { HeldClock } from '../support/held-clock.ts'
import { streamOf, tinyFile } from '../support/safetensors.ts'
import { World } from '../support/world.ts'

const space = '5'.repeat(32) as SpaceId
const at = { link: 7, rid: 'a'.repeat(64) as ReplicaId, address: { url: 'http://a.example' } }

function aBench() {
  const clock = new HeldClock()
  const asked: string[] = []
  const openings: SourceOpening[] = []
  const keep = new Set<SpaceId>()
  let closed = 0
  const sources = new LinkSources({
    clock,
    keeps: (_, of) => keep.has(of),
    overLink: (_, id) => ({ id: `${id} over its link`, close: () => undefined }) as unknown as ModelSource,
    ask: (link, of) => void asked.push(`${link} ${of}`),
    openSource(opening) {
      openings.push(opening)
      return { id: opening.id, close: () => void (closed += 1) } as unknown as ModelSource
    },
  })
  return { clock, asked, openings, sources, keep, closed: () => closed }
}

test('[XCH-26] a link is a source once it gave the ticket that it was asked for, and one unasked is dropped', () => {
  const { clock, asked, sources, closed } = aBench()
  expect(sources.ticketCame(7, space, 'early')).toBe(false)
  expect(sources.of(at, space)).toEqual([])
  expect(sources.of(at, space)).toEqual([])
  expect(asked).toEqual([`7 ${space}`])
  clock.pass(5000)
  expect([sources.of(at, space), asked.length]).toEqual([[], 2])
  expect([sources.ticketCame(7, space, 'one'), sources.ticketCame(7, space, 'two')]).toEqual([true, false])
  expect(sources.of(at, space).map(({ id }) => id)).toEqual([at.rid])
  sources.closed(7)
  expect([closed(), sources.ticketCame(7, space, 'late')]).toEqual([1, false])
})

test('[XCH-26] a ticket is asked for anew after four minutes, shown until then, and of no use after five', () => {
  const { clock, asked, openings, sources } = aBench()
  sources.of(at, space)
  sources.ticketCame(7, space, 'one')
  clock.pass(239_999)
  expect([openings[0]!.authorization(), asked.length]).toEqual(['Ticket one', 1])
  clock.pass(1)
  expect([openings[0]!.authorization(), asked.length]).toEqual(['Ticket one', 2])
  sources.ticketCame(7, space, 'two')
  expect(openings[0]!.authorization()).toBe('Ticket two')
  clock.pass(300_000)
  expect(sources.of(at, space)).toEqual([])
})

test('[XCH-44] a replica without an address that does not say in time that it keeps the space is not asked', () => {
  const { clock, sources, keep } = aBench()
  const linked = { ...at, address: undefined }
  const other = '6'.repeat(32) as SpaceId
  expect(sources.of(linked, space)).toHaveLength(1)
  clock.pass(4999)
  expect(sources.of(linked, space)).toHaveLength(1)
  clock.pass(1)
  expect([sources.of(linked, space), sources.of(linked, other).length]).toEqual([[], 1])
  keep.add(space)
  expect(sources.of(linked, space)).toHaveLength(1)
  keep.clear()
  sources.closed(at.link)
  expect(sources.of(linked, space)).toHaveLength(1)
})

test('[XCH-31] a replica without an address is asked over its link, at once', () => {
  const { asked, openings, sources } = aBench()
  const over = sources.of({ ...at, address: undefined }, space)
  expect(over.map(({ id }) => id)).toEqual([`${at.rid} over its link`])
  expect([asked, openings]).toEqual([[], []])
})

test('[XCH-31] after HTTP failed all goes over the link for a minute; what it lacks, it lacks over the link too', async () => {
  const clock = new HeldClock()
  let failure: TributaryError | undefined
  let begun = 0
  const sourceOf = (id: string, fails: () => TributaryError | undefined) =>
    ({
      id,
      async *read() {
        for (let i = 0; i < begun; i++) yield new Uint8Array(1)
        const why = fails()
        if (why !== undefined) throw why
        yield Uint8Array.from(Buffer.from(id))
      },
      async has() {
        const why = fails()
        if (why !== undefined) throw why
        return id === 'link'
      },
    }) as unknown as ModelSource
  const source = eitherSource(sourceOf('http', () => failure), sourceOf('link', () => undefined), clock) // prettier-ignore
  const signal = new AbortController().signal
  const read = async () => {
    let last: Uint8Array | undefined
    for await (const piece of source.read('' as never, 0, 1, signal)) last = piece
    return Buffer.from(last!).toString()
  }
  expect([source.id, await read(), await source.has('', signal)]).toEqual(['http', 'http', false])
  failure = new TributaryError('BLOB_NOT_FOUND', 'not here')
  await expect(read()).rejects.toBe(failure)
  failure = new TributaryError('NETWORK', 'cut')
  begun = 1
  await expect(read()).rejects.toBe(failure) // what began by one way ends by it
  begun = 0
  expect([await read(), await source.has('', signal)]).toEqual(['link', true])
  failure = undefined
  clock.pass(59_999)
  expect(await read()).toBe('link')
  clock.pass(1)
  expect(await read()).toBe('http')
})

test('[XCH-26] bytes of a space of members go to members alone', async () => {
  const world = new World()
  const owner = await world.stand(1, [named(2)])
  await owner.replica.createSpace({ name: 'closed', access: 'members' })
  const { model } = await owner.replica.uploadModel(streamOf(tinyFile(1)))
  await owner.replica.contribute('closed', { model, name: 'a' })
  const guest = await world.stand(2, [named(1)], await aReplica({ seed: 2 }))
  await world.until(() => guest.replica.storage.ops.count() === 2, 'the operator named it, so the ops came')
  await world.pass(3000)
  expect(guest.replica.storage.manifests.find(model as never)).toBeUndefined()
  await owner.replica.addMember('closed', { key: guest.replica.identity().replica, role: 'reader' })
  await world.until(() => guest.replica.storage.manifests.find(model as never) !== undefined, 'now it comes')
})
const named = (seed: number) => `http://replica-${seed}`
