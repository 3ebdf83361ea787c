import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  afterMisdeed,
  afterUsefulOps,
  EARNED_MAX,
  MISDEEDS,
  newScore,
  type PeerScore,
  scoreAt,
} from '../../src/replication/peer-score.ts'
import { TokenBucket } from '../../src/replication/token-bucket.ts'

const event = fc.oneof(
  fc.record({ t: fc.constant('misdeed' as const), misdeed: fc.constantFrom(...MISDEEDS), wait: fc.nat(600_000) }),
  fc.record({ t: fc.constant('useful' as const), ops: fc.nat(10_000), wait: fc.nat(600_000) }),
)
const later = (
  score: PeerScore,
  events: readonly (typeof event extends fc.Arbitrary<infer E> ? E : never)[],
  from = 0,
) =>
  events.reduce(
    ({ score: now, at }, one) => ({
      at: at + one.wait,
      score: one.t === 'misdeed' ? afterMisdeed(now, one.misdeed, at + one.wait) : afterUsefulOps(now, one.ops),
    }),
    { score, at: from },
  )

test('[SYN-9] whatever a peer has done before, a forged signature leaves it below nought', () => {
  fc.assert(
    fc.property(fc.array(event), (events) => {
      const { score, at } = later(newScore(0), events)
      expect(scoreAt(afterMisdeed(score, 'forged', at), at)).toBeLessThan(0)
      expect(scoreAt(score, at)).toBeLessThanOrEqual(EARNED_MAX)
    }),
    { seed: 1, numRuns: 500 },
  )
})

test('[SYN-9] a misdeed never raises a score, and useful ops never lower it', () => {
  fc.assert(
    fc.property(fc.array(event), fc.constantFrom(...MISDEEDS), fc.nat(1000), (events, misdeed, ops) => {
      const { score, at } = later(newScore(0), events)
      expect(scoreAt(afterMisdeed(score, misdeed, at), at)).toBeLessThan(scoreAt(score, at))
      expect(scoreAt(afterUsefulOps(score, ops), at)).toBeGreaterThanOrEqual(scoreAt(score, at))
    }),
    { seed: 2, numRuns: 500 },
  )
})

test('[SYN-9] a peer may send so much a second, and a burst', () => {
  const bucket = new TokenBucket(10, 20, 0)
  expect([bucket.take(20, 0), bucket.take(1, 0), bucket.take(5, 500), bucket.take(1, 500)]).toEqual([
    true,
    false,
    true,
    false,
  ])
  expect(bucket.take(21, 1e9)).toBe(false)
  expect(bucket.take(20, 1e9)).toBe(true)
})
