import { expect, test } from 'vitest'
import type { Op } from '../../src/core/op.ts'
import { fold, mayAdd, mayManageMembers, mayRevoke } from '../../src/core/or-set.ts'
import { aSpace, type AWriter, aWriter } from '../support/ops.ts'

const names = (ops: readonly Op[]) => [...fold(ops).slots.keys()]
const rolesIn = (ops: readonly Op[], ...writers: readonly AWriter[]) =>
  writers.map(({ rid }) => fold(ops).members.find((member) => member.rid === rid)?.role)
const setting = () => ({ space: aSpace({ access: 'members' }), ana: aWriter(1), ben: aWriter(2), cleo: aWriter(3) })

test('[MEM-1] the creator is admin for ever: nobody removes it, and nothing lowers it', () => {
  const { space, ana } = setting()
  const { creator } = space
  const ops = [
    space.init,
    creator.grant(space, ana, 'admin'),
    ana.expel(space, creator, { last_ep: 0, last_seq: -1 }),
    ana.grant(space, creator, 'reader'),
    creator.add(space, { name: 'still' }),
  ]
  expect(names(ops)).toEqual(['still'])
  expect(fold(ops).members[0]).toEqual({ rid: creator.rid, role: 'admin', fromEp: 0 })
  expect(fold(ops).ignored.get(ops[2]!.id)).toBe('not_allowed')
  expect(mayManageMembers(fold(ops), creator.rid)).toBe(true)
})

test('[MEM-2] admins and writers write, readers and outsiders do not; the order of arrival does not matter', () => {
  const { space, ana, ben, cleo } = setting()
  const { creator } = space
  const adds = [ana, ben, cleo, aWriter(4)].map((writer, i) => writer.add(space, { name: `n${i}` }))
  const grants = [
    creator.grant(space, ana, 'admin'),
    creator.grant(space, ben, 'writer'),
    creator.grant(space, cleo, 'reader'),
  ]
  const ops = [...adds, ...grants, space.init]
  expect(names(ops)).toEqual(['n0', 'n1'])
  expect(names(ops.reverse())).toEqual(['n0', 'n1'])
  const state = fold(ops)
  expect([adds[2]!, adds[3]!].map(({ id }) => state.ignored.get(id))).toEqual(['not_allowed', 'not_a_member'])
  expect(rolesIn(ops, ana, ben, cleo, aWriter(4))).toEqual(['admin', 'writer', 'reader', undefined])
  expect([ana, ben, cleo].map(({ rid }) => [mayAdd(state, rid), mayRevoke(state, rid)])).toEqual([
    [true, true],
    [true, false],
    [false, false],
  ])
})

test('[MEM-2] only admins grant, and what a writer grants is nothing', () => {
  const { space, ana, ben, cleo } = setting()
  const ops = [
    space.init,
    space.creator.grant(space, ana, 'writer'),
    ana.grant(space, ben, 'admin'),
    ben.grant(space, cleo, 'admin'),
    cleo.add(space),
  ]
  expect(names(ops)).toEqual([])
  expect(rolesIn(ops, ana, ben, cleo)).toEqual(['writer', undefined, undefined])
  expect(mayManageMembers(fold(ops), ana.rid)).toBe(false)
})

test('[MEM-2] admins make admins, as far as the chain of grants reaches', () => {
  const { space } = setting()
  const chain = Array.from({ length: 30 }, (_, i) => aWriter(40 + i))
  const grants = chain.map((writer, i) => (chain[i - 1] ?? space.creator).grant(space, writer, 'admin'))
  const ops = [chain.at(-1)!.add(space, { name: 'far' }), ...grants.reverse(), space.init]
  expect(names(ops)).toEqual(['far'])
})

test('[MEM-3] a removal cuts what is beyond the op it names, later epochs included, and leaves what is before', () => {
  const { space, ana } = setting()
  const grant = space.creator.grant(space, ana)
  const adds = ['0', '1', '2'].map((name) => ana.add(space, { name }))
  const later = ana.inEpoch(1).add(space, { name: 'later' })
  const removal = space.creator.expel(space, ana, { last_ep: 0, last_seq: 1 })
  const ops = [space.init, grant, ...adds, later, removal]
  expect(names(ops)).toEqual(['0', '1'])
  expect([adds[2]!, later].map(({ id }) => fold(ops).ignored.get(id))).toEqual(['removed', 'removed'])
  expect(rolesIn(ops, ana)).toEqual([undefined])
  expect(mayAdd(fold(ops), ana.rid)).toBe(false)
  expect(names([...ops, space.creator.expel(space, ana, { last_ep: 0, last_seq: -1 })])).toEqual([])
})

test('[MEM-3] a removed member is back under a grant from a later epoch, and its cut ops stay cut', () => {
  const { space, ana } = setting()
  const { creator } = space
  const ops = [
    space.init,
    creator.grant(space, ana, 'admin'),
    ana.add(space, { name: 'first' }),
    ana.add(space, { name: 'cut' }),
    creator.expel(space, ana, { last_ep: 0, last_seq: 0 }),
  ]
  const early = ana.inEpoch(1).add(space, { name: 'early' })
  const back = ana.inEpoch(2).add(space, { name: 'back' })
  expect(names([...ops, early, back])).toEqual(['first'])
  const again = [...ops, early, back, creator.grant(space, ana, 'writer', 2)]
  expect(names(again)).toEqual(['back', 'first'])
  // the old role does not come back with the new one
  expect(fold(again).members[1]).toEqual({ rid: ana.rid, role: 'writer', fromEp: 2 })
  // and a grant that does not begin after the removal gives nothing back
  expect(names([...ops, early, back, creator.grant(space, ana, 'writer')])).toEqual(['first'])
})

test('[MEM-4] a removal closes earlier epochs where it says so: nothing can be added to them afterwards', () => {
  const { space, ana } = setting()
  const grant = space.creator.grant(space, ana)
  const old = ana.add(space, { name: 'old' })
  const now = ana.inEpoch(1).add(space, { name: 'now' })
  const backdated = ana.add(space, { name: 'backdated' })
  const end = { last_ep: 1, last_seq: 0 }
  const open = [space.init, grant, old, now, backdated, space.creator.expel(space, ana, end)]
  expect(names(open)).toEqual(['backdated', 'now', 'old'])
  const closed = [...open, space.creator.expel(space, ana, { ...end, earlier: [[0, 0]] })]
  expect(names(closed)).toEqual(['now', 'old'])
})

test('[MEM-5] two admins who remove each other are both out', () => {
  const { space, ana, ben } = setting()
  const { creator } = space
  const ops = [
    space.init,
    creator.grant(space, ana, 'admin'),
    creator.grant(space, ben, 'admin'),
    ana.add(space, { name: 'a0' }),
    ben.add(space, { name: 'b0' }),
    ana.expel(space, ben, { last_ep: 0, last_seq: 0 }),
    ben.expel(space, ana, { last_ep: 0, last_seq: 0 }),
    ana.add(space, { name: 'a2' }),
    ben.add(space, { name: 'b2' }),
  ]
  expect(names(ops)).toEqual(['a0', 'b0'])
  expect(names(ops.reverse())).toEqual(['a0', 'b0'])
  expect(rolesIn(ops, ana, ben)).toEqual([undefined, undefined])
})

test('[MEM-5] who was removed before it removed others has removed nobody', () => {
  const { space, ana, ben } = setting()
  const { creator } = space
  const ops = [
    space.init,
    creator.grant(space, ana, 'admin'),
    creator.grant(space, ben, 'admin'),
    ana.expel(space, ben, { last_ep: 0, last_seq: -1 }),
    ben.expel(space, ana, { last_ep: 0, last_seq: 0 }), // leaves ana's removal of ben standing
    ana.add(space, { name: 'a' }),
  ]
  expect(names(ops)).toEqual(['a'])
  expect(rolesIn(ops, ana, ben)).toEqual(['admin', undefined])
})

test('[MEM-5] who leaves by its own removal is out', () => {
  const { space, ana } = setting()
  const ops = [
    space.init,
    space.creator.grant(space, ana, 'admin'),
    ana.add(space, { name: 'before' }),
    ana.expel(space, ana, { last_ep: 0, last_seq: 0 }),
    ana.add(space, { name: 'after' }),
  ]
  expect(names(ops)).toEqual(['before'])
})

test('[MEM-6] what a removed admin grants afterwards is nothing, and no ring of grants holds itself up', () => {
  const { space, ana, ben, cleo } = setting()
  const { creator } = space
  const base = [
    space.init,
    creator.grant(space, ana, 'admin'),
    ana.grant(space, ben, 'admin'),
    creator.expel(space, ana, { last_ep: 0, last_seq: 0 }),
  ]
  const late = [ana.grant(space, cleo, 'admin'), cleo.add(space, { name: 'cleo' })]
  const kept = ben.add(space, { name: 'ben' })
  expect(names([...base, ...late, kept])).toEqual(['ben'])
  const [x, y] = [aWriter(8), aWriter(9)]
  const ring = [x.grant(space, y, 'admin'), y.grant(space, x, 'admin'), x.add(space, { name: 'ring' })]
  expect(names([...base, ...ring, kept])).toEqual(['ben'])
  expect(rolesIn([...base, ...ring], x, y)).toEqual([undefined, undefined])
})

test('[MEM-6] where a grant and a removal undo each other, the removal counts and the grant does not', () => {
  const { space, ana, ben } = setting()
  const ops = [
    space.init,
    space.creator.grant(space, ana, 'admin'),
    ana.grant(space, ben, 'admin'),
    ben.expel(space, ana, { last_ep: 0, last_seq: -1 }), // cuts the very grant that allows it
    ana.add(space, { name: 'ana' }),
    ben.add(space, { name: 'ben' }),
  ]
  expect(names(ops)).toEqual([])
  expect(rolesIn(ops, ana, ben)).toEqual([undefined, undefined])
  expect(fold(ops).ignored.has(ops[3]!.id)).toBe(false)
})

/** Ana forks epoch 0 at seq 1 and goes on in epochs 1 and 2. */
const forked = () => {
  const { space, ana, ben } = setting()
  const grants = [space.creator.grant(space, ana), space.creator.grant(space, ben, 'admin')]
  const one = ana.add(space, { name: 'one' })
  const two = ana.add(space, { name: 'two' })
  ana.rewind(space, one)
  const twin = ana.add(space, { name: 'twin' })
  const epochs = [ana.inEpoch(1), ana.inEpoch(2), ana.inEpoch(3)]
  const later = epochs.map((writer) => writer.add(space, { name: `ep${writer.ep}` }))
  const evidence = ben.accuse(space, two, twin)
  return { space, ana, ben, epochs, later, evidence, ops: [space.init, ...grants, one, two, twin, ...later, evidence] }
}

test('[MEM-7] epochs after a fork are void until an admin gives amnesty for them', () => {
  const { space, ana, ben, later, evidence, ops } = forked()
  expect(names(ops)).toEqual(['one'])
  expect(later.map(({ id }) => fold(ops).ignored.get(id))).toEqual(['after_fork', 'after_fork', 'after_fork'])
  const pardoned = [...ops, ben.pardon(space, ana, evidence, 2)]
  expect(names(pardoned)).toEqual(['ep2', 'ep3', 'one'])
  expect([0, 1, 2, 9].map((ep) => mayAdd(fold(pardoned), ana.rid, ep))).toEqual([false, false, true, true])
})

test('[MEM-7] who may not give amnesty gives none, least of all to itself', () => {
  const { space, ana, epochs, evidence, ops } = forked()
  expect(names([...ops, epochs[2]!.pardon(space, ana, evidence, 1)])).toEqual(['one'])
  expect(names([...ops, aWriter(7).pardon(space, ana, evidence, 1)])).toEqual(['one'])
  const open = aSpace()
  const writer = aWriter(1)
  const pair = [writer.add(open, { name: 'a' }), (writer.head.clear(), writer.add(open, { name: 'b' }))] as const
  const back = writer.inEpoch(1).add(open, { name: 'back' })
  const base = [open.init, ...pair, back]
  expect(names([...base, aWriter(2).pardon(open, writer, pair[0], 1)])).toEqual([])
  expect(names([...base, open.creator.pardon(open, writer, pair[0], 1)])).toEqual(['back'])
})

test('[MEM-7] an amnesty forgives what was before it: a fork in a later epoch needs another', () => {
  const { space, ana, ben, epochs, later, evidence, ops } = forked()
  const [, second] = epochs as [AWriter, AWriter, AWriter]
  second.head.clear()
  const twin = second.add(space, { name: 'again' })
  const ops2 = [...ops, twin, ben.pardon(space, ana, evidence, 2)]
  expect(names(ops2)).toEqual(['one'])
  expect(fold(ops2).ignored.get(later[2]!.id)).toBe('after_fork')
  expect(names([...ops2, ben.pardon(space, ana, evidence, 3)])).toEqual(['ep3', 'one'])
})

test('[MEM-8] an open space has no members: who writes is not asked, and nobody is removed', () => {
  const space = aSpace()
  const [ana, ben] = [aWriter(1), aWriter(2)]
  const removal = space.creator.expel(space, ana, { last_ep: 0, last_seq: -1 })
  const ops = [
    space.init,
    removal,
    ana.add(space, { name: 'a' }),
    ben.grant(space, ben, 'admin'),
    ben.revoke(space, 'a'),
  ]
  expect(names(ops)).toEqual(['a'])
  const state = fold(ops)
  expect(state.members).toEqual([{ rid: space.creator.rid, role: 'admin', fromEp: 0 }])
  expect(state.ignored.size).toBe(3)
  expect(mayManageMembers(state, space.creator.rid)).toBe(false)
})
