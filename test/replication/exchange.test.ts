/** Bytes of models between whole replicas: merges that lack them fetch them, verify them and finish. */
import { expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import type { ModelSource } from '../../src/transport/blob-source.ts'
import { collect, safetensors, tinyFile } from '../support/safetensors.ts'
import { aReplica } from '../support/replica.ts'
import { temporaryStorage } from '../support/storage.ts'
import { World } from '../support/world.ts'

import {
  named,
  upload,
  AVERAGE,
  stateOf,
  outputOf,
  hasManifests,
  twoReplicas,
  finished,
  hangingIn,
} from './two-replicas.ts'

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

test('[XCH-21] a model that does not come holds up neither manifests nor other merges', async () => {
  const world = new World()
  world.givesOverLinks = false
  const hanging = hangingIn(world)
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
  const hanging = hangingIn(world)
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
