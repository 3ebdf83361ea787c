import { expect, test } from 'vitest'
import { streamOf, tinyFile } from '../support/safetensors.ts'
import { World } from '../support/world.ts'

test('[API-14] bytes of blobs are counted where they are given and where they come', async () => {
  const world = new World()
  const one = await world.stand(1, ['http://replica-2'])
  await one.replica.createSpace({ name: 'lab' })
  const { model } = await one.replica.uploadModel(streamOf(tinyFile(1)))
  await one.replica.contribute('lab', { model, name: 'a' })
  const two = await world.stand(2, ['http://replica-1'])
  await world.until(() => two.replica.storage.manifests.find(model as never) !== undefined, 'its manifest came')
  const { merge } = await two.replica.startMerge('lab', { strategy: 'weight_average' })
  await world.until(() => two.replica.findMerge('lab', merge.id).state === 'done', 'the merge is done')
  const [given, received] = [await one.replica.figures(), await two.replica.figures()]
  const manifest = one.replica.storage.models.find(model as never)!.manifest.length
  const all = manifest + tinyFile(1).length - 8 // its header is a file, but for the length before it
  // more, where a disk was so slow that a source was asked again
  for (const bytes of [given.blob_bytes_given, received.blob_bytes_received]) {
    expect(bytes).toBeGreaterThanOrEqual(all)
    expect(bytes).toBeLessThan(10 * all)
  }
  expect([given.blob_bytes_received, received.blob_bytes_given]).toEqual([0, 0])
  expect([received.forked_keys, received.own_forked_epochs]).toEqual([0, 0])
})
