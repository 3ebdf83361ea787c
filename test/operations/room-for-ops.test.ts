import { expect, test } from 'vitest'
import { streamOf, tinyFile } from '../support/safetensors.ts'
import { aReplica } from '../support/replica.ts'
import { temporaryStorage } from '../support/storage.ts'
import { World } from '../support/world.ts'

test('[SVC-17] ops of other replicas wait where the disk is nearly full, one’s own do not, and they come once there is room', async () => {
  const storage = await temporaryStorage()
  let free = 1000
  storage.blobs.freeBytes = async () => free
  const world = new World()
  const one = await world.stand(1)
  await one.replica.createSpace({ name: 'lab' })
  const { model } = await one.replica.uploadModel(streamOf(tinyFile(1)))
  const two = await world.stand(
    2,
    ['http://replica-1'],
    await aReplica({ seed: 2, storage, limits: { freeBytesMin: 100 } }),
  )
  const seen = () => two.replica.listSpaces()[0]?.contributions
  await one.replica.contribute('lab', { model, name: 'a' })
  await world.until(() => seen() === 1, 'it came')
  free = 99
  two.replica.tick(5000)
  await one.replica.contribute('lab', { model, name: 'b', weight: 2 }) // these look
  await world.until(() => two.replica.storage.ops.count() >= 3, 'they came: what is free is known from now on')
  two.replica.tick(5000)
  await one.replica.contribute('lab', { model, name: 'c', weight: 3 })
  await world.until(() => two.replica.faults.length > 0, 'it waits')
  expect(two.replica.faults).toContainEqual(expect.objectContaining({ code: 'DISK_FULL' }))
  expect(seen()).toBe(2)
  await two.replica.retract('lab', two.replica.listContributions('lab')[0]!.id)
  free = 1000
  two.replica.tick(5000)
  const roots = () => [one, two].map(({ replica }) => replica.findSpace('lab').ops_root)
  await world.until(() => roots()[0] === roots()[1], 'all came')
  expect([two.replica.findSpace('lab').ops, seen()]).toEqual([5, 2])
})
