import { expect, test } from 'vitest'
import type { SpaceId } from '../../src/core/ids.ts'
import { EventFeed, WAITING_MAX } from '../../src/operations/events/event-feed.ts'
import { aReplica } from '../support/replica.ts'
import { streamOf, tinyFile } from '../support/safetensors.ts'

test('[EVT-1] spaces are told when an op is written, and merges when their jobs change, as they are by then', async () => {
  const replica = await aReplica()
  let wakes = 0
  const watch = replica.watchEvents(() => wakes++)
  const { id } = await replica.createSpace({ name: 'lab' })
  const { model } = await replica.uploadModel(streamOf(tinyFile(1)))
  await replica.contribute('lab', { model, name: 'one' })
  const { root, ops_root } = replica.findSpace('lab')
  expect(wakes).toBe(1)
  expect(watch.take()).toEqual([{ event: 'space', space: id, root, ops_root }])
  expect(watch.take()).toEqual([])

  const { merge } = await replica.startMerge('lab', { strategy: 'weight_average' })
  expect(watch.take()).toMatchObject([{ event: 'merge', space: id, merge: merge.id }])
  await replica.idle()
  const { bytes_done, bytes_total } = replica.findMerge('lab', merge.id)
  expect(watch.take()).toEqual([{ event: 'merge', space: id, merge: merge.id, state: 'done', bytes_done, bytes_total }])
  await replica.contribute('lab', { model, name: 'one' }) // it was visible: no op
  watch.end()
  await replica.retract('lab', replica.listContributions('lab')[0]!.id)
  expect(watch.take()).toEqual([])
})

test('[EVT-2] what changes often waits once; who lets too much wait is told that something was missed', () => {
  const feed = new EventFeed()
  let wakes = 0
  const watching = feed.watch(() => wakes++)
  const told = (i: number) => ({ kind: 'space', id: String(i) as SpaceId }) as const
  for (let i = 0; i < 10_000; i++) feed.tell(told(i % 3))
  expect([watching.take(), wakes, watching.hasMissed()]).toEqual([[0, 1, 2].map(told), 1, false])
  for (let i = 0; i <= WAITING_MAX; i++) feed.tell(told(i))
  expect([watching.take(), watching.hasMissed(), watching.hasMissed()]).toEqual([[told(WAITING_MAX)], true, false])
})
