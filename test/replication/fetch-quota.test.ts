/** What other replicas may make this one keep, for each space. */
import { expect, test } from 'vitest'
import type { ModelId } from '../../src/core/ids.ts'
import { safetensors, streamOf } from '../support/safetensors.ts'
import { aReplica } from '../support/replica.ts'
import { temporaryStorage } from '../support/storage.ts'
import { type Standing, World } from '../support/world.ts'

/** Each with a tensor and a header of its own, all of one length. */
const fileOf = (seed: number) =>
  safetensors([{ name: 'w', shape: [500], values: new Array(500).fill(seed) }], [['seed', String(seed)]])
const named = (seed: number) => `http://replica-${seed}`
const AVERAGE = { strategy: 'weight_average' }
const upload = async ({ replica }: Standing, seed: number, name: string, space = 'lab') => {
  const { model } = await replica.uploadModel(streamOf(fileOf(seed)))
  await replica.contribute(space, { model, name })
  return model as ModelId
}
const manifestsHere = ({ replica }: Standing, models: readonly ModelId[]) =>
  models.filter((model) => replica.storage.manifests.find(model) !== undefined).length
const fetchedBytes = ({ replica }: Standing, space = 'lab') => replica.findSpace(space).fetched_bytes

/** What one of these models takes of a quota, whole: its tensors, its header and its manifest. */
async function bytesOfOne() {
  const replica = await aReplica({ seed: 9 })
  const { model } = await replica.uploadModel(streamOf(fileOf(1)))
  const manifest = replica.storage.models.find(model as ModelId)!.manifest.length
  return { manifest, whole: manifest + fileOf(1).length - 8 }
}

async function aWorld(fetchedBytesMax: number, models: number) {
  const world = new World()
  const one = await world.stand(1, [named(2)])
  await one.replica.createSpace({ name: 'lab' })
  const ids: ModelId[] = []
  for (let i = 0; i < models; i++) ids.push(await upload(one, i + 1, `m${i}`))
  const two = await world.stand(2, [named(1)], await aReplica({ seed: 2, limits: { fetchedBytesMax } }))
  return { world, one, two, ids }
}

test('[XCH-34] what is fetched for a space counts by its bytes, and what was uploaded does not', async () => {
  const { manifest, whole } = await bytesOfOne()
  const { world, two, ids } = await aWorld(2 ** 30, 2)
  await world.until(() => manifestsHere(two, ids) === 2, 'both manifests came')
  expect(fetchedBytes(two)).toBe(2 * manifest)
  await upload(two, 3, 'own')
  const { merge } = await two.replica.startMerge('lab', AVERAGE)
  await world.until(() => two.replica.findMerge('lab', merge.id).state === 'done', 'the merge is done')
  expect(fetchedBytes(two)).toBe(2 * whole)
  expect(await two.replica.figures()).toMatchObject({
    fetched_bytes: 2 * whole,
    fetched_bytes_of_largest_space: 2 * whole,
    fetch_quota_bytes: 2 ** 30,
  })
})

test('[XCH-34] beyond its quota a space is sent nothing more, by name; uploads, and other spaces, go on', async () => {
  const { manifest, whole } = await bytesOfOne()
  const { world, one, two, ids } = await aWorld(whole + manifest, 2)
  await world.until(() => manifestsHere(two, ids) === 2, 'both manifests came')
  const { merge } = await two.replica.startMerge('lab', AVERAGE)
  await world.until(() => two.replica.findMerge('lab', merge.id).error?.code === 'QUOTA_REACHED', 'it is told why')
  expect(two.replica.findMerge('lab', merge.id)).toMatchObject({
    state: 'blocked',
    error: { hint: expect.stringContaining('--fetch-quota') },
  })
  const here = () => ids.filter((id) => two.replica.storage.models.find(id) !== undefined)
  await world.until(() => here().length === 1, 'one of them is here')
  expect(fetchedBytes(two)).toBe(whole + manifest)

  await upload(two, 3, 'own')
  await one.replica.createSpace({ name: 'other' })
  const elsewhere = await upload(one, 4, 'm', 'other')
  await world.until(() => manifestsHere(two, [elsewhere]) === 1, 'its manifest came')
  const other = await two.replica.startMerge('other', AVERAGE)
  await world.until(() => two.replica.findMerge('other', other.merge.id).state === 'done', 'the other merge is done')

  const { content } = two.replica.findModel(here()[0]!)
  await one.replica.revoke('lab', content)
  await world.until(() => fetchedBytes(two) < whole, 'its bytes are free again')
})

test('[XCH-34] manifests count too: a member that contributes without end fills its own space and nothing else', async () => {
  const { manifest } = await bytesOfOne()
  const { world, two, ids } = await aWorld(3 * manifest + 1, 8)
  await world.until(() => manifestsHere(two, ids) === 3, 'three manifests came')
  await world.until(() => two.replica.faults.length > 0, 'it is told')
  await world.until(() => two.replica.findSpace('lab').contributions === 8, 'all ops came')
  expect([manifestsHere(two, ids), fetchedBytes(two)]).toEqual([3, 3 * manifest])
  expect(two.replica.faults).toMatchObject([{ code: 'QUOTA_REACHED' }])
})

test('[XCH-34] what nobody holds counts until the sweep drops it', async () => {
  const { manifest } = await bytesOfOne()
  const { world, one, two, ids } = await aWorld(2 ** 30, 1)
  await world.until(() => manifestsHere(two, ids) === 1, 'the manifest came')
  await one.replica.retract('lab', one.replica.listContributions('lab')[0]!.id)
  await world.until(() => two.replica.findSpace('lab').contributions === 0, 'it was retracted')
  await two.replica.sweep()
  expect(fetchedBytes(two)).toBe(manifest)
  two.replica.tick(8 * 24 * 3600 * 1000)
  await two.replica.sweep()
  expect([fetchedBytes(two), manifestsHere(two, ids)]).toEqual([0, 0])
})

test('[XCH-35] what others send stops while uploads still have room', async () => {
  const storage = await temporaryStorage()
  storage.blobs.freeBytes = async () => 10_000
  const replica = await aReplica({ seed: 2, storage, limits: { freeBytesMin: 10, fetchFreeBytesMin: 9_999 } })
  const world = new World()
  const one = await world.stand(1, [named(2)])
  await one.replica.createSpace({ name: 'lab' })
  const theirs = await upload(one, 1, 'theirs')
  const two = await world.stand(2, [named(1)], replica)
  await world.until(() => two.replica.listSpaces()[0]?.contributions === 1, 'the op came')
  await upload(two, 2, 'own')
  await world.pass(3000)
  expect([manifestsHere(two, [theirs]), two.replica.listSpaces()[0]!.contributions]).toEqual([0, 2])
})
