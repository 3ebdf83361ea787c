import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import { createMemoryNetwork } from '../../src/transport/memory/memory-transport.ts'
import { keepDialing, waitBefore } from '../../src/transport/redial.ts'
import { CLOSE, type Dialer, type Link } from '../../src/transport/transport.ts'
import { HeldClock } from '../support/held-clock.ts'

const settled = async () => {
  for (let i = 0; i < 10; i++) await new Promise(setImmediate)
}

test('[TRN-9] waits double up to a minute, half of each is luck, and none is shorter than a quarter of a second', () => {
  expect([0, 1, 2, 7, 99].map((attempt) => waitBefore(attempt, () => 1))).toEqual([500, 1000, 2000, 60_000, 60_000])
  fc.assert(
    fc.property(fc.nat(2000), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, luck) => {
      const ms = waitBefore(attempt, () => luck)
      expect(ms).toBeGreaterThanOrEqual(250)
      expect(ms).toBeLessThanOrEqual(60_000)
    }),
    { seed: 1, numRuns: 100 },
  )
})

test('[TRN-9] who dials an address goes on until it is there, and after each end; a link that lasted makes the next dial soon', async () => {
  const clock = new HeldClock()
  const network = createMemoryNetwork(clock)
  const links: Link[] = []
  const waits: number[] = []
  const stop = keepDialing({
    dialer: network.dialer,
    clock,
    random: () => 0,
    address: () => ({ url: 'there' }),
    onLink: (link, ended) => {
      links.push(link)
      link.welcome()
      link.attach({ onFrame: () => undefined, onClose: ended })
    },
    onFailure: (_, ms) => waits.push(ms),
  })
  for (const ms of [250, 500, 1000]) {
    await settled()
    clock.pass(ms)
  }
  await settled()
  expect([waits, links.length]).toEqual([[250, 500, 1000, 2000], 0])

  const listener = network.listen('there')
  listener.onLink((link) => {
    link.welcome()
    link.attach({ onFrame: () => undefined, onClose: () => undefined })
  })
  clock.pass(2000)
  await settled()
  expect([links.length, listener.links]).toEqual([1, 1])
  network.cut()
  await settled()
  clock.pass(3_999) // it lasted no time at all, so the wait went on doubling
  await settled()
  expect(links.length).toBe(1)
  clock.pass(1)
  await settled()
  expect(links.length).toBe(2)
  clock.pass(30_000)
  network.cut()
  await settled()
  clock.pass(250)
  await settled()
  expect(links.length).toBe(3)

  network.cut()
  await settled()
  stop()
  clock.pass(600_000)
  await settled()
  expect([links.length, clock.waiting]).toEqual([3, 0])
})

test('[TRN-9] a link that comes about after it is not wanted any more is closed', async () => {
  let give: (link: Link) => void = () => undefined
  const ends: unknown[] = []
  const link = { close: (...end: unknown[]) => ends.push(end) } as unknown as Link
  const dialer: Dialer = { dial: () => new Promise((resolve) => (give = resolve)) }
  const stop = keepDialing({
    dialer,
    clock: new HeldClock(),
    random: () => 0,
    address: () => ({ url: 'there' }),
    onLink: () => expect.unreachable(),
  })
  await settled()
  stop()
  give(link)
  await settled()
  expect(ends).toEqual([[CLOSE.goingAway, expect.any(String)]])
})

test('[TRN-9] an address that is refused is asked for again', async () => {
  const clock = new HeldClock()
  const failures: unknown[] = []
  const stop = keepDialing({
    dialer: { dial: () => expect.unreachable() },
    clock,
    random: () => 0,
    address: () => {
      throw new TributaryError('ADDRESS_REFUSED', 'not there')
    },
    onLink: () => expect.unreachable(),
    onFailure: (error) => failures.push(error),
  })
  await settled()
  clock.pass(250)
  await settled()
  expect(failures).toMatchObject([{ code: 'ADDRESS_REFUSED' }, { code: 'ADDRESS_REFUSED' }])
  stop()
})
