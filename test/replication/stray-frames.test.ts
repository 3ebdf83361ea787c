import { expect, test } from 'vitest'
import type { SpaceId } from '../../src/core/ids.ts'
import { sign, verify } from '../../src/core/signature.ts'
import { decodeFrame, encodeFrame, type FrameOf, helloProof } from '../../src/replication/frames.ts'
import { CLOSE_BELOW } from '../../src/replication/peer-score.ts'
import { ReplicaCore } from '../../src/replication/replica-core.ts'
import { DEFAULT_SETTINGS } from '../../src/replication/settings.ts'
import { keyOf } from '../support/ops.ts'

const LINK = 1
const NOWHERE = 'ab'.repeat(16) as SpaceId
const { strayBurst, strayBytes, strayPerSecond } = DEFAULT_SETTINGS
/** So many strays beyond the burst each cost a point. */
const letGoAfter = (frame: Uint8Array) => Math.floor(strayBurst / (1 + frame.length / strayBytes)) - CLOSE_BELOW + 1
const MANY = 3 * strayBurst

/** A replica with an open link to another one. */
function linked(): ReplicaCore {
  const [own, theirs] = [keyOf(1), keyOf(2)]
  const replica = new ReplicaCore({
    identity: {
      rid: own.rid,
      sign: (proof) => sign('hello', proof, own),
      verify: (proof, rid, signature) => verify('hello', proof, rid, signature),
    },
  })
  const nonce = new Uint8Array(32).fill(7)
  const sent = replica.linkOpened({ link: LINK, nonce: new Uint8Array(32), named: false })
  const hello = sent.flatMap((effect) =>
    effect.t === 'send' ? [decodeFrame(effect.frame)] : [],
  )[0] as FrameOf<'hello'>
  replica.frameArrived(LINK, encodeFrame({ t: 'hello', versions: [1, 1], rid: theirs.rid, nonce }))
  const ack = { version: 1, spaces: [] }
  const greeting = { from: theirs.rid, to: hello.rid, fromNonce: nonce, toNonce: hello.nonce }
  const signature = sign('hello', helloProof(greeting, ack), theirs)
  const opened = replica.frameArrived(LINK, encodeFrame({ t: 'hello-ack', ...ack, signature }))
  expect(opened).toContainEqual(expect.objectContaining({ t: 'opened', link: LINK }))
  return replica
}

/** How many of these come before the link is closed, `ms` apart, and why it is. */
function until(replica: ReplicaCore, frame: Uint8Array, ms: number): readonly [count: number, why: string | undefined] {
  for (let count = 1; count <= MANY; count++) {
    replica.tick(count * ms)
    const close = replica.frameArrived(LINK, frame).find((effect) => effect.t === 'close')
    if (close !== undefined) return [count, close.why]
  }
  return [MANY, undefined]
}

const strays = {
  'an update of a space that is not kept': encodeFrame({ t: 'update', space: NOWHERE, update: new Uint8Array(9) }),
  'a large one': encodeFrame({ t: 'update', space: NOWHERE, update: new Uint8Array(8 * strayBytes) }),
  'a second hello': encodeFrame({ t: 'hello', versions: [1, 1], rid: keyOf(2).rid, nonce: new Uint8Array(32) }),
}

test.each(Object.entries(strays))('[GOS-5] a flood of strays ends the link: %s', (_, frame) => {
  expect(until(linked(), frame, 0)).toEqual([letGoAfter(frame), 'score'])
})

test('[GOS-5] large strays end the link before they have filled a few MiB', () => {
  const large = strays['a large one']
  expect(letGoAfter(large) * large.length).toBeLessThan(5 * 2 ** 20)
})

test('[GOS-5] strays that come no faster than they are forgiven cost nothing', () => {
  const [count, why] = until(linked(), strays['an update of a space that is not kept'], 1010 / strayPerSecond)
  expect([count, why]).toEqual([MANY, undefined])
})

test('[GOS-5] a link that was let go stays so, whatever comes', () => {
  const replica = linked()
  until(replica, strays['a second hello'], 0)
  const after = replica.frameArrived(LINK, strays['a second hello'])
  expect(after.filter(({ t }) => t === 'close')).toEqual([])
})
