import { expect, test } from 'vitest'
import type { TensorRoot } from '../../src/core/ids.ts'
import { aReplica } from '../support/replica.ts'
import { idOf } from '../support/stored-facts.ts'

test('[STO-31] a sweep leaves the file of a fetch alone, until nothing came for a week', async () => {
  const replica = await aReplica()
  const { blobs, fetches } = replica.storage
  const { id } = blobs.reserve()
  const file = await blobs.openTemporary(id)
  await file.write(Uint8Array.of(1), 0)
  await file.close()
  const root = idOf<TensorRoot>('t')
  const updatedAtMs = replica.context.now()
  fetches.put({ root, bytes: 1, temporary: id, chunks: Uint8Array.of(0), updatedAtMs })
  replica.tick(6 * 24 * 3600 * 1000)
  expect((await replica.sweep()).temporaries).toBe(0)
  expect(fetches.find(root)).toBeDefined()
  replica.tick(2 * 24 * 3600 * 1000)
  await replica.sweep()
  expect(fetches.find(root)).toBeUndefined()
  const again = await blobs.openTemporary(id)
  expect(await again.bytes()).toBe(0) // it was dropped
  await again.close()
})
