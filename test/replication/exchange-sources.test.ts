/** Whom the bytes of models are had from: liars, who breaks off, who has no room, and who can be reached over a link alone. */
import { expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import type { ModelSource } from '../../src/transport/blob-source.ts'
import { collect, safetensors, streamOf, tinyFile } from '../support/safetensors.ts'
import { aReplica } from '../support/replica.ts'
import { temporaryStorage } from '../support/storage.ts'
import { World } from '../support/world.ts'

import { named, upload, AVERAGE, stateOf, outputOf, hasManifests, twoReplicas, finished } from './two-replicas.ts'

test('[XCH-22] [XCH-42] a lying source is named and counted, and the other completes the model', async () => {
  const world = new World()
  const { one, two, models } = await twoReplicas(world)
  await world.until(() => hasManifests(two, ...models), 'both manifests came')
  await finished(world, two) // it has them too
  world.tamper = (from, source): ModelSource => ({
    ...source,
    async *read(...asked) {
      for await (const piece of source.read(...asked)) yield from === one ? piece.map((byte) => byte ^ 1) : piece
    },
    async *file(...asked) {
      for await (const piece of source.file(...asked)) yield from === one ? piece.map((byte) => byte ^ 1) : piece
    },
  })
  const three = await world.stand(3, [named(1), named(2)])
  await world.until(() => three.replica.listSpaces().length === 1 && hasManifests(three, ...models), 'manifests came')
  const id = await finished(world, three)
  expect(await outputOf(three, id)).toEqual(await outputOf(two, id))
  expect(three.replicator.counts().get('blobs.lies')).toBeGreaterThan(0)
  const messages = three.replica.faults.map((fault) => (fault as TributaryError).message)
  expect(
    messages.some((message) => /something else for (chunk 0 of the tensor|the file) [0-9a-f]{64}$/.test(message)),
  ).toBe(true)
  const accused = three.replica.faults.map((fault) => (fault as TributaryError).details['source'])
  expect(new Set(accused)).toEqual(new Set([one.replica.identity().replica]))
  expect(await three.replica.storage.blobs.sweepTemporary(0, Number.MAX_SAFE_INTEGER)).toBe(0)
})

test('[XCH-22] a lie costs the link twice what a forged signature does: the third ends it, and an honest one does not', async () => {
  const world = new World()
  const { one, two, models } = await twoReplicas(world)
  const three = await world.stand(3, [named(2)])
  await world.until(() => hasManifests(two, ...models), 'both manifests came')
  await world.until(
    () => two.replicator.peers().filter(({ state }) => state === 'linked').length === 2,
    'both are linked',
  )
  const links = () => two.replicator.counts().get('links.score')
  const liar = one.replica.identity().replica
  two.replicator.lied(liar)
  two.replicator.lied(liar)
  expect(links()).toBeUndefined()
  two.replicator.lied(liar)
  expect(links()).toBe(1)
  const linked = () => two.replicator.peers().filter(({ state }) => state === 'linked')
  await world.until(() => linked().length === 1, 'one link has ended')
  expect(linked().map(({ rid }) => rid)).toEqual([three.replica.identity().replica])
  await world.until(() => linked().length === 2, 'it is dialed again: nothing of what it writes is refused')
})

test('[XCH-23] a fetch that breaks off is told of, tried again later, and goes on when the source is back', async () => {
  const world = new World()
  let isDead = true
  world.givesOverLinks = false
  world.tamper = (_, source): ModelSource => ({
    ...source,
    async *read(...asked) {
      if (isDead) throw new TributaryError('NETWORK', 'cut')
      yield* source.read(...asked)
    },
  })
  const { two, models } = await twoReplicas(world)
  await world.until(() => hasManifests(two, ...models), 'both manifests came')
  const { merge } = await two.replica.startMerge('lab', AVERAGE)
  await world.until(() => two.replica.findMerge('lab', merge.id).error !== undefined, 'it is told why')
  expect(two.replica.findMerge('lab', merge.id)).toMatchObject({ state: 'blocked', error: { code: 'BYTES_MISSING' } })
  isDead = false
  await world.until(() => stateOf(two, merge.id) === 'done', 'the merge is done')
})

test('[XCH-23] a model that is dropped while it is fetched is asked for again, its manifest first, and that is no fault', async () => {
  const world = new World()
  const { two, models } = await twoReplicas(world)
  await world.until(() => hasManifests(two, ...models), 'both manifests came')
  let drops = 0
  world.tamper = (_, source): ModelSource => ({
    ...source,
    async *read(...asked) {
      if (drops++ === 0) for (const model of models) two.replica.storage.manifests.remove(model as never)
      yield* source.read(...asked)
    },
  })
  const { merge } = await two.replica.startMerge('lab', AVERAGE)
  await world.until(() => stateOf(two, merge.id) === 'done', 'the merge is done')
  expect(drops).toBeGreaterThan(1)
  expect(two.replica.faults).toEqual([])
})

test('[XCH-24] a model for which there is no room is refused by name before its tensors are sent, and the merge stays blocked', async () => {
  const world = new World()
  const storage = await temporaryStorage()
  let free = 1e9
  storage.blobs.freeBytes = async () => free
  const { two, models } = await twoReplicas(world, [1, 2], await aReplica({ seed: 2, storage }))
  await world.until(() => hasManifests(two, ...models), 'both manifests came')
  const block = storage.jobs.block.bind(storage.jobs)
  storage.jobs.block = (...given) => {
    free = 0 // before anything is asked for
    return block(...given)
  }
  const { merge } = await two.replica.startMerge('lab', AVERAGE)
  await world.until(() => two.replica.findMerge('lab', merge.id).error !== undefined, 'it is told why')
  expect(two.replica.findMerge('lab', merge.id)).toMatchObject({ state: 'blocked', error: { code: 'DISK_FULL' } })
  expect(two.replica.findMerge('lab', merge.id).missing).toHaveLength(2)
})

test('[XCH-25] a base that only its content names is found by it, fetched and held', async () => {
  const world = new World()
  const one = await world.stand(1, [named(2)])
  const base = await one.replica.uploadModel(
    streamOf(
      safetensors([
        { name: 'a.weight', shape: [4, 3], values: new Array(12).fill(1) },
        { name: 'b.bias', shape: [5], values: new Array(5).fill(2) },
      ]),
    ),
  )
  await one.replica.createSpace({ name: 'lab', base: base.model })
  const model = await upload(one, tinyFile(1), 'a')
  const two = await world.stand(2, [named(1)])
  await world.until(() => hasManifests(two, base.model, model), 'both manifests came')
  const { merge } = await two.replica.startMerge('lab', { strategy: 'task_arithmetic' })
  await world.until(() => stateOf(two, merge.id) === 'done', 'the merge is done')
  expect(two.replica.storage.pins.holdersOf(base.model as never)).toContain(`base:${two.replica.findSpace('lab').id}`)
})

test('[XCH-27] a replica that can only dial out gives its bytes over the link that it opened', async () => {
  const world = new World()
  const hub = await world.stand(1)
  await hub.replica.createSpace({ name: 'lab' })
  const site = await world.stand(2, [named(1)])
  await world.until(() => site.replica.listSpaces().length === 1, 'the space is known at the site')
  const bytes = safetensors([{ name: 'a', shape: [300_000], values: Array.from({ length: 300_000 }, (_, i) => i) }])
  const model = await upload(site, bytes, 'a')
  await world.until(() => hasManifests(hub, model), 'its manifest came')
  const id = await finished(world, hub)
  expect((await outputOf(hub, id)).equals(await outputOf(site, await finished(world, site)))).toBe(true)
  const file = await hub.replica.readModelFile(model, 'model.safetensors')
  expect(Buffer.from(await collect(file.read(0, file.bytes))).equals(bytes)).toBe(true)
  expect(hub.replicator.counts().get('frames.blob-part')).toBeGreaterThan(5)
  expect([...hub.replica.faults, ...site.replica.faults]).toEqual([])
})

test('[XCH-27] over a link bytes of a space of members go to members alone', async () => {
  const world = new World()
  const hub = await world.stand(1)
  const site = await world.stand(2, [named(1)])
  await site.replica.createSpace({ name: 'closed', access: 'members' })
  const { model } = await site.replica.uploadModel(streamOf(tinyFile(1)))
  await site.replica.contribute('closed', { model, name: 'a' })
  const key = hub.replica.identity().replica
  const ask = () =>
    site.replica.readBlobFor({ kind: 'manifest', digest: model }, { space: idOfClosed, rid: key as never })
  const idOfClosed = site.replica.findSpace('closed').id as never
  await expect(ask()).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  await site.replica.addMember('closed', { key, role: 'reader' })
  expect((await ask()).bytes).toBeGreaterThan(100)
  await site.replica.removeMember('closed', key)
  await expect(ask()).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
})

test('[XCH-31] where HTTP fails a named replica is asked over its link', async () => {
  const world = new World()
  let asked = 0
  world.tamper = (_, source): ModelSource => ({
    ...source,

    async *read() {
      asked += 1
      throw new TributaryError('NETWORK', 'the proxy lets websockets through and nothing else')
    },
  })
  const { two, models } = await twoReplicas(world)
  await world.until(() => hasManifests(two, ...models), 'both manifests came')
  await finished(world, two)
  expect(asked).toBeGreaterThan(0)
  expect(asked).toBeLessThan(5) // the first that were under way
})
