import { expect, test } from 'vitest'
import { encodeSigned, type SignedOp } from '../../src/core/op.ts'
import type { SetRoot, SpaceId } from '../../src/core/ids.ts'
import { headerOf, ShelvedOp } from '../../src/core/shelved-op.ts'
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

test('[SYN-4] equal replicas tell each other a root of each space, and nothing more', () => {
  const { cores, take, open, passed, seen } = pair()
  const { space, ops } = aSharedSpace()
  for (const at of [0, 1] as const) take(at, cores[at].adoptSpace(space.id, ops))
  open()
  expect(passed.filter((type) => !type.startsWith('hello'))).toEqual(['roots', 'roots'])
  const bytes = of('send', seen[0]).map(({ frame }) => frame.length)
  expect(bytes.reduce((sum, length) => sum + length)).toBeLessThan(400)
  expect(cores[0].agreements(1)).toEqual([{ space: space.id, inSync: true, behindMs: 0 }])
})

test('[RPL-8] how long two replicas have not kept the same is known of each space, until they tell that they do', () => {
  const { cores, take, open, tick } = pair()
  const { space, creator, ops } = aSharedSpace()
  for (const at of [0, 1] as const) take(at, cores[at].adoptSpace(space.id, ops))
  open()
  const lag = (at: 0 | 1) => cores[at].agreements(1).map(({ inSync, behindMs }) => [inSync, behindMs])
  tick(1000)
  cores[0].opWritten(creator.add(space, { name: 'unheard' })) // its frames are lost
  expect(lag(0)).toEqual([[false, 0]])
  cores[0].tick(4000) // as are these
  cores[0].tick(9000)
  expect([lag(0), lag(1)]).toEqual([[[false, 5000]], [[true, 0]]])
  for (let now = 10_000; now <= 60_000; now += 1000) tick(now)
  expect([lag(0), lag(1)]).toEqual([[[true, 0]], [[true, 0]]])
})

test('[SYN-4] of two that differ the one that keeps less begins, and is not sent a vector that asks for nothing', () => {
  const { cores, take, open, seen } = pair()
  const { space, ops } = aSharedSpace()
  take(0, cores[0].adoptSpace(space.id, ops))
  take(1, cores[1].adoptSpace(space.id, ops.slice(0, 3)))
  open()
  const sent = (at: 0 | 1) => of('send', seen[at]).flatMap(({ type }) => (type.startsWith('hello') ? [] : [type]))
  expect([sent(0), sent(1)]).toEqual([
    ['roots', 'update'],
    ['roots', 'state-vector'],
  ])
})

test('[SYN-4] each gets what only the other has', () => {
  const { cores, take, open } = pair()
  const { space, ops } = aSharedSpace()
  const other = aWriter(5)
  const theirs = [0, 1, 2, 3].map((i) => other.add(space, { name: `m${i}` }))
  take(0, cores[0].adoptSpace(space.id, ops))
  take(1, cores[1].adoptSpace(space.id, [space.init, ...theirs]))
  open()
  const all = ops.length + theirs.length
  expect(cores.map((core) => core.set(space.id)!.size)).toEqual([all, all])
})

test('[SYN-4] few differences among many authors are found by comparing ids, and travel packed', () => {
  const { cores, take, open, passed, seen } = pair()
  const { space, ops } = aSharedSpace()
  const writers = Array.from({ length: 80 }, (_, i) => aWriter(100 + i))
  const shared = [...ops, ...writers.map((writer, i) => writer.add(space, { name: `a${i}` }))]
  const more = writers.slice(0, 6).map((writer, i) => writer.add(space, { name: `b${i}` }))
  take(0, cores[0].adoptSpace(space.id, [...shared, ...more.slice(0, 3)]))
  take(1, cores[1].adoptSpace(space.id, [...shared, ...more.slice(3)]))
  open()
  expect(cores[0].set(space.id)!.size).toBe(shared.length + more.length)
  expect(cores[1].set(space.id)!.opsRoot).toBe(cores[0].set(space.id)!.opsRoot)
  expect(passed).toContain('reconcile')
  for (const type of ['state-vector', 'records']) expect(passed).not.toContain(type)
  expect(of('report', seen[0]).filter(({ metric }) => metric === 'reconciliations').length).toBeLessThanOrEqual(1)
})

test('[SYN-4] an op written between telling a root and hearing the same gets to the peer', () => {
  const { cores, take, open, settle, passed } = pair()
  const { space, creator, ops } = aSharedSpace()
  for (const at of [0, 1] as const) take(at, cores[at].adoptSpace(space.id, ops))
  open(() => passed.includes('roots'))
  take(0, cores[0].opWritten(creator.add(space, { name: 'late' })))
  settle()
  expect(cores[1].set(space.id)!.size).toBe(ops.length + 1)
})

test('[SYN-11] a peer that tells a root it does not have is sent nothing and sends nothing, until ids are compared', () => {
  const { cores, take, open, give, passed } = pair()
  const { space, ops } = aSharedSpace()
  for (const at of [0, 1] as const) take(at, cores[at].adoptSpace(space.id, ops))
  open()
  const opsRoot = 'ab'.repeat(32) as SetRoot
  const lie = (count: number) => give(0, { t: 'roots', spaces: [{ space: space.id, ops: count, opsRoot }] })
  const before = passed.length
  lie(Number.MAX_SAFE_INTEGER)
  lie(0)
  expect(passed).toHaveLength(before)
  lie(1)
  take(0, cores[0].tick(10_000))
  lie(1)
  expect(passed.filter((type) => type === 'reconcile')).toHaveLength(2) // a question, and an answer: all is settled
  expect(passed).not.toContain('update')
  expect(cores[0].set(space.id)!.size).toBe(ops.length)
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

test('[SNP-5] ops on the shelf are kept, told and compared without a look at their records', () => {
  const { cores, take } = pair()
  const { space, ops } = aSharedSpace()
  const unreadable = { records: new Uint8Array(200), start: 0, end: 200 }
  const shelved = ops.slice(1).map((op) => new ShelvedOp(op.id, headerOf(op), unreadable))
  expect(() => shelved[0]!.record).toThrow()
  take(0, cores[0].adoptSpace(space.id, [space.init, ...shelved]))
  take(1, cores[1].adoptSpace(space.id, ops))
  expect(cores[0].set(space.id)!.opsRoot).toBe(cores[1].set(space.id)!.opsRoot)
  expect(cores[0].set(space.id)!.vector()).toEqual(cores[1].set(space.id)!.vector())
  expect(cores[0].set(space.id)!.timedIds.fingerprint(0, ops.length)).toEqual(
    cores[1].set(space.id)!.timedIds.fingerprint(0, ops.length),
  )
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
  expect(core.frameArrived(9, hello!)).toEqual([]) // it is forgotten
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
