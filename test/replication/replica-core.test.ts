import { expect, test } from 'vitest'
import type { SetRoot } from '../../src/core/ids.ts'
import { headerOf, ShelvedOp } from '../../src/core/shelved-op.ts'
import { aWriter } from '../support/ops.ts'
import { aSharedSpace, of, pair } from './core-pair.ts'

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
