import { expect, test } from 'vitest'
import { fold } from '../../src/core/or-set.ts'
import { decodeSnapshot, encodeSnapshot } from '../../src/core/snapshot-format.ts'
import type { Compactor } from '../../src/operations/compaction.ts'
import type { Context } from '../../src/operations/context.ts'
import { SpaceBook } from '../../src/operations/space-book.ts'
import { compacted } from '../../src/operations/stored-space.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { whole } from '../core/whole.ts'
import { asSent, aSpace, aWriter } from '../support/ops.ts'
import { aReplica } from '../support/replica.ts'

const writer = aWriter(1)
const space = aSpace({ name: 'lab', creator: writer })
const adds = Array.from({ length: 12 }, (_, i) => asSent(writer.add(space, { name: `n${i}`, content: `c${i}` })))
const all = [asSent(space.init), ...adds]

const inline = (storage: Storage): Compactor => ({
  compact: async (id) => compacted(storage.ops, id),
  close: async () => undefined,
})

/** A replica with some of the ops, and books that keep snapshots from four new ops on. */
async function withOps(count: number) {
  const replica = await aReplica()
  const { storage, kept, context, faults } = replica
  kept.receive(space.id, { insert: all.slice(0, count), remove: [] })
  const open = (more: Partial<Context> = {}) =>
    new SpaceBook({ ...context, compactor: inline(storage), limits: { ...context.limits, snapshotOps: 4 }, ...more })
  return { replica, storage, kept, faults, open }
}

test('[SNP-4] a space that was read, or has grown, leaves a snapshot behind it, from which the next start reads it', async () => {
  const { storage, open } = await withOps(3)
  const book = open()
  book.state(space.id)
  await book.compacted()
  expect(storage.snapshots.find(space.id)).toBeUndefined()
  book.receive(space.id, { insert: all.slice(3, 6), remove: [] }, () => undefined)
  await book.compacted()
  const first = storage.snapshots.find(space.id)
  expect(decodeSnapshot(first!)!.head.ops).toBe(6)
  book.receive(space.id, { insert: all.slice(6, 9), remove: [] }, () => undefined)
  await book.compacted()
  expect(storage.snapshots.find(space.id)).toEqual(first)
  expect(whole(open().state(space.id))).toEqual(whole(fold(all.slice(0, 9))))
})

test('[SNP-4] a snapshot that shows other contributions is found by the next one, said, and the space folded again', async () => {
  const { storage, kept, faults, open } = await withOps(6)
  const { head, columns } = decodeSnapshot(compacted(storage.ops, space.id)!)!
  columns.visible[0]! ^= 1
  const wrong = encodeSnapshot(head, (into) => {
    for (const [name, column] of Object.entries(columns)) into[name as keyof typeof columns].set(column as Uint8Array)
  })
  storage.snapshots.put(space.id, wrong)
  kept.receive(space.id, { insert: all.slice(6, 12), remove: [] })
  const right = fold(all.slice(0, 12))
  const book = open()
  expect(book.state(space.id).root).not.toBe(right.root)
  await book.compacted()
  expect(faults).toMatchObject([{ code: 'DIGEST_MISMATCH', details: { folded: right.root } }])
  expect(whole(book.state(space.id))).toEqual(whole(right))
  expect(whole(open().state(space.id))).toEqual(whole(right))
})

test('[SNP-2] a snapshot with an op that has fallen out is removed, and the space folded', async () => {
  const { storage, kept, open } = await withOps(6)
  storage.snapshots.put(space.id, compacted(storage.ops, space.id)!)
  kept.receive(space.id, { insert: [], remove: [all[5]!.id] })
  expect(whole(open().state(space.id))).toEqual(whole(fold(all.slice(0, 5))))
  expect(storage.snapshots.find(space.id)).toBeUndefined()
})

test('[SNP-1] each op is checked against its id, whatever the snapshot says', async () => {
  const { storage, open, faults } = await withOps(6)
  storage.snapshots.put(space.id, compacted(storage.ops, space.id)!)
  const row = storage.ops.find(all[4]!.id)!
  const bytes = row.bytes.slice()
  bytes[bytes.length >> 1]! ^= 1
  storage.ops.remove([row.id])
  storage.ops.append({ ...row, bytes })
  expect(whole(open().state(space.id))).toEqual(whole(fold(all.slice(0, 4))))
  expect(faults).toMatchObject([{ code: 'DIGEST_MISMATCH' }])
})

test('[SNP-4] a snapshot that can not be made is said, and nothing else changes', async () => {
  const { storage, faults, open } = await withOps(6)
  const book = open({
    compactor: { compact: () => Promise.reject(new Error('no thread')), close: async () => undefined },
  })
  const state = book.state(space.id)
  await book.compacted()
  await book.stop()
  expect(faults).toMatchObject([{ message: 'no thread' }])
  expect(storage.snapshots.find(space.id)).toBeUndefined()
  expect(book.state(space.id)).toBe(state)
})
