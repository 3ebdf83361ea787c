/** Bytes of models between whole replicas: merges that lack them fetch them, verify them and finish. */
import { expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import type { ModelSource } from '../../src/transport/blob-source.ts'
import { collect, safetensors, streamOf, tinyFile } from '../support/safetensors.ts'
import { aReplica, type TestReplica } from '../support/replica.ts'
import { temporaryStorage } from '../support/storage.ts'
import { type Standing, World } from '../support/world.ts'

const named = (seed: number) => `http://replica-${seed}`
const upload = async ({ replica }: Standing, bytes: Uint8Array, name: string) => {
  const { model } = await replica.uploadModel(streamOf(bytes))
  await replica.contribute('lab', { model, name })
  return model
}
const AVERAGE = { strategy: 'weight_average' }
const stateOf = ({ replica }: Standing, id: string) => replica.findMerge('lab', id).state
const outputOf = async ({ replica }: Standing, id: string) => {
  const output = await replica.readOutput('lab', id)
  return Buffer.from(await collect(output.read(0, output.bytes)))
}
const hasManifests = ({ replica }: Standing, ...models: readonly string[]) =>
  models.every((model) => replica.storage.manifests.find(model as never) !== undefined)

/** A space that two replicas keep, with two models that are on the first alone. */
async function twoReplicas(world: World, seeds = [1, 2], given?: TestReplica) {
  const one = await world.stand(1, [named(2)])
  await one.replica.createSpace({ name: 'lab' })
  const models = [await upload(one, tinyFile(seeds[0]!), 'a'), await upload(one, tinyFile(seeds[1]!), 'b')]
  const two = await world.stand(2, [named(1)], given)
  return { one, two, models }
}

async function finished(world: World, at: Standing) {
  const { merge } = await at.replica.startMerge('lab', AVERAGE)
  await world.until(() => stateOf(at, merge.id) === 'done', 'the merge is done')
  return merge.id
}

test('[XCH-20] manifests come with the ops, and a model of which no more is here is not served', async () => {
  const world = new World()
  const { two, models } = await twoReplicas(world)
  await world.until(() => hasManifests(two, ...models), 'both manifests came')
  expect(() => two.replica.findModel(models[0]!)).toThrow(
    expect.objectContaining({ code: 'MODEL_NOT_FOUND', hint: expect.stringContaining('a merge') }),
  )
  expect(two.replica.listContributions('lab').map(({ here }) => here)).toEqual([false, false])
  await expect(two.replica.readBlob('manifest', models[0]!)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' })
})

test('[XCH-21] a merge that lacks bytes fetches them and finishes, to the bytes of the replica that had them', async () => {
  const world = new World()
  const { one, two, models } = await twoReplicas(world)
  await world.until(() => hasManifests(two, ...models), 'both manifests came')
  const { merge } = await two.replica.startMerge('lab', AVERAGE)
  expect(merge).toMatchObject({ state: 'blocked' })
  expect([...merge.missing!].sort()).toEqual([...models].sort())
  await world.until(() => stateOf(two, merge.id) === 'done', 'the merge is done')
  const here = await one.replica.startMerge('lab', AVERAGE)
  expect(here.merge.id).toBe(merge.id)
  await world.until(() => stateOf(one, merge.id) === 'done', 'the other merge is done')
  expect(await outputOf(two, merge.id)).toEqual(await outputOf(one, merge.id))
  expect(two.replica.findReceipt('lab', merge.id).statement).toEqual(one.replica.findReceipt('lab', merge.id).statement)
  const file = await two.replica.readModelFile(models[0]!, 'model.safetensors')
  expect(Buffer.from(await collect(file.read(0, file.bytes)))).toEqual(Buffer.from(tinyFile(1)))
  expect(two.replica.storage.fetches.temporaries().size).toBe(0)
  expect(await two.replica.storage.blobs.sweepTemporary(0, Number.MAX_SAFE_INTEGER)).toBe(0)
  expect([...one.replica.faults, ...two.replica.faults]).toEqual([])
})

test('[XCH-21] a tensor that several models share is fetched once, though they are fetched side by side', async () => {
  const world = new World()
  const reads: string[] = []
  const manifests: string[] = []
  world.tamper = (_, source): ModelSource => ({
    ...source,
    manifest(digest, ...asked) {
      manifests.push(digest)
      return source.manifest(digest, ...asked)
    },
    async *read(root, ...asked) {
      yield* source.read(root, ...asked)
      reads.push(root) // one that broke off with its link does not count
    },
  })
  const one = await world.stand(1, [named(2)])
  await one.replica.createSpace({ name: 'lab' })
  const shared = { name: 'shared', shape: [3], values: [1, 2, 3] }
  const models: string[] = []
  for (const i of [1, 2, 3])
    models.push(await upload(one, safetensors([shared, { name: 'own', shape: [2], values: [i, i] }]), `m${i}`))
  const two = await world.stand(2, [named(1)])
  await world.until(() => hasManifests(two, ...models), 'the manifests came')
  await finished(world, two)
  expect([reads.length, new Set(reads).size]).toEqual([4, 4])
  expect([...manifests].sort()).toEqual([...models].sort())
  for (const model of models) expect(two.replica.storage.manifests.find(model as never)).toBeUndefined()
  expect(two.replica.storage.fetches.temporaries().size).toBe(0)
})

/** Waits for ever, unless called off. */
const never = (signal: AbortSignal) =>
  new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(new TributaryError('NETWORK', 'called off'))),
  )

test('[XCH-21] a model that does not come holds up neither manifests nor other merges', async () => {
  const world = new World()
  world.givesOverLinks = false
  const hanging = new Set<string>()
  world.tamper = (_, source): ModelSource => ({
    ...source,
    async *read(root, start, end, signal) {
      if (hanging.has(root)) await never(signal)
      yield* source.read(root, start, end, signal)
    },
  })
  const { one, two, models } = await twoReplicas(world)
  for (const { root } of one.replica.findModel(models[0]!).tensors) hanging.add(root)
  await world.until(() => hasManifests(two, ...models), 'both manifests came')
  const all = await two.replica.startMerge('lab', AVERAGE)
  await world.until(() => two.replica.findMerge('lab', all.merge.id).missing?.length === 1, 'one of them came')
  const third = await upload(one, tinyFile(3), 'c')
  await world.until(() => hasManifests(two, third), 'the manifest of the third came')
  const some = await two.replica.startMerge('lab', { ...AVERAGE, select: { names: ['b', 'c'] } })
  await world.until(() => stateOf(two, some.merge.id) === 'done', 'the merge that lacks nothing is done')
  expect(two.replica.findMerge('lab', all.merge.id)).toMatchObject({ state: 'blocked', missing: [models[0]] })
  hanging.clear()
  await world.until(() => stateOf(two, all.merge.id) === 'done', 'the other is done too')
})

test('[XCH-21] asking again for a merge that waits changes nothing, and says what it lacks now', async () => {
  const world = new World()
  world.givesOverLinks = false
  const hanging = new Set<string>()
  world.tamper = (_, source): ModelSource => ({
    ...source,
    async *read(root, start, end, signal) {
      if (hanging.has(root)) await never(signal)
      yield* source.read(root, start, end, signal)
    },
  })
  const { one, two, models } = await twoReplicas(world)
  for (const model of models) for (const { root } of one.replica.findModel(model).tensors) hanging.add(root)
  await world.until(() => hasManifests(two, ...models), 'both manifests came')
  const first = await two.replica.startMerge('lab', AVERAGE)
  const again = await two.replica.startMerge('lab', AVERAGE)
  expect([first.created, again.created, again.merge.id]).toEqual([true, false, first.merge.id])
  for (const { root } of one.replica.findModel(models[1]!).tensors) hanging.delete(root)
  await world.until(() => two.replica.storage.models.has(models[1] as never), 'the second came')
  const changed = two.replica.storage.jobs.find(first.merge.id as never)!.updatedAtMs
  const third = await two.replica.startMerge('lab', AVERAGE)
  expect([third.created, third.merge.missing]).toEqual([false, [models[0]]])
  expect(two.replica.storage.jobs.find(first.merge.id as never)!.updatedAtMs).toBe(changed)
  const other = await two.replica.startMerge('lab', { ...AVERAGE, select: { names: ['b'] } })
  expect([other.created, other.merge.id === first.merge.id]).toEqual([true, false]) // another recipe is another merge
  hanging.clear()
  await world.until(() => stateOf(two, first.merge.id) === 'done', 'the merge is done')
  expect((await two.replica.startMerge('lab', AVERAGE)).merge).toMatchObject({ state: 'done' })
})

test('[XCH-21] whoever offered a model is asked for it first, and nobody is asked whether it has a small one', async () => {
  const world = new World()
  const first = new Map<string, string>()
  let inquiries = 0
  world.tamper = (from, source): ModelSource => ({
    ...source,
    read(root, ...given) {
      if (!first.has(root)) first.set(root, from.url) // a slow one is asked of another later
      return source.read(root, ...given)
    },
    has(...given) {
      inquiries += 1
      return source.has(...given)
    },
  })
  const one = await world.stand(1)
  await one.replica.createSpace({ name: 'lab' })
  const two = await world.stand(2, [named(1)])
  await world.until(() => two.replica.listSpaces().length === 1, 'the space is known')
  const models = [await upload(two, tinyFile(2), 'b'), await upload(one, tinyFile(1), 'a')]
  const three = await world.stand(3, [named(1), named(2)])
  await world.until(() => three.replica.listSpaces().length === 1 && hasManifests(three, ...models), 'manifests came')
  await world.until(() => three.replicator.sourcesFor(three.replica.listSpaces()[0]!.id as never).length === 2, 'both may be asked') // prettier-ignore
  await finished(world, three)
  const offered = [
    ...two.replica.findModel(models[0]!).tensors.map(({ root }) => [root, named(2)]),
    ...one.replica.findModel(models[1]!).tensors.map(({ root }) => [root, named(1)]),
  ]
  expect([[...first].sort(), inquiries]).toEqual([offered.sort(), 0])
})

test('[XCH-23] of a merge that lacks much it is told once why nothing comes, and again when something else is the matter', async () => {
  const world = new World()
  world.givesOverLinks = false
  let why: 'cut' | 'full' | undefined = 'cut'
  const storage = await temporaryStorage()
  storage.blobs.freeBytes = async () => (why === 'full' ? 0 : 1e9)
  world.tamper = (_, source): ModelSource => ({
    ...source,
    async *read(...asked) {
      if (why !== undefined) throw new TributaryError('NETWORK', 'cut')
      yield* source.read(...asked)
    },
  })
  const one = await world.stand(1, [named(2)])
  await one.replica.createSpace({ name: 'lab' })
  const models: string[] = []
  for (let i = 1; i <= 4; i++) models.push(await upload(one, tinyFile(i), `m-${i}`))
  const told: string[] = []
  const block = storage.jobs.block.bind(storage.jobs)
  storage.jobs.block = (id, error, nowMs) => {
    told.push((JSON.parse(error) as { code: string; hint?: string }).code)
    return block(id, error, nowMs)
  }
  const two = await world.stand(2, [named(1)], await aReplica({ seed: 2, storage }))
  await world.until(() => hasManifests(two, ...models), 'the manifests came')
  const { merge } = await two.replica.startMerge('lab', AVERAGE)
  await world.until(() => told.length > 1, 'it is told why')
  await world.pass(3000)
  expect(told).toEqual(['BYTES_MISSING', 'BYTES_MISSING']) // when it was asked for, and when nothing came
  why = 'full'
  await world.until(() => told.length > 2, 'the disk is full')
  await world.pass(3000)
  expect(told).toEqual(['BYTES_MISSING', 'BYTES_MISSING', 'DISK_FULL'])
  why = undefined
  await world.until(() => stateOf(two, merge.id) === 'done', 'the merge is done')
})

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
