import { expect, test } from 'vitest'
import { encodeSigned, type SignedOp } from '../../src/core/op.ts'
import type { SpaceId } from '../../src/core/ids.ts'
import { sign, verify } from '../../src/core/signature.ts'
import type { Effect } from '../../src/replication/effects.ts'
import { decodeFrame, encodeFrame, type Frame, type FrameType } from '../../src/replication/frames.ts'
import { ReplicaCore } from '../../src/replication/replica-core.ts'
import { DEFAULT_SETTINGS } from '../../src/replication/settings.ts'
import { aSpace, type AWriter, aWriter, keyOf } from '../support/ops.ts'

type Of<T extends Effect['t']> = Extract<Effect, { readonly t: T }>
const of = <T extends Effect['t']>(t: T, effects: readonly Effect[]) =>
  effects.filter((effect): effect is Of<T> => effect.t === t)

const coreOf = (seed: number) => {
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
function pair({ named = true, stores = true }: { readonly named?: boolean; readonly stores?: boolean } = {}) {
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
  const settle = () => {
    for (let next = work.shift(); next !== undefined; next = work.shift()) next()
  }
  const open = (first = 0) => {
    take(0, cores[0].linkOpened({ link: 1, nonce: new Uint8Array(32).fill(first + 1), named }))
    take(1, cores[1].linkOpened({ link: 1, nonce: new Uint8Array(32).fill(first + 2), named }))
    settle()
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

const recordsOf = (space: SpaceId, ...ops: SignedOp[]): Frame => ({
  t: 'records',
  space,
  records: ops.map(encodeSigned),
})

/** A space of the first of the two, with some ops. */
function aSharedSpace(access: 'open' | 'members' = 'open') {
  const creator: AWriter = aWriter(1)
  const space = aSpace({ creator, access })
  const ops = [space.init, ...Array.from({ length: 5 }, (_, i) => creator.add(space, { name: `n${i}` }))]
  return { space, creator, ops }
}

test('[SYN-4] a peer gets the ops that it lacks, and both have one root', () => {
  const { cores, take, open, passed } = pair()
  const { space, ops } = aSharedSpace()
  take(0, cores[0].adoptSpace(space.id, ops))
  take(1, cores[1].adoptSpace(space.id))
  open()
  expect(cores[1].set(space.id)!.size).toBe(6)
  expect(cores[1].set(space.id)!.opsRoot).toBe(cores[0].set(space.id)!.opsRoot)
  expect(passed.filter((type) => type === 'update')).toHaveLength(1)
})

test('[SYN-4] where either knows a fork, pairs are pushed and ids are compared at once', () => {
  const { cores, take, open, passed } = pair()
  const { space, ops } = aSharedSpace()
  const forker = aWriter(5)
  const [one, two] = [forker.add(space, { content: 'one' }), forker.inEpoch(0).add(space, { content: 'two' })]
  take(0, cores[0].adoptSpace(space.id, [...ops, one, two]))
  take(1, cores[1].adoptSpace(space.id, [...ops, one]))
  open()
  expect(passed).toContain('records')
  expect(passed).toContain('reconcile')
  expect(cores[1].set(space.id)!.opsRoot).toBe(cores[0].set(space.id)!.opsRoot)
})

test('[SYN-4] a new op is pushed to a peer that is live', () => {
  const { cores, seen, take, open, settle } = pair()
  const { space, creator, ops } = aSharedSpace()
  take(0, cores[0].adoptSpace(space.id, ops))
  open()
  const op = creator.add(space, { name: 'new' })
  take(0, cores[0].opWritten(op))
  settle()
  expect(
    of('visible', seen[1])
      .at(-1)
      ?.added.map((kept) => kept.op.id),
  ).toEqual([op.id])
})

test('[SYN-5] nothing but the greeting is read before the proof', () => {
  const { cores, seen } = pair()
  const { space, ops } = aSharedSpace()
  cores[1].adoptSpace(space.id)
  cores[1].linkOpened({ link: 1, nonce: new Uint8Array(32), named: true })
  const effects = cores[1].frameArrived(1, encodeFrame(recordsOf(space.id, ...ops)))
  expect(effects.map(({ t }) => t)).toEqual(['report', 'report'])
  expect(of('close', cores[1].tick(4999))).toEqual([])
  expect(of('close', cores[1].tick(5000))).toEqual([{ t: 'close', link: 1, why: 'timeout' }])
  expect(seen).toEqual([[], []])
})

test('[SYN-5] a hello that was recorded on another link proves nothing', () => {
  const first = pair()
  first.open()
  const [hello, ack] = of('send', first.seen[0]).map(({ frame }) => frame)
  const core = coreOf(2)
  core.linkOpened({ link: 9, nonce: new Uint8Array(32).fill(77), named: true })
  core.frameArrived(9, hello!)
  expect(of('close', core.frameArrived(9, ack!))).toEqual([{ t: 'close', link: 9, why: 'hello' }])
  expect(core.peers()).toEqual([])
})

test('[SYN-6] an op is neither visible nor told before it is stored', () => {
  const { cores, seen, take, open, give, settle } = pair({ stores: false })
  const { space, ops } = aSharedSpace()
  take(0, cores[0].adoptSpace(space.id, [space.init]))
  take(1, cores[1].adoptSpace(space.id, [space.init]))
  open()
  give(1, recordsOf(space.id, ...ops.slice(1)))
  expect(of('store', seen[1]).map(({ insert }) => insert.length)).toEqual([5])
  expect(of('visible', seen[1])).toEqual([])
  expect(cores[1].set(space.id)!.size).toBe(1)
  take(1, cores[1].stored(space.id))
  settle()
  expect(of('visible', seen[1]).map(({ added }) => added.length)).toEqual([5])
})

test('[SYN-6] what could not be stored is as if it had not come, and comes again', () => {
  const { cores, seen, take, open, give } = pair({ stores: false })
  const { space, ops } = aSharedSpace()
  take(1, cores[1].adoptSpace(space.id, [space.init]))
  open()
  const root = cores[1].set(space.id)!.opsRoot
  give(1, recordsOf(space.id, ...ops.slice(1)))
  take(1, cores[1].storeFailed(space.id))
  expect(cores[1].set(space.id)!.opsRoot).toBe(root)
  give(1, recordsOf(space.id, ...ops.slice(1)))
  expect(of('store', seen[1]).map(({ insert }) => insert.length)).toEqual([5, 5])
})

test('[SYN-7] a hello tells a replica of own ops that it has lost', () => {
  const { cores, seen, take, open } = pair()
  const { space, ops } = aSharedSpace()
  take(0, cores[0].adoptSpace(space.id, ops.slice(0, 3)))
  take(1, cores[1].adoptSpace(space.id, ops))
  open()
  expect(of('amnesia', seen[0])).toEqual([{ t: 'amnesia', space: space.id, known: { ep: 0, seq: 5 } }])
  expect(of('amnesia', seen[1])).toEqual([])
  expect(cores[0].set(space.id)!.size).toBe(6)
})

test('[SYN-8] the spaces of a named peer are adopted, those of another are offered', () => {
  for (const named of [true, false]) {
    const { cores, seen, take, open } = pair({ named })
    const { space, ops } = aSharedSpace()
    take(0, cores[0].adoptSpace(space.id, ops))
    open()
    expect(of('adopted', seen[1])).toHaveLength(named ? 1 : 0)
    expect(of('offered', seen[1]).length > 0).toBe(!named)
    expect(cores[1].set(space.id)?.size).toBe(named ? 6 : undefined)
  }
})

test('[SYN-8] no more spaces are adopted than the quota allows', () => {
  const { cores, seen, take, open } = pair()
  const creator = aWriter(1)
  for (let i = 0; i < DEFAULT_SETTINGS.adoptedSpaces + 3; i++) {
    const { id, init } = aSpace({ creator: aWriter(1), nonce: `nonce ${i}` })
    take(0, cores[0].adoptSpace(id, [init]))
  }
  open()
  expect(of('adopted', seen[1])).toHaveLength(DEFAULT_SETTINGS.adoptedSpaces)
  expect(creator.ep).toBe(0)
})

test('[SYN-9] a peer that sends what is malformed is let go, and its ops are kept all the same', () => {
  const { cores, seen, take, open, give } = pair()
  const { space, ops } = aSharedSpace()
  take(1, cores[1].adoptSpace(space.id))
  open()
  for (let i = 0; i < 10; i++) take(1, cores[1].frameArrived(1, Uint8Array.of(9, 9, 9)))
  give(1, recordsOf(space.id, ...ops))
  expect(cores[1].set(space.id)!.size).toBe(6)
  for (let i = 0; i < 3; i++) take(1, cores[1].frameArrived(1, Uint8Array.of(9, 9, 9)))
  expect(of('close', seen[1]).map(({ why }) => why)).toEqual(['score'])
})

test('[SYN-10] ops of strangers wait until a paper names their author, unless a named peer brings them', () => {
  const { space, creator, ops } = aSharedSpace('members')
  const stranger = aWriter(7)
  const [one, two] = [stranger.add(space, { name: 'x' }), stranger.add(space, { name: 'y' })]
  const unnamed = pair({ named: false })
  unnamed.take(1, unnamed.cores[1].adoptSpace(space.id, ops))
  // the first of the two is the creator, whose word is good: a third one brings them
  const guest = coreOf(3)
  const host = unnamed.cores[1]
  const link = 5
  const nonces = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] as const
  let [toHost, toGuest] = [
    guest.linkOpened({ link, nonce: nonces[0], named: false }),
    host.linkOpened({ link, nonce: nonces[1], named: false }),
  ]
  for (let i = 0; i < 3; i++) {
    const [forHost, forGuest] = [of('send', toHost), of('send', toGuest)]
    toGuest = forHost.flatMap(({ frame }) => host.frameArrived(link, frame))
    toHost = forGuest.flatMap(({ frame }) => guest.frameArrived(link, frame))
  }
  const bring = (...brought: SignedOp[]) => host.frameArrived(link, encodeFrame(recordsOf(space.id, ...brought)))
  expect(of('store', bring(one, two))).toEqual([])
  expect(host.load(space.id).parked).toBe(2)
  const [store] = of('store', bring(creator.grant(space, stranger)))
  expect(store?.insert.map((kept) => kept.op.record.t).sort()).toEqual(['add', 'add', 'member.add'])
  expect(host.load(space.id).parked).toBe(0)
})

test('[FRM-4] an unknown type is counted, and the link stays', () => {
  const { cores, open } = pair()
  open()
  const frame = Uint8Array.of(200, 0, 0, 0, 1, 5)
  expect(decodeFrame(frame).t).toBe('unknown')
  expect(cores[1].frameArrived(1, frame)).toEqual([{ t: 'report', metric: 'frames.unknown', count: 1 }])
})
