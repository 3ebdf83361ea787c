import { expect, test } from 'vitest'
import { keepSweeping } from '../../src/operations/keep-sweeping.ts'
import { HeldClock } from '../support/held-clock.ts'

const HOUR_MS = 3600 * 1000

test('[SVC-61] a sweep comes at the start and every hour from then on, after a failure too, and none beside another', async () => {
  const clock = new HeldClock()
  const ends: (() => void)[] = []
  const told: unknown[] = []
  const failure = new Error('the disk')
  const stop = keepSweeping({
    clock,
    sweep: () => new Promise<void>((resolve, reject) => ends.push(ends.length === 0 ? () => reject(failure) : resolve)),
    report: (_, error) => told.push(error),
  })
  clock.pass(0)
  expect(ends).toHaveLength(1)
  clock.pass(3 * HOUR_MS)
  expect(ends).toHaveLength(1) // it is still at the first
  ends[0]!()
  await new Promise(setImmediate)
  expect(told).toEqual([failure])
  clock.pass(HOUR_MS - 1)
  expect(ends).toHaveLength(1)
  clock.pass(1)
  expect(ends).toHaveLength(2)
  let isStopped = false
  const stopping = stop().then(() => (isStopped = true))
  await new Promise(setImmediate)
  expect(isStopped).toBe(false) // storage is in use until the sweep ends
  ends[1]!()
  await stopping
  clock.pass(2 * HOUR_MS)
  expect([ends.length, clock.waiting]).toEqual([2, 0])
})
