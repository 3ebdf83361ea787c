import { expect, test } from 'vitest'
import type { ModelId } from '../../src/core/ids.ts'
import { streamOf, tinyFile } from '../support/safetensors.ts'
import { World } from '../support/world.ts'

const WEEKS_MS = 15 * 24 * 3600 * 1000

test('[STO-24] the base of a space that other replicas made is held, whichever came first', async () => {
  const world = new World()
  const one = await world.stand(1)
  const { model, content } = await one.replica.uploadModel(streamOf(tinyFile(1)))
  await one.replica.createSpace({ name: 'lab', base: model })
  const two = await world.stand(2, ['http://replica-1'])
  const before = await world.stand(3)
  await before.replica.uploadModel(streamOf(tinyFile(1)))
  before.replicator.name('http://replica-1')
  await world.until(
    () => [two, before].every(({ replica }) => replica.listSpaces().length === 1),
    'both know the space',
  )
  await two.replica.uploadModel(streamOf(tinyFile(1)))
  for (const { replica } of [two, before]) {
    await replica.sweep()
    replica.tick(WEEKS_MS)
    await replica.sweep()
    expect(replica.storage.models.has(model as ModelId)).toBe(true)
    expect(replica.findSpace('lab').base).toBe(content)
  }
  await one.replica.revoke('lab', content)
  await world.until(() => !two.replica.storage.models.has(model as ModelId), 'what was revoked is held no more')
})
