import { expect, test } from 'vitest'
import { LinkGuard } from '../../src/transport/link-guard.ts'
import { CLOSE, LINK_LIMITS } from '../../src/transport/transport.ts'
import { HeldClock } from '../support/held-clock.ts'

const limits = {
  ...LINK_LIMITS,
  strangerFramesMax: 2,
  strangerBytesMax: 100,
  frameBytesMax: 50,
  pauseBytes: 10,
  waitingBytesMax: 20,
}

function guarded() {
  const clock = new HeldClock()
  const ends: number[] = []
  const guard = new LinkGuard({ clock, limits, close: (code) => void ends.push(code) })
  return { clock, ends, guard }
}

test('[TRN-4] a stranger may send just as much as is allowed, and not a frame or byte more', () => {
  const frames = guarded()
  expect([1, 2, 3].map(() => frames.guard.admitsFrame(1))).toEqual([true, true, false])
  expect(frames.ends).toEqual([CLOSE.refused])
  const bytes = guarded()
  expect([60, 40, 1].map((count) => bytes.guard.admitsBytes(count))).toEqual([true, true, false])
  expect(bytes.ends).toEqual([CLOSE.tooLarge])
})

test('[TRN-4] a stranger who does not greet in time is let go, and one that is welcome is not counted any more', () => {
  const late = guarded()
  late.clock.pass(limits.strangerMsMax)
  expect(late.ends).toEqual([CLOSE.refused])
  const { clock, ends, guard } = guarded()
  guard.welcome()
  clock.pass(limits.strangerMsMax)
  expect(Array.from({ length: 9 }, () => guard.admitsFrame(50) && guard.admitsBytes(50))).not.toContain(false)
  expect(ends).toEqual([])
})

test('[TRN-3] a frame of the greatest size passes, one byte more ends the link, welcome or not', () => {
  const { ends, guard } = guarded()
  guard.welcome()
  expect(guard.admitsFrame(limits.frameBytesMax)).toBe(true)
  expect(guard.admitsFrame(limits.frameBytesMax + 1)).toBe(false)
  expect(ends).toEqual([CLOSE.tooLarge])
})

test('[TRN-5] who is slow is waited for, is told when half is left, and is let go when it takes too long or too much', () => {
  const { clock, ends, guard } = guarded()
  guard.welcome()
  expect(guard.waits(10)).toBe(true)
  expect(guard.waits(11)).toBe(false)
  expect([guard.drains(6), guard.drains(5), guard.drains(0)]).toEqual([false, true, false])
  clock.pass(limits.pausedMsMax)
  expect(ends).toEqual([])
  guard.waits(11)
  clock.pass(limits.pausedMsMax)
  expect(ends).toEqual([CLOSE.later])
  expect(guard.waits(21)).toBe(false)
  expect(ends).toHaveLength(2)
})

test('[TRN-4] a link that has ended leaves no timer behind', () => {
  const { clock, guard } = guarded()
  guard.waits(11)
  guard.end()
  expect(clock.waiting).toBe(0)
})
