/** What a replica does with ops that its disk gives back other than they were written. */
import { expect, test } from 'vitest'
import type { OpId } from '../../src/core/ids.ts'
import { soundOps } from '../../src/core/sound-ops.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { asSent, aSpace, aWriter } from '../support/ops.ts'
import { aReplica } from '../support/replica.ts'
import { streamOf, tinyFile } from '../support/safetensors.ts'
import { temporaryStorage } from '../support/storage.ts'

const admin = aWriter(1)
const space = aSpace({ name: 'lab', creator: admin })
const adds = ['a', 'b', 'c'].map((content) => asSent(admin.add(space, { content })))
const [first, second, third] = adds.map(({ id }) => id) as [OpId, OpId, OpId]

/** One bit, in the middle of the op's bytes. */
function flip(storage: Storage, id: OpId): void {
  const row = storage.ops.find(id)!
  const bytes = row.bytes.slice()
  bytes[bytes.length >> 1]! ^= 1
  storage.ops.remove([id])
  storage.ops.append({ ...row, bytes })
}

async function withThree() {
  const storage = await temporaryStorage()
  const replica = await aReplica({ storage, seed: 7 })
  replica.kept.receive(space.id, { insert: [asSent(space.init), ...adds], remove: [] })
  return { storage, replica }
}

test('[DUR-15] an op that rotted is dropped with what follows it, said by name, and comes again', async () => {
  const { storage, replica } = await withThree()
  const root = replica.kept.root(space.id)
  flip(storage, second)
  const again = await aReplica({ storage, seed: 7 })
  expect(again.kept.ops(space.id).map(({ id }) => id)).toEqual([space.init.id, first])
  expect(again.faults).toMatchObject([{ code: 'DIGEST_MISMATCH', details: { space: space.id, ops: [second, third] } }])
  expect(storage.ops.idsOfSpace(space.id)).toEqual([space.init.id, first].sort())
  const { epoch } = again.kept
  again.kept.receive(space.id, { insert: adds.slice(1), remove: [] })
  expect(again.kept.root(space.id)).toBe(root)
  expect((await aReplica({ storage, seed: 7 })).kept.root(space.id)).toBe(root)
  expect(again.kept.epoch).toBe(epoch)
})

test('[DUR-15] who lost an op of its own goes on in a later epoch', async () => {
  const { storage, replica } = await withThree()
  const { model } = await replica.uploadModel(streamOf(tinyFile(1)))
  const { dot } = await replica.contribute('lab', { model, name: 'mine' })
  storage.lease.markClean(replica.context.key.rid)
  flip(storage, dot as OpId)
  const again = await aReplica({ storage, seed: 7 })
  expect(again.findSpace('lab').contributions).toBe(3)
  expect(again.kept.epoch).toBe(replica.kept.epoch + 1)
})

test('[DUR-15] a space whose first op rotted is refused by name, and nothing of it is dropped', async () => {
  const { storage } = await withThree()
  flip(storage, space.init.id)
  const again = await aReplica({ storage, seed: 7 })
  expect(() => again.findSpace('lab')).toThrow(expect.objectContaining({ code: 'DIGEST_MISMATCH' }))
  expect(storage.ops.countBySpace(space.id)).toBe(4)
})

test('[DUR-15] of a fork one op alone is kept where it follows, and both stand where neither does', () => {
  const [one, other] = [admin, admin].map((writer) => asSent(writer.add(space, { content: 'd' })))
  const twin = { ...other!, record: { ...other!.record, seq: one!.record.seq } }
  const ids = (ops: Parameters<typeof soundOps>[0]) => soundOps(ops).map(({ id }) => id)
  const all = [asSent(space.init), ...adds]
  expect(ids([...all, one!])).toEqual([...all, one!].map(({ id }) => id))
  expect(ids([...all, twin as never])).toEqual(all.map(({ id }) => id)) // it follows `one`
  expect(ids([...all, one!, twin as never]).length).toBe(6)
  expect(ids([all[0]!, ...all.slice(2)])).toEqual([space.init.id])
  expect(ids([all[0]!, one!, twin as never])).toEqual([space.init.id]) // a fork above a hole
})
