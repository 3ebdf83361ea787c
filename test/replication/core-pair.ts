/** Two replicas on one link, without sockets or storage: each effect is carried out at once, in the order it came. */
import { encodeSigned, type SignedOp } from '../../src/core/op.ts'
import type { SpaceId } from '../../src/core/ids.ts'
import { sign, verify } from '../../src/core/signature.ts'
import type { Effect } from '../../src/replication/effects.ts'
import { encodeFrame, type Frame, type FrameType } from '../../src/replication/frames.ts'
import { ReplicaCore } from '../../src/replication/replica-core.ts'
import { aSpace, type AWriter, aWriter, keyOf } from '../support/ops.ts'

type Of<T extends Effect['t']> = Extract<Effect, { readonly t: T }>
export const of = <T extends Effect['t']>(t: T, effects: readonly Effect[]) =>
  effects.filter((effect): effect is Of<T> => effect.t === t)

export const coreOf = (seed: number) => {
  const key = keyOf(seed)
  return new ReplicaCore({
    identity: {
      rid: key.rid,
      sign: (proof) => sign('hello', proof, key),
      verify: (proof, rid, signature) => verify('hello', proof, rid, signature),
    },
  })
}

/** Two replicas on one link. Stores succeed at once; each frame is passed on until none is left. */
export function pair({ named = true, stores = true }: { readonly named?: boolean; readonly stores?: boolean } = {}) {
  const cores = [coreOf(1), coreOf(2)] as const
  const seen: [Effect[], Effect[]] = [[], []]
  const passed: FrameType[] = []
  const work: (() => void)[] = []
  const take = (at: 0 | 1, effects: readonly Effect[]) => {
    for (const effect of effects) {
      seen[at].push(effect)
      if (effect.t === 'send') work.push(() => {
        passed.push(effect.type)
        take(at === 0 ? 1 : 0, cores[at === 0 ? 1 : 0].frameArrived(1, effect.frame))
      }) // prettier-ignore
      if (effect.t === 'store' && stores) work.push(() => take(at, cores[at].stored(effect.space)))
    }
  }
  const settle = (until = () => false) => {
    while (work.length > 0 && !until()) work.shift()!()
  }
  const open = (until?: () => boolean) => {
    take(0, cores[0].linkOpened({ link: 1, nonce: new Uint8Array(32).fill(1), named }))
    take(1, cores[1].linkOpened({ link: 1, nonce: new Uint8Array(32).fill(2), named }))
    settle(until)
  }
  const give = (at: 0 | 1, frame: Frame) => {
    take(at, cores[at].frameArrived(1, encodeFrame(frame)))
    settle()
  }
  const tick = (now: number) => {
    for (const at of [0, 1] as const) take(at, cores[at].tick(now))
    settle()
  }
  return { cores, seen, passed, take, settle, open, give, tick }
}

export const recordsOf = (space: SpaceId, ...ops: SignedOp[]): Frame => ({
  t: 'records',
  space,
  records: ops.map(encodeSigned),
})

/** A space of the first of the two, with some ops. */
export function aSharedSpace(access: 'open' | 'members' = 'open') {
  const creator: AWriter = aWriter(1)
  const space = aSpace({ creator, access })
  const ops = [space.init, ...Array.from({ length: 5 }, (_, i) => creator.add(space, { name: `n${i}` }))]
  return { space, creator, ops }
}
