/** Merges whose inputs rot while they are read. */
import { expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import type { ModelId } from '../../src/core/ids.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { createInlineMerger } from '../../src/merging/inline-merger.ts'
import type { Merger } from '../../src/merging/merger.ts'
import { nodeTileFiles } from '../../src/storage/fs/node-tile-files.ts'
import { streamOf, tinyFile } from '../support/safetensors.ts'
import { aReplica } from '../support/replica.ts'
import { World } from '../support/world.ts'

import { AVERAGE, rot, scrub, tensorsOf, upload } from './rot.ts'

/** The reference merger, whose first merge is held between its last tensor and its answer. */
function heldMerger() {
  const inner = createInlineMerger(nodeTileFiles, referenceKernels, strategies)
  let [came, goOn] = [(): void => undefined, (): void => undefined]
  const isThere = new Promise<void>((resolve) => (came = resolve))
  const mayGo = new Promise<void>((resolve) => (goOn = resolve))
  const merger: Merger = {
    ...inner,
    async merge(task, about) {
      const outcomes = await inner.merge(task, about)
      came()
      await mayGo
      return outcomes
    },
  }
  return { merger, isThere, goOn: () => goOn() }
}

test('[SCR-6] a merge that reads what is found rotten waits until it is whole, and gives the bytes that others give', async () => {
  const { merger, isThere, goOn } = heldMerger()
  const world = new World()
  const one = await world.stand(1, ['http://replica-2'])
  await one.replica.createSpace({ name: 'lab' })
  const [first, second] = [await upload(one.replica, tinyFile(1), 'a'), await upload(one.replica, tinyFile(2), 'b')]
  const two = await world.stand(2, ['http://replica-1'], await aReplica({ seed: 2, merger }))
  for (const model of [first, second])
    await world.until(() => two.replica.storage.manifests.find(model as ModelId) !== undefined, 'its manifest came')
  await two.replica.uploadModel(streamOf(tinyFile(1)))
  await two.replica.uploadModel(streamOf(tinyFile(2)))
  const rotten = tensorsOf(two.replica, first)[0]!
  await rot(two.replica, rotten)
  const { merge } = await two.replica.startMerge('lab', AVERAGE)
  await isThere
  await scrub(two.replica)
  expect(two.replica.findMerge('lab', merge.id)).toMatchObject({ state: 'blocked', missing: [first] })
  goOn()
  await world.until(() => two.replica.findMerge('lab', merge.id).state === 'done', 'it went on when they were whole')
  const theirs = await one.replica.startMerge('lab', AVERAGE)
  await world.until(() => one.replica.findMerge('lab', theirs.merge.id).state === 'done', 'the other merged too')
  expect(two.replica.findReceipt('lab', merge.id).statement).toEqual(one.replica.findReceipt('lab', merge.id).statement)
})

test('[SCR-6] tensors that were computed from what rotted are computed again', async () => {
  const replica = await aReplica()
  await replica.createSpace({ name: 'lab' })
  const model = await upload(replica, tinyFile(1), 'a')
  await upload(replica, tinyFile(2), 'b')
  await rot(replica, tensorsOf(replica, model)[0]!)
  const { merge } = await replica.startMerge('lab', AVERAGE)
  await replica.idle()
  const wrong = replica.findMerge('lab', merge.id).content
  await scrub(replica)
  await upload(replica, tinyFile(1), 'c')
  // the same tensors under another name of the merge
  const again = await replica.startMerge('lab', {
    ...AVERAGE,
    select: { names: ['a', 'b'] },
    out: { dtype: 'float32' },
  })
  await replica.idle()
  const sound = await aReplica({ seed: 2 })
  await sound.createSpace({ name: 'lab' })
  await upload(sound, tinyFile(1), 'a')
  await upload(sound, tinyFile(2), 'b')
  const right = await sound.startMerge('lab', AVERAGE)
  await sound.idle()
  expect(wrong).not.toBe(sound.findMerge('lab', right.merge.id).content)
  expect(replica.findMerge('lab', again.merge.id).content).toBe(sound.findMerge('lab', right.merge.id).content)
})
