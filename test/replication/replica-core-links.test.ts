/** What a link may bring before and after the proof: greetings, stores, spaces to adopt, what is malformed or of strangers. */
import { expect, test } from 'vitest'
import type { SignedOp } from '../../src/core/op.ts'
import { decodeFrame, encodeFrame } from '../../src/replication/frames.ts'
import { DEFAULT_SETTINGS } from '../../src/replication/settings.ts'
import { aSpace, aWriter } from '../support/ops.ts'
import { aSharedSpace, coreOf, of, pair, recordsOf } from './core-pair.ts'

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
