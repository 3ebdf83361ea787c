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

/** What becomes of links that are opened at once and stay. */
function opened(register: LinkRegister, remotes: readonly string[], isWelcome = true): readonly boolean[] {
  return remotes.map((remote) => {
    let isTaken = true
    register.enter({ remote, isWelcome, close: () => (isTaken = false) } as unknown as Accepted)
    return isTaken
  })
}
const listening = () => {
  const register = new LinkRegister(new HeldClock(), LINK_LIMITS)
  register.onLink(() => undefined)
  return register
}
const many = (count: number, remoteOf: (i: number) => string) => Array.from({ length: count }, (_, i) => remoteOf(i))
const taken = (outcomes: readonly boolean[]) => outcomes.filter(Boolean).length

test('[TRN-6] just as many links are taken as are allowed: in all, of strangers, and of one address', () => {
  const { linksMax, strangersMax, linksPerAddressMax } = LINK_LIMITS
  expect(
    taken(
      opened(
        listening(),
        many(linksMax + 1, (i) => `10.0.0.${i}`),
      ),
    ),
  ).toBe(linksMax)
  expect(
    taken(
      opened(
        listening(),
        many(strangersMax + 1, (i) => `10.0.0.${i}`),
        false,
      ),
    ),
  ).toBe(strangersMax)
  expect(
    taken(
      opened(
        listening(),
        many(linksPerAddressMax + 1, () => '10.0.0.1'),
      ),
    ),
  ).toBe(linksPerAddressMax)
})

test('[TRN-6] nobody is taken where nobody listens, or once it is closed', () => {
  expect(opened(new LinkRegister(new HeldClock(), LINK_LIMITS), ['10.0.0.1'])).toEqual([false])
  const register = listening()
  register.close()
  expect(opened(register, ['10.0.0.1'])).toEqual([false])
})
