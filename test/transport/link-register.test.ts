import { expect, test } from 'vitest'
import { type Accepted, LinkRegister } from '../../src/transport/link-register.ts'
import { LINK_LIMITS } from '../../src/transport/transport.ts'
import { HeldClock } from '../support/held-clock.ts'

test('[TRN-6] an address that opens links faster than one a second is sent away, and others are not', () => {
  const clock = new HeldClock()
  const register = new LinkRegister(clock, LINK_LIMITS)
  register.onLink(() => undefined)
  const isTaken = (remote: string): boolean => {
    let isClosed = false
    const link = { remote, isWelcome: true, close: () => (isClosed = true) } as unknown as Accepted
    register.enter(link)
    register.leave(link)
    return !isClosed
  }
  const taken = (remote: string, times: number) => Array.from({ length: times }, () => isTaken(remote)).filter(Boolean)
  expect(taken('10.0.0.1', 100)).toHaveLength(LINK_LIMITS.newLinksBurst)
  expect(taken('10.0.0.2', 1)).toHaveLength(1)
  clock.pass(3000)
  expect(taken('10.0.0.1', 100)).toHaveLength(3)
  for (let i = 0; i < 5000; i++) isTaken(`10.1.${i >> 8}.${i & 255}`) // forgotten ones begin anew
  expect(taken('10.0.0.1', 1)).toHaveLength(1)
})
