import { expect, test } from 'vitest'
import { sign, verify } from '../../src/core/signature.ts'
import type { Effect } from '../../src/replication/effects.ts'
import { encodeFrame } from '../../src/replication/frames.ts'
import { HeldLinks } from '../../src/replication/held-links.ts'
import { ReplicaCore } from '../../src/replication/replica-core.ts'
import { DEFAULT_SETTINGS } from '../../src/replication/settings.ts'
import { TokenBucket } from '../../src/replication/token-bucket.ts'
import type { Link } from '../../src/transport/transport.ts'
import { HeldClock } from '../support/held-clock.ts'
import { keyOf } from '../support/ops.ts'

const core = () => {
  const key = keyOf(1)
  return new ReplicaCore({
    identity: {
      rid: key.rid,
      sign: (proof) => sign('hello', proof, key),
      verify: (proof, rid, signature) => verify('hello', proof, rid, signature),
    },
  })
}

test('[GOS-4] a link that is held is read again when all its holds are over, and a drain does not end them', () => {
  const clock = new HeldClock()
  const said: string[] = []
  const link = { pause: () => said.push('pause'), resume: () => said.push('resume') } as unknown as Link
  const held = new HeldLinks(clock)
  held.hold(link, 100)
  clock.pass(50)
  held.hold(link, 100)
  held.resume(link)
  clock.pass(149)
  expect(said).toEqual(['pause'])
  clock.pass(1)
  expect(said).toEqual(['pause', 'resume'])
  held.resume(link)
  held.hold(link, 10)
  clock.pass(10)
  expect(said).toEqual(['pause', 'resume', 'resume', 'pause', 'resume'])
})

test('[GOS-4] a bucket asks nobody to wait while half of it is left, and then for as long as the taken takes to come back', () => {
  const bucket = new TokenBucket(100, 1000, 0)
  expect([bucket.take(500, 0), bucket.waitAfter(500)]).toEqual([true, 0])
  expect([bucket.take(50, 0), bucket.waitAfter(50)]).toEqual([true, 500])
  expect([bucket.take(50, 500), bucket.waitAfter(50)]).toEqual([true, 500])
})

/** Frames of one kind as fast as the core lets them come: how many come in five seconds, and what came of it. */
function flood(frame: Uint8Array, named: boolean) {
  const replica = core()
  replica.linkOpened({ link: 1, nonce: new Uint8Array(32), named })
  const effects: Effect[] = []
  let frames = 0
  for (let now = 0; now < 4900;) {
    replica.tick(now)
    const came = replica.frameArrived(1, frame)
    frames++
    effects.push(...came)
    now += came.reduce((ms, effect) => (effect.t === 'hold' ? ms + effect.ms : ms), 0)
    if (came.some(({ t }) => t === 'close')) break
  }
  return { frames, refused: effects.filter((one) => one.t === 'report' && one.metric === 'refused.rate').length }
}

test.each([true, false])(
  '[GOS-4] who waits while it is held loses nothing, and brings no more than the rate; named: %s',
  (named) => {
    const { framesPerSecond, bytesPerSecond, burstSeconds, strangerBurstSeconds } = DEFAULT_SETTINGS
    const seconds = 5 + (named ? burstSeconds : strangerBurstSeconds)
    const small = flood(Uint8Array.of(250, 0, 0, 0, 0), named)
    expect(small.refused).toBe(0)
    expect(small.frames).toBeLessThanOrEqual(framesPerSecond * seconds)
    const space = '00'.repeat(16) as never
    const bytes = encodeFrame({ t: 'update', space, update: new Uint8Array(64 * 1024) })
    const large = flood(bytes, named)
    expect(large.refused).toBe(0)
    expect(large.frames * bytes.length).toBeLessThanOrEqual(bytesPerSecond * seconds)
  },
)
