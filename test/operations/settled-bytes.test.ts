/** A blob that a killed process had only renamed is visible, and gone after a power cut: no row may name it as it is. */
import { expect, test } from 'vitest'
import type { BlobName } from '../../src/storage/blob-store.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { AVERAGE, finished, hasManifests, twoReplicas } from '../replication/two-replicas.ts'
import { aReplica } from '../support/replica.ts'
import { collect, streamOf, tinyFile } from '../support/safetensors.ts'
import { temporaryStorage } from '../support/storage.ts'
import { World } from '../support/world.ts'

/** Tells of each model how many of its blobs nobody had settled when its row was put. */
async function watched(): Promise<{ readonly storage: Storage; readonly unsettled: number[] }> {
  const storage = await temporaryStorage()
  const settle = storage.blobs.settle.bind(storage.blobs)
  const put = storage.models.put.bind(storage.models)
  const settled = new Set<string>()
  const unsettled: number[] = []
  const keyOf = ({ kind, digest }: BlobName) => `${kind} ${digest}`
  storage.blobs.settle = async (names) => {
    await settle(names)
    for (const name of names) settled.add(keyOf(name))
  }
  storage.models.put = (model, blobs) => {
    unsettled.push(blobs.filter((blob) => !settled.has(keyOf(blob))).length)
    return put(model, blobs)
  }
  return { storage, unsettled }
}

test('[DUR-13] an upload settles all that its row names, and so does a merge that finds its bytes here', async () => {
  const { storage, unsettled } = await watched()
  const replica = await aReplica({ storage })
  await replica.createSpace({ name: 'lab' })
  for (const seed of [1, 2]) {
    const { model } = await replica.uploadModel(streamOf(tinyFile(seed)))
    await replica.contribute('lab', { model, name: `m${seed}` })
  }
  const { merge } = await replica.startMerge('lab', AVERAGE)
  await replica.idle()
  const output = await replica.readOutput('lab', merge.id)
  expect(await collect(output.read(0, output.bytes))).toHaveLength(output.bytes)
  expect(unsettled).toEqual([0, 0, 0])
})

test('[DUR-13] a model that is fetched names only bytes that were settled, whoever brought them', async () => {
  const { storage, unsettled } = await watched()
  const world = new World()
  const { two, models } = await twoReplicas(world, [1, 2], await aReplica({ seed: 2, storage }))
  await world.until(() => hasManifests(two, ...models), 'both manifests came')
  await finished(world, two)
  expect(unsettled).toEqual([0, 0, 0]) // two that came, and the output
})
