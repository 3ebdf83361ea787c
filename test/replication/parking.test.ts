import { expect, test } from 'vitest'
import type { SignedOp } from '../../src/core/op.ts'
import { PARKED_A_CHAIN_MAX, PARKED_MAX, Parking } from '../../src/replication/parking.ts'
import { admitting } from '../support/gate.ts'
import { aSpace, aWriter, type AWriter } from '../support/ops.ts'

const space = aSpace()
const chainOf = (writer: AWriter, ops: number): readonly SignedOp[] =>
  Array.from({ length: ops }, (_, i) => writer.add(space, { name: `a${i}` }))

test('[SYN-3] at most so many wait for a chain and in all, and the newcomer is let go', () => {
  const one = new Parking<number>()
  const long = chainOf(aWriter(1), PARKED_A_CHAIN_MAX + 1)
  expect(long.map((op) => one.park(op, 1, 0)).filter(Boolean)).toHaveLength(PARKED_A_CHAIN_MAX)
  expect([one.has(long[0]!), one.has(long.at(-1)!)]).toEqual([true, false])
  expect(one.park(long[0]!, 2, 5)).toBe(true) // it is there already
  expect(one.count).toBe(PARKED_A_CHAIN_MAX)

  const all = new Parking<number>()
  for (let ep = 0; all.count < PARKED_MAX; ep++)
    for (const op of chainOf(aWriter(2, ep), PARKED_A_CHAIN_MAX)) expect(all.park(op, 1, 0)).toBe(true)
  expect(all.count).toBe(PARKED_MAX)
  expect(all.park(long[0]!, 1, 0)).toBe(false)
})

test('[SYN-3] what waits is given back in the order of its chain, once', () => {
  const parking = new Parking<number>()
  const ops = chainOf(aWriter(1), 3)
  const other = aWriter(1, 7).add(space, { name: 'b' })
  for (const op of [ops[2]!, ops[0]!, other, ops[1]!]) parking.park(op, 1, 0)
  expect([parking.countAt(ops[1]!.record), parking.countAt({ ...ops[1]!.record, seq: 9 })]).toEqual([1, 0])
  expect(parking.take(ops[0]!.record).map(({ op }) => op.id)).toEqual(ops.map(({ id }) => id))
  expect([parking.take(ops[0]!.record), parking.count]).toEqual([[], 1])
  expect(parking.takeOf(other.record.rid).map(({ op }) => op.id)).toEqual([other.id])
  expect(parking.count).toBe(0)
})

test('[SYN-3] what has waited too long is let go, and nothing else', () => {
  const parking = new Parking<number>()
  const ops = chainOf(aWriter(1), 2)
  ops.forEach((op, i) => void parking.park(op, 1, i * 10))
  expect([parking.expire(10), parking.count, parking.has(ops[0]!), parking.has(ops[1]!)]).toEqual([1, 1, false, true])
  expect([parking.expire(11), parking.count]).toEqual([1, 0])
})

test('[SYN-1] two ops for the next place are a fork where neither follows what is kept; one alone waits', () => {
  const author = aWriter(3)
  const begun = (name: string): SignedOp => {
    author.head.delete(space.id)
    return author.add(space, { name })
  }
  const twins = ['a', 'b'].map((name) => {
    begun(name) // which nobody gets to see
    return author.add(space, { name: `after-${name}` })
  })
  const arrives = admitting(space, [space.init, begun('c')])
  expect(arrives([twins[0]!])).toMatchObject({ stores: [], parked: 1 })
  const { stores, parked } = arrives([twins[1]!])
  expect(new Set(stores)).toEqual(new Set(twins.map(({ id }) => id)))
  expect(parked).toBe(0)
})
