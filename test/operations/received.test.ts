/** Ops that arrive from other replicas, and what they do to spaces, models and holds. */
import { expect, test } from 'vitest'
import type { ContentRoot, OpId, SpaceId } from '../../src/core/ids.ts'
import type { SignedOp } from '../../src/core/op.ts'
import { parsePeerUrl } from '../../src/operations/peers.ts'
import { storedOp } from '../../src/operations/space-book.ts'
import { asSent, aSpace, type AWriter, aWriter } from '../support/ops.ts'
import { aReplica, type TestReplica } from '../support/replica.ts'
import { streamOf, tinyFile } from '../support/safetensors.ts'

const admin = aWriter(1)
const space = aSpace({ name: 'lab', creator: admin })

test('[SVC-50] ops of a space are kept while its first is missing, and are a space from then on', async () => {
  const replica = await aReplica()
  const { kept } = replica
  const add = asSent(admin.add(space, { content: 'x' }))
  kept.receive(space.id, { insert: [add], remove: [] })
  expect([kept.list(), kept.root(space.id)]).toEqual([[], undefined])
  kept.receive(space.id, { insert: [asSent(space.init)], remove: [] })
  expect(kept.list()).toEqual([space.id])
  expect(replica.findSpace('lab')).toMatchObject({ id: space.id, contributions: 1, ops: 2, root: kept.root(space.id) })
  expect(kept.ops(space.id).map(({ id }) => id)).toEqual([space.init.id, add.id])
})

test('[SVC-50] what falls out behind a fork is gone from the space', async () => {
  const replica = await aReplica()
  const { kept } = replica
  const add = asSent(admin.add(space, { content: 'y' }))
  kept.receive(space.id, { insert: [asSent(space.init), add], remove: [] })
  kept.receive(space.id, { insert: [], remove: [add.id] })
  expect(replica.findSpace('lab')).toMatchObject({ contributions: 0, ops: 1 })
})

test('[SVC-50] content that another replica withdraws for ever leaves this disk as well', async () => {
  const replica = await aReplica()
  const { model, content } = await replica.uploadModel(streamOf(tinyFile(1)))
  const owner = aWriter(2)
  const own = aSpace({ name: 'own', creator: owner })
  replica.kept.receive(own.id, { insert: [asSent(own.init)], remove: [] })
  await replica.contribute('own', { model, name: 'one' })
  const revoke = asSent(owner.write(own, { t: 'revoke', content: content as ContentRoot }))
  replica.kept.receive(own.id, { insert: [revoke], remove: [] })
  expect(replica.findSpace('own')).toMatchObject({ contributions: 0, revoked: [{ content }] })
  expect(() => replica.findModel(model)).toThrow(expect.objectContaining({ code: 'MODEL_NOT_FOUND' }))
})

test('[SVC-51] an op that is written here is told once, durable already', async () => {
  const replica = await aReplica()
  const { kept, storage } = replica
  const told: SignedOp[] = []
  kept.watch((op) => {
    expect(storage.ops.find(op.id)?.bytes).toEqual(op.bytes)
    told.push(op)
  })
  await replica.createSpace({ name: 'lab' })
  const { model } = await replica.uploadModel(streamOf(tinyFile(1)))
  await replica.contribute('lab', { model, name: 'one' })
  expect(told.map(({ record }) => record.t)).toEqual(['space.init', 'add'])
})

test('[DUR-14] after the word that a later epoch is known, the next op is of one beyond it', async () => {
  const replica = await aReplica()
  await replica.createSpace({ name: 'lab' })
  const { model } = await replica.uploadModel(streamOf(tinyFile(1)))
  replica.kept.raise(4)
  const told: SignedOp[] = []
  replica.kept.watch((op) => void told.push(op))
  await replica.contribute('lab', { model, name: 'one' })
  expect(told.map(({ record: { ep, seq } }) => [ep, seq])).toEqual([[5, 0]])
  expect(replica.findSpace('lab')).toMatchObject({ contributions: 1 })
})

test('[RPL-7] the address of a peer is spelled in one way, and anything else is refused by name', () => {
  expect(parsePeerUrl('HTTP://Replica.Example:80/')).toBe('http://replica.example')
  expect(parsePeerUrl('https://10.0.0.7:8420/merge/')).toBe('https://10.0.0.7:8420/merge')
  for (const bad of [
    '',
    '10.0.0.7:8420',
    'ftp://host',
    'http://user@host',
    'http://host/?a',
    'http://host/#a',
    `http://${'h'.repeat(600)}`,
  ]) {
    expect(() => parsePeerUrl(bad)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID', pointer: '/url' }))
    expect(() => parsePeerUrl(bad, '--peer')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  }
})

/** All that one replica has of a space, given to the other. */
function give(from: TestReplica, to: TestReplica, space: SpaceId): void {
  const known = new Set(to.kept.ops(space).map(({ id }) => id))
  to.kept.receive(space, { insert: from.kept.ops(space).filter(({ id }) => !known.has(id)), remove: [] })
}

async function removedAndLetInAgain() {
  const [owner, member] = [await aReplica(), await aReplica({ seed: 2 })]
  const { id } = await owner.createSpace({ name: 'lab', access: 'members' })
  const key = member.context.key.rid
  await owner.addMember('lab', { key, role: 'writer' })
  give(owner, member, id as SpaceId)
  const { model } = await member.uploadModel(streamOf(tinyFile(1)))
  await member.contribute('lab', { model, name: 'one' })
  give(member, owner, id as SpaceId)
  await owner.removeMember('lab', key)
  expect((await owner.addMember('lab', { key, role: 'writer' })).member.from_epoch).toBe(1)
  return { owner, member, model, id: id as SpaceId }
}

test('[SVC-60] whoever was removed and let in again writes on as soon as the grant arrives', async () => {
  const { owner, member, model, id } = await removedAndLetInAgain()
  give(owner, member, id)
  expect(member.context.lease.epoch).toBe(1)
  await member.contribute('lab', { model, name: 'two' })
  give(member, owner, id)
  expect(owner.listContributions('lab').map(({ name }) => name)).toEqual(expect.arrayContaining(['one', 'two']))
})

test('[SVC-60] a replica that finds such a grant in its log at the start does so, too', async () => {
  const { owner, member, model, id } = await removedAndLetInAgain()
  const known = new Set(member.kept.ops(id).map((op) => op.id))
  for (const op of owner.kept.ops(id)) if (!known.has(op.id)) member.storage.ops.append(storedOp(op))
  const { storage } = member
  storage.lease.markClean(member.context.key.rid)
  const again = await aReplica({ storage, seed: 2 })
  expect(again.context.lease.epoch).toBe(0)
  const { dot } = await again.contribute('lab', { model, name: 'two' })
  expect(storage.ops.find(dot as OpId)).toMatchObject({ ep: 1, seq: 0 })
})

test('[SVC-60] a grant from an epoch that no honest replica reaches does not use up the numbers', async () => {
  const replica = await aReplica()
  const far = aSpace({ name: 'far', creator: aWriter(3), access: 'members' })
  const grant = aWriter(3)
  grant.head.set(far.id, far.creator.head.get(far.id)!)
  const self = { rid: replica.context.key.rid } as AWriter
  replica.kept.receive(far.id, {
    insert: [asSent(far.init), asSent(grant.grant(far, self, 'writer', Number.MAX_SAFE_INTEGER))],
    remove: [],
  })
  expect(replica.context.lease.epoch).toBe(1025)
})
