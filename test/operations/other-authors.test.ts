/** Spaces with ops of other authors, as they will arrive from peers: conflicts, names held twice, authority, missing bytes. */
import { expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { createInlineMerger } from '../../src/merging/inline-merger.ts'
import type { Merger } from '../../src/merging/merger.ts'
import type { ModelAdded } from '../../src/operations/operations.ts'
import { storedOp } from '../../src/operations/space-book.ts'
import { nodeTileFiles } from '../../src/storage/fs/node-tile-files.ts'
import { aReplica, type TestReplica } from '../support/replica.ts'
import { type ASpace, asSent, aSpace, aWriter } from '../support/ops.ts'
import { streamOf, tinyFile } from '../support/safetensors.ts'

function adopt({ storage }: TestReplica, space: ASpace, ops: readonly Parameters<typeof asSent>[0][] = []): void {
  const { id, init } = space
  for (const op of [init, ...ops]) storage.ops.append(storedOp(asSent(op), id))
  storage.spaces.add({ id, name: init.record.name, init: init.id, adoptedAtMs: 1 })
}

const failure = (work: () => unknown): unknown => {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}

test('[SVC-18] two adds that did not see each other are a conflict; a reference to the slot names both, and the next settles it', async () => {
  const replica = await aReplica()
  const space = aSpace({ name: 'lab' })
  const [one, two] = [aWriter(1), aWriter(2)]
  adopt(replica, space, [one.add(space, { content: 'x' }), two.add(space, { content: 'y' })])
  expect(replica.findSpace('lab')).toMatchObject({ contributions: 2, conflicts: ['slot'] })
  const ids = replica.listContributions('lab').map(({ id }) => id)
  const recipe = { strategy: 'task_arithmetic', base: 'lab/slot' }
  await expect(replica.startMerge('lab', recipe)).rejects.toMatchObject({ code: 'SLOT_CONFLICT', details: { ids } })

  const { model } = await replica.uploadModel(streamOf(tinyFile(1)))
  const settled = await replica.contribute('lab', { model, name: 'slot' })
  expect(replica.listContributions('lab')).toMatchObject([{ id: settled.id, conflict: false }])
})

test('[SVC-19] a name that two spaces have is ambiguous; their ids are answered, and work', async () => {
  const replica = await aReplica()
  const spaces = ['one', 'two'].map((nonce) => aSpace({ name: 'lab', nonce }))
  for (const space of spaces) adopt(replica, space)
  const ids = spaces.map(({ id }) => id as string).sort()
  expect(failure(() => replica.findSpace('lab'))).toMatchObject({ code: 'SPACE_NAME_AMBIGUOUS', details: { ids } })
  for (const id of ids) expect(replica.findSpace(id).id).toBe(id)
  await expect(replica.createSpace({ name: 'lab' })).rejects.toMatchObject({ code: 'SPACE_NAME_TAKEN' })
})

test('[SVC-20] a call whose op would not count is refused, and writes none', async () => {
  const replica = await aReplica()
  const admin = aWriter(1)
  const space = aSpace({ name: 'lab', access: 'members', creator: admin })
  adopt(replica, space, [admin.add(space, { content: 'x' })])
  const { model, content } = await replica.uploadModel(streamOf(tinyFile(1)))
  const before = replica.findSpace('lab')
  const [visible] = replica.listContributions('lab')
  const notAllowed = expect.objectContaining({ code: 'NOT_ALLOWED' })
  await expect(replica.contribute('lab', { model, name: 'mine' })).rejects.toEqual(notAllowed)
  await expect(replica.retract('lab', visible!.id)).rejects.toEqual(notAllowed)
  await expect(replica.revoke('lab', content)).rejects.toEqual(notAllowed)
  expect(replica.findSpace('lab')).toEqual(before)
})

test('[SVC-21] a merge whose bytes are not here is blocked and says which; a manifest that decides the inputs is asked for', async () => {
  const replica = await aReplica()
  const space = aSpace({ name: 'lab' })
  adopt(replica, space, [aWriter(1).add(space, { content: 'x' })])
  const [{ model } = { model: '' }] = replica.listContributions('lab')
  await expect(replica.startMerge('lab', { strategy: 'weight_average' })).rejects.toMatchObject({
    code: 'MANIFEST_MISSING',
    details: { models: [model] },
  })
  const mine = await replica.uploadModel(streamOf(tinyFile(1)))
  await replica.contribute('lab', { model: mine.model, name: 'mine' })
  const { merge } = await replica.startMerge('lab', {
    strategy: 'weight_average',
    out: { files_from: `model:${mine.model}` },
  })
  expect(merge).toMatchObject({ state: 'blocked', missing: [model] })
  await replica.idle()
  expect(replica.findMerge('lab', merge.id).state).toBe('blocked')
})

test('[SVC-22] a space of rules that this replica does not know answers RULES_UNKNOWN instead of a root', async () => {
  const replica = await aReplica()
  adopt(replica, aSpace({ name: 'later', rules: 2 }))
  expect(failure(() => replica.findSpace('later'))).toMatchObject({ code: 'RULES_UNKNOWN' })
  await replica.createSpace({ name: 'lab' })
  expect(replica.listSpaces().map(({ name }) => name)).toEqual(['lab'])
})

test('[SVC-23] content that is revoked while a merge of it waits or runs is not merged', async () => {
  let open = (): void => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  const inner = createInlineMerger(nodeTileFiles, referenceKernels, strategies)
  const merger: Merger = {
    ...inner,
    async merge(task, watch) {
      await gate
      return inner.merge(task, watch)
    },
  }
  const replica = await aReplica({ merger })
  await replica.createSpace({ name: 'lab' })
  const added: ModelAdded[] = []
  for (const seed of [1, 2]) {
    const model = await replica.uploadModel(streamOf(tinyFile(seed)))
    await replica.contribute('lab', { model: model.model, name: `model-${seed}` })
    added.push(model)
  }
  const ids = []
  for (const strategy of ['weight_average', 'slerp']) ids.push((await replica.startMerge('lab', { strategy })).merge.id)
  await replica.revoke('lab', added[0]!.content)
  open()
  await replica.idle()
  for (const id of ids)
    expect(replica.findMerge('lab', id)).toMatchObject({ state: 'failed', error: { code: 'CONTENT_REVOKED' } })
  await replica.sweep()
  expect(failure(() => replica.findModel(added[0]!.model))).toMatchObject({ code: 'MODEL_NOT_FOUND' })
})
