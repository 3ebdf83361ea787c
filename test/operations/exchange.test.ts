/** When the exchange looks again: on its own, without a replica around it. */
import { expect, test } from 'vitest'
import type { SpaceState } from '../../src/core/or-set.ts'
import { Exchange } from '../../src/operations/blobs/exchange.ts'
import { EventFeed } from '../../src/operations/events/event-feed.ts'
import { HeldClock } from '../support/held-clock.ts'
import { aReplica } from '../support/replica.ts'

const settled = () => new Promise((resolve) => void setImmediate(resolve))

test('[XCH-43] what failed and is not wanted any more is not looked at again', async () => {
  const { context } = await aReplica()
  const clock = new HeldClock()
  const feed = new EventFeed()
  const model = 'a'.repeat(64)
  let visible: unknown[] = [{ record: { model }, dots: [] }]
  let looks = 0
  const book = {
    all() {
      looks += 1
      return [{ visible, revoked: new Set() } as unknown as SpaceState]
    },
  }
  const exchange = new Exchange(context, book as never, {} as never, feed)
  exchange.start({ clock, sourcesFor: () => [] })
  await settled()
  expect([looks, clock.waiting]).toEqual([1, 1]) // nobody has it: later
  clock.pass(1000)
  await settled()
  expect([looks, clock.waiting]).toEqual([2, 1])
  visible = []
  for (let i = 0; i < 50; i++) {
    clock.pass(1000)
    await settled()
  }
  expect([looks, clock.waiting]).toEqual([3, 0])
  await exchange.stop()
})

test('[XCH-43] where looking itself fails, it does so a few times a second at the most', async () => {
  const { context } = await aReplica()
  const clock = new HeldClock()
  let looks = 0
  const book = {
    all() {
      looks += 1
      if (looks > 1) throw new Error('no storage')
      return [
        { visible: [{ record: { model: 'a'.repeat(64) }, dots: [] }], revoked: new Set() } as unknown as SpaceState,
      ]
    },
  }
  const exchange = new Exchange(context, book as never, {} as never, new EventFeed())
  exchange.start({ clock, sourcesFor: () => [] })
  await settled()
  clock.pass(1000)
  await settled()
  for (let ms = 0; ms < 1000; ms++) {
    clock.pass(1)
    await settled()
  }
  expect(looks).toBeGreaterThan(5)
  expect(looks).toBeLessThan(15)
  await exchange.stop()
})
