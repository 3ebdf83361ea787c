/** Members of a space, managed by this replica: as its creator, as an admin that others made, and without any right. */
import { expect, test } from 'vitest'
import { parseOp, type SignedOp } from '../../src/core/op.ts'
import { fold } from '../../src/core/or-set.ts'
import { endsOf } from '../../src/operations/members/remove-member.ts'
import { storedOp } from '../../src/operations/space-book.ts'
import { type ASpace, asSent, aSpace, type AWriter, aWriter } from '../support/ops.ts'
import { aReplica, type TestReplica } from '../support/replica.ts'

/** Before the replica first looks at the space. */
function adopt({ storage }: TestReplica, { id, init }: ASpace, ops: readonly SignedOp[]): void {
  for (const op of [init, ...ops]) storage.ops.append(storedOp(asSent(op), id))
  storage.spaces.add({ id, name: init.record.name, init: init.id, adoptedAtMs: 1 })
}
const refused = (code: string) => expect.objectContaining({ code })
const self = ({ context }: TestReplica) => ({ rid: context.key.rid }) as AWriter
const opsOf = ({ storage }: TestReplica, { id }: ASpace) => storage.ops.forSpace(id).map(({ bytes }) => parseOp(bytes))

/** A space of somebody else in which this replica is an admin. */
async function asAdmin(...before: readonly ((space: ASpace) => SignedOp)[]) {
  const replica = await aReplica()
  const space = aSpace({ name: 'lab', access: 'members' })
  const ops = before.map((write) => write(space))
  adopt(replica, space, [...ops, space.creator.grant(space, self(replica), 'admin')])
  return { replica, space }
}

test('[SVC-30] the creator adds members, raises them, and adds nothing twice', async () => {
  const replica = await aReplica()
  const { creator } = await replica.createSpace({ name: 'lab', access: 'members' })
  const key = aWriter(7).rid
  const added = await replica.addMember('lab', { key, role: 'reader' })
  expect(added).toEqual({
    created: true,
    member: { key, role: 'reader', from_epoch: 0, creator: false, forked_epochs: [], amnesty: false },
  })
  const { ops } = replica.findSpace('lab')
  expect((await replica.addMember('lab', { key, role: 'reader' })).created).toBe(false)
  expect((await replica.addMember('lab', { key: creator, role: 'admin' })).created).toBe(false)
  expect(replica.findSpace('lab').ops).toBe(ops)
  expect((await replica.addMember('lab', { key, role: 'admin' })).member.role).toBe('admin')
  await expect(replica.addMember('lab', { key, role: 'writer' })).rejects.toEqual(refused('ROLE_NOT_LOWERED'))
  await expect(replica.addMember('lab', { key, role: 'owner' })).rejects.toEqual(refused('REQUEST_INVALID'))
  await expect(replica.addMember('lab', { key: 'ana', role: 'writer' })).rejects.toEqual(refused('ID_INVALID'))
  expect(replica.listMembers('lab').map((one) => [one.key, one.role, one.creator])).toEqual([
    [creator, 'admin', true],
    [key, 'admin', false],
  ])
})

test('[SVC-30] who was removed comes back from the next epoch on, with a lower role if that is wanted', async () => {
  const replica = await aReplica()
  await replica.createSpace({ name: 'lab', access: 'members' })
  const key = aWriter(7).rid
  await replica.addMember('lab', { key, role: 'admin' })
  expect(await replica.removeMember('lab', key)).toHaveLength(1)
  expect((await replica.addMember('lab', { key, role: 'writer' })).member).toMatchObject({
    role: 'writer',
    from_epoch: 1,
  })
})

test('[SVC-31] what a removed member wrote and is here stays; what turns up later, in any epoch, does not count', async () => {
  const [ana, later] = [aWriter(3), aWriter(3, 2)]
  const { replica, space } = await asAdmin(
    (one) => one.creator.grant(one, ana),
    (one) => ana.add(one, { name: 'first' }),
    (one) => later.add(one, { name: 'third' }),
  )
  expect(
    replica
      .listContributions('lab')
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['first', 'third'])
  await replica.removeMember('lab', ana.rid, 'left the project')
  expect(replica.listMembers('lab').map(({ key }) => key)).not.toContain(ana.rid)

  const removal = opsOf(replica, space).find(({ record }) => record.t === 'member.remove')
  expect(removal?.record).toMatchObject({
    last_ep: 2,
    last_seq: 0,
    earlier: [
      [0, 0],
      [1, -1],
    ],
    reason: 'left the project',
  })
  const late = [
    ana.add(space, { name: 'late-0' }),
    aWriter(3, 1).add(space, { name: 'late-1' }),
    later.add(space, { name: 'late-2' }),
    aWriter(3, 9).add(space, { name: 'late-9' }),
  ]
  const after = fold([...opsOf(replica, space), ...late])
  expect([...after.slots.keys()].sort()).toEqual(['first', 'third'])
})

test('[SVC-31] the ends of very many epochs, seen and unseen, fit into one op', () => {
  const space = aSpace({ access: 'members' })
  const epochs = Array.from({ length: 300 }, (_, i) => i * 3)
  const huge = Array.from({ length: 300 }, (_, i) => Number.MAX_SAFE_INTEGER - 600 + i)
  for (const [given, count] of [
    [epochs, 128],
    [[...epochs, ...huge], 119],
  ] as const) {
    const ops = given.map((ep) => aWriter(3, ep).add(space, { name: `n${ep}` }))
    const state = fold([space.init, space.creator.grant(space, aWriter(3)), ...ops])
    const ends = endsOf(state, aWriter(3).rid)
    expect([ends.last_ep, ends.earlier?.length, ends.earlier?.at(-1)]).toEqual([given.at(-1), count, [given.at(-2), 0]])
    space.creator.rewind(space, space.init)
    const removal = space.creator.write(space, { t: 'member.remove', member: aWriter(3).rid, ...ends })
    expect(removal.bytes.length).toBeLessThan(4096)
  }
  expect(endsOf(fold([space.init]), aWriter(9).rid)).toEqual({ last_ep: 0, last_seq: -1 })
})

test('[SVC-20] [SVC-32] who may not manage members is refused, and writes no op', async () => {
  const replica = await aReplica()
  const [ana, ben] = [aWriter(3), aWriter(4)]
  const space = aSpace({ name: 'lab', access: 'members' })
  const { creator } = space
  adopt(replica, space, [creator.grant(space, self(replica), 'writer'), creator.grant(space, ana)])
  const before = replica.findSpace('lab')
  const attempts = [
    () => replica.addMember('lab', { key: ben.rid, role: 'reader' }),
    () => replica.removeMember('lab', ana.rid),
    () => replica.giveAmnesty('lab', { key: ana.rid }),
  ]
  for (const attempt of attempts) await expect(attempt()).rejects.toEqual(refused('NOT_ALLOWED'))
  expect(replica.findSpace('lab')).toEqual(before)
})

test('[SVC-32] an open space has no members to manage, a creator stays, and strangers are not removed', async () => {
  const replica = await aReplica()
  const key = aWriter(3).rid
  const { creator } = await replica.createSpace({ name: 'open' })
  await expect(replica.addMember('open', { key, role: 'writer' })).rejects.toEqual(refused('SPACE_OPEN'))
  await expect(replica.removeMember('open', creator)).rejects.toEqual(refused('SPACE_OPEN'))
  expect(replica.listMembers('open').map((one) => one.key)).toEqual([creator])

  const { replica: admin, space } = await asAdmin()
  await expect(admin.removeMember('lab', space.creator.rid)).rejects.toEqual(refused('CREATOR_STAYS'))
  const lowered = { key: space.creator.rid, role: 'reader' }
  await expect(admin.addMember('lab', lowered)).rejects.toEqual(refused('CREATOR_STAYS'))
  await expect(admin.removeMember('lab', key)).rejects.toEqual(refused('MEMBER_NOT_FOUND'))
  expect([replica.findSpace('open').ops, admin.findSpace('lab').ops]).toEqual([1, 2])
})

/** A member that signed two ops for one place in epoch 0, and wrote on in epoch 1. */
async function withFork(more: (space: ASpace, one: SignedOp, two: SignedOp) => readonly SignedOp[]) {
  const replica = await aReplica()
  const space = aSpace({ name: 'lab', access: 'members' })
  const ana = aWriter(3)
  const first = ana.add(space, { name: 'first' })
  const one = ana.add(space, { name: 'one' })
  ana.rewind(space, first)
  const two = ana.add(space, { name: 'two' })
  const on = aWriter(3, 1).add(space, { name: 'on' })
  const { creator } = space
  const grants = [creator.grant(space, self(replica), 'admin'), creator.grant(space, ana)]
  adopt(replica, space, [...grants, first, on, ...more(space, one, two)])
  const names = () => replica.listContributions('lab').map(({ name }) => name)
  return { replica, space, key: ana.rid, names: () => names().sort() }
}

test('[SVC-33] an amnesty lets later epochs count, on an evidence that is there or is written first', async () => {
  for (const [more, written] of [
    [(_: ASpace, one: SignedOp, two: SignedOp) => [one, two], 2],
    [(space: ASpace, one: SignedOp, two: SignedOp) => [aWriter(5).accuse(space, one, two)], 1],
  ] as const) {
    const { replica, space, key, names } = await withFork(more)
    expect(replica.listMembers('lab').find((one) => one.key === key)).toMatchObject({
      forked_epochs: [0],
      amnesty: false,
    })
    expect(await replica.figures()).toMatchObject({ forked_keys: 1, own_forked_epochs: 0 })
    const { ops } = replica.findSpace('lab')
    expect(names()).toEqual(['first'])
    const given = await replica.giveAmnesty('lab', { key, reason: 'restored a backup' })
    expect(given).toEqual({ key, from_epoch: 1, created: true })
    expect(names()).toEqual(['first', 'on'])
    expect(replica.findSpace('lab').ops).toBe(ops + written)
    expect(replica.listMembers('lab').find((one) => one.key === key)?.amnesty).toBe(true)
    const amnesty = opsOf(replica, space).find(({ record }) => record.t === 'amnesty')
    const evidence = opsOf(replica, space).find(({ record }) => record.t === 'evidence')
    expect(amnesty?.record).toMatchObject({ evidence: evidence?.id, reason: 'restored a backup' })
    expect((await replica.giveAmnesty('lab', { key })).created).toBe(false)
  }
})

test('[SVC-33] what is not forked, or not yet past its fork, is not forgiven; an open space forgives by its creator', async () => {
  const { replica, key } = await withFork((_, one, two) => [one, two])
  const early = replica.giveAmnesty('lab', { key, from_epoch: 0 })
  await expect(early).rejects.toMatchObject({ code: 'REQUEST_INVALID', pointer: '/from_epoch' })
  await expect(replica.giveAmnesty('lab', { key: aWriter(8).rid })).rejects.toEqual(refused('NOT_FORKED'))
  await replica.createSpace({ name: 'open' })
  await expect(replica.giveAmnesty('open', { key })).rejects.toEqual(refused('NOT_FORKED'))
})
