/** The thread that makes snapshots, as it is built. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { createCompactor } from '../../src/compactor.ts'
import { storedOp } from '../../src/operations/space-book.ts'
import { compacted, restored } from '../../src/operations/stored-space.ts'
import { asSent, aSpace, aWriter } from '../support/ops.ts'
import { temporaryStorage } from '../support/storage.ts'

const BUILT = pathToFileURL(join(import.meta.dirname, '../../dist/src/compaction-worker.js'))

test('[SNP-4] another thread makes the snapshot from the log, while this one goes on writing', async () => {
  const storage = await temporaryStorage()
  const writer = aWriter(1)
  const space = aSpace({ name: 'lab', creator: writer })
  const ops = [space.init, ...Array.from({ length: 20 }, (_, i) => writer.add(space, { name: `n${i}` }))].map(asSent)
  for (const op of ops.slice(0, 15)) storage.ops.append(storedOp(op, space.id))
  const expected = compacted(storage.ops, space.id)!
  const compactor = createCompactor(storage.directory, BUILT)!
  const bytes = await compactor.compact(space.id)
  expect(Buffer.compare(bytes!, expected)).toBe(0)
  const under = compactor.compact(space.id)
  for (const op of ops.slice(15)) storage.ops.append(storedOp(op, space.id))
  expect(restored(storage.ops, space.id, (await under)!)?.state.ops.size).toBe(ops.length)
  await compactor.close()
  storage.close()
})

test('[SNP-4] a thread that is stopped makes none', async () => {
  const storage = await temporaryStorage()
  const compactor = createCompactor(storage.directory, BUILT)!
  const under = compactor.compact(aSpace().id)
  await compactor.close()
  expect(await under).toBeUndefined()
  storage.close()
})
