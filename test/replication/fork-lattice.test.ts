import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fold } from '../../src/core/or-set.ts'
import type { SignedOp } from '../../src/core/op.ts'
import { ForkLattice, placeAll } from '../../src/replication/fork-lattice.ts'
import { PARKED_A_CHAIN_MAX, PARKED_MAX, Parking } from '../../src/replication/parking.ts'
import { aSpace, aWriter } from '../support/ops.ts'

/** A history in which writers fork themselves as the numbers say: each step adds an op, or goes back to an earlier one. */
function historyOf(steps: readonly number[]) {
  const space = aSpace()
  const writers = [space.creator, aWriter(1), aWriter(2)]
  const ops: SignedOp[] = [space.init]
  steps.forEach((step, i) => {
    const writer = writers[step % 3]!
    const own = ops.filter(({ record }) => record.rid === writer.rid)
    const back = own[step % 7]
    if (step % 5 === 0 && back !== undefined) writer.rewind(space, back)
    ops.push(writer.add(space, { name: `n${step % 4}`, content: `c${i}` }))
  })
  return { space, ops: [...new Map(ops.map((op) => [op.id, op])).values()] }
}

/** Everything, again and again, until nothing changes: what a net of replicas comes to. */
function keptOf(ops: readonly SignedOp[]): SignedOp[] {
  const lattice = new ForkLattice()
  const kept = new Set<string>()
  const place = (op: SignedOp, twin?: SignedOp) => {
    if (kept.has(op.id)) return 'kept' as const
    const placed = lattice.place(op, twin)
    if (placed.kind === 'kept') {
      if (twin !== undefined) kept.add(twin.id)
      kept.add(op.id)
      for (const id of placed.fellOut) kept.delete(id)
    }
    return placed.kind
  }
  // one by one first, as they come; then what is left
  for (const op of ops) place(op)
  for (let before = -1; before !== kept.size;) {
    before = kept.size
    placeAll(
      ops.filter(({ id }) => !kept.has(id)),
      place,
    )
  }
  return ops.filter(({ id }) => kept.has(id))
}

const idsOf = (ops: readonly SignedOp[]) => ops.map(({ id }) => id).sort()
const steps = fc.array(fc.nat(100), { minLength: 5, maxLength: 25 })

test('[SYN-1] the same ops keep the same, in whatever order they come', () => {
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.nat()), (given, luck) => {
      const { ops } = historyOf(given)
      const shuffled = ops.map((op) => ({ op, at: luck.next().value })).sort((a, b) => a.at - b.at)
      expect(idsOf(keptOf(shuffled.map(({ op }) => op)))).toEqual(idsOf(keptOf(ops)))
    }),
    { seed: 1, numRuns: 80 },
  )
})

test('[SYN-1] two ops stay at the lowest fork, the smallest by id, and nothing above', () => {
  const space = aSpace()
  const writer = aWriter(1)
  const first = writer.add(space, { content: 'first' })
  const branches = Array.from({ length: 4 }, (_, i) => {
    writer.rewind(space, first)
    return [writer.add(space, { content: `branch ${i}` }), writer.add(space, { content: `above ${i}` })] as const
  })
  const kept = keptOf([first, ...branches.flat()])
  const smallest = idsOf(branches.map(([op]) => op)).slice(0, 2)
  expect(idsOf(kept)).toEqual([first.id, ...smallest].sort())
})

test('[SYN-1] two ops for one place are kept though neither follows what is kept', () => {
  const space = aSpace()
  const [writer, other] = [aWriter(1), aWriter(1)]
  const first = writer.add(space, { content: 'first' })
  const lost = other.add(space, { content: 'never shown' })
  const twins = ['one', 'two'].map((content) => {
    other.rewind(space, lost)
    return other.add(space, { content })
  })
  expect(idsOf(keptOf([first, twins[0]!]))).toEqual([first.id])
  expect(idsOf(keptOf([first, ...twins]))).toEqual(idsOf([first, ...twins]))
})

test('[SYN-2] what is kept folds as all of it does', () => {
  fc.assert(
    fc.property(steps, (given) => {
      const { ops } = historyOf(given)
      const [all, kept] = [fold(ops), fold(keptOf(ops))]
      expect(kept.root).toBe(all.root)
      expect(kept.visible).toEqual(all.visible)
    }),
    { seed: 2, numRuns: 80 },
  )
})

test('[SYN-3] what is parked is bounded, and let go after its time', () => {
  const space = aSpace()
  const parking = new Parking<number>()
  const writers = Array.from({ length: 70 }, (_, i) => aWriter(100 + i))
  const parked = writers.map(
    (writer) => Array.from({ length: 66 }, () => parking.park(writer.add(space), 1, 0)).filter(Boolean).length,
  )
  expect(parked[0]).toBe(PARKED_A_CHAIN_MAX)
  expect(parking.count).toBe(PARKED_MAX)
  expect(parking.expire(0)).toBe(0)
  expect(parking.expire(1)).toBe(PARKED_MAX)
  expect(parking.count).toBe(0)
})
