/** Whole replicas, operations and storage included, over links in memory and a clock that is held. */
import { expect, test } from 'vitest'
import type { SpaceId } from '../../src/core/ids.ts'
import { aReplica } from '../support/replica.ts'
import { streamOf, tinyFile } from '../support/safetensors.ts'
import { type Standing, World } from '../support/world.ts'

const contribute = async ({ replica }: Standing, seed: number, space = 'lab') => {
  const { model } = await replica.uploadModel(streamOf(tinyFile(seed)))
  return replica.contribute(space, { model, name: `from-${seed}` })
}
const rootsOf = (all: readonly Standing[], space = 'lab') =>
  all.map(({ replica }) => {
    const { root, ops_root: opsRoot } = replica.findSpace(space)
    return `${root} ${opsRoot}`
  })
const named = (seed: number) => `http://replica-${seed}`

test('[RPL-1] a space and all that is contributed to it reach replicas that named each other, and their roots agree', async () => {
  const world = new World()
  const all = [
    await world.stand(1, [named(2), named(3)]),
    await world.stand(2, [named(1)]),
    await world.stand(3, [named(1)]),
  ]
  await world.pass(2000)
  await all[0]!.replica.createSpace({ name: 'lab' })
  await world.pass(2000)
  for (const [i, one] of all.entries()) await contribute(one, i + 1)
  await world.pass(5000)
  const [first, ...others] = rootsOf(all)
  expect(others).toEqual([first, first])
  expect(all[2]!.replica.findSpace('lab').contributions).toBe(3)
})

test('[RPL-2] two replicas that dial each other keep one link, and show one peer', async () => {
  const world = new World()
  const [one, two] = [await world.stand(1, [named(2)]), await world.stand(2, [named(1)])]
  await world.pass(5000)
  for (const { replicator } of [one, two]) expect(replicator.peers()).toMatchObject([{ state: 'linked' }])
  expect(one.replicator.peers()[0]!.rid).toBe(two.replica.identity().replica)
})

test('[RPL-3] what was written on both sides of a cut is everywhere after it, and an address is dialed until it answers', async () => {
  const world = new World()
  const one = await world.stand(1, [named(2)])
  await world.pass(1000)
  expect(one.replicator.peers()).toMatchObject([{ url: named(2), state: 'dialing', lastFailure: /nothing listens/ }])
  const two = await world.stand(2, [named(1)])
  await one.replica.createSpace({ name: 'lab' })
  await world.pass(5000)
  world.network.cut()
  await contribute(one, 1)
  await contribute(two, 2)
  await world.pass(70_000)
  const [here, there] = rootsOf([one, two])
  expect(there).toBe(here)
  expect(one.replica.findSpace('lab').contributions).toBe(2)
  expect(one.replicator.peers()[0]!.spaces.map(({ inSync }) => inSync)).toEqual([true])
})

test('[RPL-20] a replica that was away for long is linked within 5 s of being there', async () => {
  const world = new World()
  const a = await world.stand(1, ['http://replica-2'])
  await world.pass(120_000)
  expect(a.replicator.peers().map(({ state }) => state)).toEqual(['dialing'])
  await world.stand(2)
  await world.pass(5_100)
  expect(a.replicator.peers().map(({ state }) => state)).toEqual(['linked'])
})

test('[XCH-44] over its link alone only a replica that keeps the space goes on being asked for its bytes', async () => {
  const world = new World()
  const [one] = [await world.stand(1), await world.stand(2, [named(1)])]
  const shared = await one.replica.createSpace({ name: 'lab' })
  const closed = await one.replica.createSpace({ name: 'closed', access: 'members' })
  await world.pass(3000)
  const asked = () => [shared, closed].map(({ id }) => one.replicator.sourcesFor(id as SpaceId).length)
  expect(asked()).toEqual([1, 1])
  await world.pass(5000)
  expect(asked()).toEqual([1, 0])
})

test('[RPL-4] a space of a replica that nobody named is offered, costs nothing, and comes once it is named', async () => {
  const world = new World()
  const [one, two] = [await world.stand(1), await world.stand(2, [named(1)])]
  const { id } = await two.replica.createSpace({ name: 'lab' })
  await world.pass(3000)
  expect(one.replicator.peers()).toMatchObject([{ state: 'linked', offered: [id] }])
  expect([one.replica.listSpaces(), one.replica.storage.ops.count()]).toEqual([[], 0])
  one.replicator.name(named(2))
  await world.pass(70_000)
  expect(one.replica.listSpaces().map((space) => space.id)).toEqual([id])
})

test('[RPL-5] a space of members is told to its members alone, and to a new one once it is a member', async () => {
  const world = new World()
  const owner = await world.stand(1)
  const { id } = await owner.replica.createSpace({ name: 'closed', access: 'members' })
  const guest = await world.stand(2, [named(1)])
  await world.pass(5000)
  expect(guest.replica.storage.ops.count()).toBe(0)
  expect(guest.replicator.peers()).toMatchObject([{ state: 'linked', spaces: [] }])
  const key = guest.replica.identity().replica
  await owner.replica.addMember('closed', { key, role: 'writer' })
  await world.pass(5000)
  expect(guest.replica.listSpaces().map((space) => space.id)).toEqual([id])
  await contribute(guest, 5, 'closed')
  await world.pass(3000)
  expect(owner.replica.findSpace('closed').contributions).toBe(1)
  await owner.replica.removeMember('closed', key)
  const known = guest.replica.storage.ops.count()
  await contribute(owner, 6, 'closed')
  await world.pass(40_000)
  expect(guest.replica.storage.ops.count()).toBeLessThanOrEqual(known + 1)
})

test('[RPL-6] a replica set up from an old backup learns that from its peers, and writes in a later epoch without a fork', async () => {
  const world = new World()
  const backup = await aReplica({ seed: 2 })
  const one = await world.stand(1, [named(2)])
  await one.replica.createSpace({ name: 'lab' })
  const original = await world.stand(2, [named(1)])
  await world.pass(3000)
  await contribute(original, 2)
  await world.pass(3000)
  original.replicator.stop()
  await world.pass(1000)
  const restored = await world.stand(2, [named(1)], backup)
  await world.pass(70_000)
  expect(restored.replica.identity().epoch).toBeGreaterThan(original.replica.identity().epoch)
  await contribute(restored, 3)
  await world.pass(5000)
  expect(one.replica.findSpace('lab').contributions).toBe(2)
  const [here, there] = rootsOf([one, restored])
  expect(there).toBe(here)
})
