import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, fromHex, hex } from '../../src/core/bytes.ts'
import { sha256, sha256Hex } from '../../src/core/digest.ts'
import type { OpId } from '../../src/core/ids.ts'
import { OrderedIds, type TimedId } from '../../src/replication/ordered-ids.ts'
import { ReconcileSession, ROUND_TRIPS_MAX } from '../../src/replication/reconcile.ts'
import { encodeRanges, MESSAGE_BYTES_MAX, RANGES_MAX } from '../../src/replication/reconcile-message.ts'
import { refusalOf } from '../support/refusal.ts'

const idOf = (n: number): OpId => sha256Hex(Buffer.from(`op ${n}`)) as OpId
/** Ops one after the other in time, a few at once. */
const ops = (from: number, to: number): TimedId[] =>
  Array.from({ length: to - from }, (_, i) => ({
    ms: 1_700_000_000_000 + 50 * Math.floor((from + i) / 3),
    id: idOf(from + i),
  }))
const sorted = (ids: Iterable<string>): string[] => [...ids].sort()

interface Outcome {
  readonly a: { have: OpId[]; need: OpId[]; complete: boolean }
  readonly b: { have: OpId[]; need: OpId[]; complete: boolean }
  readonly roundTrips: number
  readonly bytes: number
  readonly largest: number
}

/** A whole session, begun by the first. */
function reconcile(a: OrderedIds, b: OrderedIds): Outcome {
  const sides = [
    { set: b, session: new ReconcileSession(), have: [] as OpId[], need: [] as OpId[] },
    { set: a, session: new ReconcileSession(), have: [] as OpId[], need: [] as OpId[] },
  ] as const
  // by the count of messages so far, which is odd when the second side has answered
  const complete = [false, false]
  let message: Uint8Array | undefined = sides[1].session.begin(a)
  let [messages, bytes, largest] = [0, 0, 0]
  while (message !== undefined) {
    const side = sides[messages % 2 === 0 ? 0 : 1]
    bytes += message.length
    largest = Math.max(largest, message.length)
    messages++
    const step = side.session.answer(side.set, message)
    side.have.push(...step.have)
    side.need.push(...step.need)
    complete[messages % 2] = step.complete
    message = step.message
    if (message === undefined) expect(step.done).toBe(true)
  }
  const [byA, byB] = complete
  return {
    a: { ...sides[1], complete: byA! },
    b: { ...sides[0], complete: byB! },
    roundTrips: Math.ceil(messages / 2),
    bytes,
    largest,
  }
}

/** What each side lacks, however it was found. */
const found = ({ a, b }: Outcome) => ({ onlyA: sorted([...a.have, ...b.need]), onlyB: sorted([...a.need, ...b.have]) })
const lacked = (here: readonly TimedId[], there: readonly TimedId[]): string[] => {
  const ids = new Set(there.map(({ id }) => id))
  return sorted(here.map(({ id }) => id).filter((id) => !ids.has(id)))
}

describe('[RCN-1] ids stand in the order of time, with their sums', () => {
  const plain = (items: readonly TimedId[]): Uint8Array => {
    const sum = items.reduce((all, { id }) => (all + BigInt(`0x${id}`)) % 2n ** 256n, 0n)
    const count = items.length.toString(16).padStart(16, '0')
    return sha256(fromHex(sum.toString(16).padStart(64, '0') + count)).subarray(0, 16)
  }

  test('[RCN-1] after any inserts and deletions every range has the sum of a plain list', () => {
    const action = fc.record({ n: fc.nat(1500), ms: fc.nat(3), add: fc.boolean() })
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 60 }),
        fc.nat(1200),
        fc.array(fc.nat(), { maxLength: 8 }),
        (actions, n, cuts) => {
          const items = new Map(Array.from({ length: n }, (_, i) => [idOf(i), { ms: i % 4, id: idOf(i) }]))
          const set = new OrderedIds(items.values())
          for (const { n: i, add } of actions) {
            const item = { ms: i % 4, id: idOf(i) }
            if (add) expect(set.insert(item)).toBe(!items.has(item.id))
            else expect(set.delete(item)).toBe(items.has(item.id))
            if (add) items.set(item.id, item)
            else items.delete(item.id)
            if (items.size > 0)
              expect(set.at(items.size - 1).ms).toBe(Math.max(...[...items.values()].map(({ ms }) => ms)))
            expect(set.countBelow({ ms: 9, prefix: '' })).toBe(items.size)
            expect(set.ids(items.size - 1, items.size)).toHaveLength(Math.min(1, items.size))
          }
          const list = [...items.values()].sort((a, b) => a.ms - b.ms || (a.id < b.id ? -1 : 1))
          expect(set.size).toBe(list.length)
          expect(set.ids(0, set.size)).toEqual(list.map(({ id }) => id))
          for (const cut of cuts) {
            const [from, to] = [cut % (list.length + 1), (cut >>> 7) % (list.length + 1)].sort((a, b) => a - b)
            expect(hex(set.fingerprint(from!, to!))).toBe(hex(plain(list.slice(from, to))))
            const item = list[from!]
            if (item === undefined) continue
            expect(set.at(from!)).toEqual(item)
            expect(set.has(item)).toBe(true)
            expect(set.countBelow({ ms: item.ms, prefix: item.id })).toBe(from)
          }
        },
      ),
      { seed: 1, numRuns: 30 },
    )
  })

  test('[RCN-1] the sum is modulo 2^256 and the fingerprint is fixed', () => {
    const high = ['ff'.repeat(32), '00'.repeat(31) + '02'].map((id, ms) => ({ ms, id: id as OpId }))
    const set = new OrderedIds(high)
    expect(hex(set.fingerprint(0, 2))).toBe(hex(plain(high)))
    expect(hex(set.fingerprint(0, 2))).toBe(
      hex(sha256(fromHex('00'.repeat(31) + '01' + '0000000000000002'))).slice(0, 32),
    )
    expect(hex(new OrderedIds().fingerprint(0, 0))).toBe(hex(sha256(new Uint8Array(40))).slice(0, 32))
  })
})

describe('[RCN-2] a session finds exactly what one side has and the other lacks', () => {
  test('[RCN-2] for any two sets, whoever begins, with times that collide', () => {
    const items = fc.array(fc.tuple(fc.nat(900), fc.nat(2)), { maxLength: 150 })
    fc.assert(
      fc.property(fc.nat(900), items, items, fc.integer({ min: 1, max: 400 }), (common, onlyA, onlyB, spread) => {
        const itemOf = (n: number): TimedId => ({ ms: n % spread, id: idOf(n) })
        const shared = Array.from({ length: common }, (_, n) => itemOf(n + 2000))
        const [a, b] = [onlyA, onlyB].map((more) =>
          [...shared, ...new Set(more.map(([n]) => n))].map((item) => (typeof item === 'number' ? itemOf(item) : item)),
        )
        const outcome = reconcile(new OrderedIds(a), new OrderedIds(b))
        expect(found(outcome)).toEqual({ onlyA: lacked(a!, b!), onlyB: lacked(b!, a!) })
        expect([outcome.a.complete, outcome.b.complete]).toEqual([true, true])
        expect(outcome.roundTrips).toBeLessThanOrEqual(ROUND_TRIPS_MAX)
      }),
      { seed: 2, numRuns: 60 },
    )
  })

  test.each([
    ['both are empty', 0, 0, 0, 0],
    ['one is empty', 0, 0, 0, 700],
    ['the other is empty', 0, 700, 0, 0],
    ['one holds a part of the other', 100, 600, 0, 900],
    ['they have nothing in common', 0, 400, 400, 900],
  ])('[RCN-2] where %s', (_what, fromA, toA, fromB, toB) => {
    const [a, b] = [ops(fromA, toA), ops(fromB, toB)]
    const outcome = reconcile(new OrderedIds(a), new OrderedIds(b))
    expect(found(outcome)).toEqual({ onlyA: lacked(a, b), onlyB: lacked(b, a) })
    expect(outcome.a.complete && outcome.b.complete).toBe(true)
  })

  test('[RCN-2] ids that differ in their last digit alone, of one time', () => {
    const a = Array.from({ length: 200 }, (_, n) => ({ ms: 5, id: (n + 1000).toString(16).padStart(64, '0') as OpId }))
    const b = a.filter((_, n) => n % 7 > 0)
    expect(found(reconcile(new OrderedIds(a), new OrderedIds(b)))).toEqual({ onlyA: lacked(a, b), onlyB: [] })
  })

  test('[RCN-2] what does not fit in eight round trips is found by sessions that follow', () => {
    const [a, b] = [ops(0, 15_000), ops(0, 30_000).filter((_, n) => n % 2 === 0)]
    const [left, right] = [new OrderedIds(a), new OrderedIds(b)]
    const msOf = new Map([...a, ...b].map((item) => [item.id, item]))
    let sessions = 0
    for (let complete = false; !complete; sessions++) {
      const outcome = reconcile(left, right)
      complete = outcome.a.complete && outcome.b.complete
      expect(outcome.largest).toBeLessThanOrEqual(MESSAGE_BYTES_MAX)
      expect(outcome.roundTrips).toBeLessThanOrEqual(ROUND_TRIPS_MAX)
      const { onlyA, onlyB } = found(outcome)
      expect(onlyA.length + onlyB.length).toBeGreaterThan(0)
      for (const id of onlyA) right.insert(msOf.get(id as OpId)!)
      for (const id of onlyB) left.insert(msOf.get(id as OpId)!)
    }
    expect(left.fingerprint(0, left.size)).toEqual(right.fingerprint(0, right.size))
    expect(sessions).toBeLessThan(40)
  })
})

describe('[RCN-3] it costs what differs, not what is there', () => {
  const many = ops(0, 100_000)
  const [left, right] = [new OrderedIds(many), new OrderedIds(many)]

  test('[RCN-3] equal sets of 100,000 take one round trip and at most 1 kB', () => {
    const { roundTrips, bytes } = reconcile(left, right)
    expect(roundTrips).toBe(1)
    expect(bytes).toBeLessThanOrEqual(1024)
  })

  test.each<[string, readonly TimedId[], readonly TimedId[]]>([
    ['the newest ten of one', many.slice(-10), []],
    ['five of the newest hundred on each side', many.slice(-100, -95), many.slice(-10, -5)],
    ['ten that were written together long ago', [], many.slice(30_000, 30_010)],
  ])('[RCN-3] %s of 100,000 are found in three round trips and 5 kB', (_what, notLeft, notRight) => {
    for (const item of notLeft) left.delete(item)
    for (const item of notRight) right.delete(item)
    const outcome = reconcile(left, right)
    for (const item of notLeft) left.insert(item)
    for (const item of notRight) right.insert(item)
    expect(found(outcome)).toEqual({ onlyA: lacked(notRight, []), onlyB: lacked(notLeft, []) })
    expect(outcome.roundTrips).toBeLessThanOrEqual(3)
    expect(outcome.bytes).toBeLessThanOrEqual(5 * 1024)
  })
})

describe('[RCN-4] hostile messages are refused, and bounded', () => {
  const fingerprint = [...new Uint8Array(16)]
  const ids = [...fromHex(idOf(1) > idOf(2) ? idOf(1) + idOf(2) : idOf(2) + idOf(1))]

  test.each([
    ['nothing', []],
    ['fewer ranges than promised', [2, 0, 0]],
    ['bytes behind the end', [1, 0, 0, 9]],
    ['a range behind the one without an end', [2, 0, 0, 0, 0]],
    ['ranges that do not ascend', [2, 9, 0, 0, 1, 0, 0]],
    ['an unknown statement', [1, 0, 3]],
    ['half a fingerprint', [1, 0, 1, ...fingerprint.slice(1)]],
    ['a prefix longer than an id', [1, 9, 33, ...new Array<number>(33).fill(0), 0]],
    [
      'a time beyond 2^53',
      [2, 255, 255, 255, 255, 255, 255, 255, 15, 0, 0, 255, 255, 255, 255, 255, 255, 255, 15, 0, 0],
    ],
    ['ids that do not ascend', [1, 0, 2, 2, ...ids]],
    ['an id twice', [1, 0, 2, 2, ...ids.slice(32), ...ids.slice(32)]],
    ['more ranges than allowed', [...[((RANGES_MAX + 1) % 128) | 128, (RANGES_MAX + 1) >>> 7]]],
    ['2^31 ids', [1, 0, 2, 128, 128, 128, 128, 8]],
    ['too many bytes', [...new Uint8Array(MESSAGE_BYTES_MAX + 1)]],
  ])('[RCN-4] %s', (_what, bytes) => {
    const refusal = refusalOf(() => new ReconcileSession().answer(new OrderedIds(ops(0, 10)), Uint8Array.from(bytes)))
    expect(refusal.code).toBe('FRAME_INVALID')
  })

  test('[RCN-4] fingerprints that never agree cost eight bounded answers and find no more than is there', () => {
    const set = new OrderedIds(ops(0, 20_000))
    const session = new ReconcileSession()
    const lies = Array.from({ length: 6000 }, (_, i) => ({
      kind: 'fingerprint' as const,
      fingerprint: new Uint8Array(16),
      end: i === 5999 ? undefined : { ms: 1_700_000_000_000 + 50 * i, prefix: '' },
    }))
    for (let round = 1; round <= ROUND_TRIPS_MAX; round++) {
      const { message, have, need, done } = session.answer(set, encodeRanges(lies))
      expect(message!.length).toBeLessThanOrEqual(MESSAGE_BYTES_MAX)
      expect([have, need]).toEqual([[], []])
      expect(done).toBe(round === ROUND_TRIPS_MAX)
    }
  })

  test('[RCN-4] mutated messages are answered or refused by name', () => {
    const set = new OrderedIds(ops(0, 500))
    const honest = [new ReconcileSession().begin(set), new ReconcileSession().begin(new OrderedIds())]
    honest.push(new ReconcileSession().answer(new OrderedIds(ops(20, 480)), honest[0]!).message!)
    fc.assert(
      fc.property(fc.constantFrom(...honest), fc.nat(), fc.nat(255), fc.boolean(), (message, place, byte, cut) => {
        const at = place % message.length
        const mutated = cut
          ? message.slice(0, at)
          : concat(message.slice(0, at), Uint8Array.of(byte), message.slice(at + 1))
        try {
          const step = new ReconcileSession().answer(set, mutated)
          expect(new Set(step.have).size).toBe(step.have.length)
        } catch (error) {
          expect(error).toMatchObject({ code: 'FRAME_INVALID' })
        }
      }),
      { seed: 4, numRuns: 600 },
    )
  })
})
