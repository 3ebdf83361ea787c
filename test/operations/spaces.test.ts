import { describe, expect, test } from 'vitest'
import { aReplica } from '../support/replica.ts'
import { safetensors, streamOf, tinyFile, tinyModel } from '../support/safetensors.ts'

const withTwo = async () => {
  const replica = await aReplica()
  await replica.createSpace({ name: 'lab' })
  const models = []
  for (const seed of [1, 2]) {
    const added = await replica.uploadModel(streamOf(tinyFile(seed)))
    models.push(added)
  }
  return { replica, one: models[0]!, two: models[1]! }
}

describe('spaces and slots', () => {
  test('[SVC-10] a name that is taken is refused with the id that has it; an id-like or reserved name is no name', async () => {
    const replica = await aReplica()
    const { id } = await replica.createSpace({ name: 'lab' })
    await expect(replica.createSpace({ name: 'lab' })).rejects.toMatchObject({
      code: 'SPACE_NAME_TAKEN',
      details: { ids: [id] },
    })
    for (const name of ['', '../x', 'a..b', 'healthz', 'f'.repeat(64)])
      await expect(replica.createSpace({ name })).rejects.toMatchObject({ code: 'NAME_INVALID' })
    expect(() => replica.findSpace('nowhere')).toThrow(expect.objectContaining({ code: 'SPACE_NOT_FOUND' }))
    expect(replica.findSpace(id).name).toBe('lab')
  })

  test('[SVC-11] a new contribution to a slot takes the place of the old one', async () => {
    const { replica, one, two } = await withTwo()
    const first = await replica.contribute('lab', { model: one.model, name: 'slot' })
    const second = await replica.contribute('lab', { model: two.model, name: 'slot' })
    expect(replica.listContributions('lab').map(({ id }) => id)).toEqual([second.id])
    expect(() => replica.findContribution('lab', first.id)).toThrow(
      expect.objectContaining({ code: 'CONTRIBUTION_NOT_FOUND' }),
    )
  })

  test('[SVC-12] a retracted contribution is gone, may come back, and its root goes and returns with it', async () => {
    const { replica, one } = await withTwo()
    const empty = replica.findSpace('lab').root
    const { id, root } = await replica.contribute('lab', { model: one.model, name: 'slot' })
    expect((await replica.retract('lab', id)).root).toBe(empty)
    const again = await replica.contribute('lab', { model: one.model, name: 'slot' })
    expect(again).toMatchObject({ id, root, created: true })
  })

  test('[SVC-13] revoked content leaves the space and the disk for ever, and is refused from then on', async () => {
    const { replica, one, two } = await withTwo()
    await replica.contribute('lab', { model: one.model, name: 'one' })
    await replica.contribute('lab', { model: two.model, name: 'two' })
    const space = await replica.revoke('lab', one.content, 'licence')
    expect(space).toMatchObject({ contributions: 1, revoked: [{ content: one.content, reason: 'licence' }] })
    expect(() => replica.findModel(one.model)).toThrow(expect.objectContaining({ code: 'MODEL_NOT_FOUND' }))
    const again = await replica.uploadModel(streamOf(tinyFile(1)))
    await expect(replica.contribute('lab', { model: again.model, name: 'one' })).rejects.toMatchObject({
      code: 'CONTENT_REVOKED',
    })
    expect(await replica.revoke('lab', one.content)).toEqual(space)
  })

  test('[SVC-14] what a space shows survives a restart', async () => {
    const { replica, one } = await withTwo()
    await replica.contribute('lab', {
      model: one.model,
      name: 'slot',
      tags: ['b', 'a'],
      samples: 3,
      license: 'apache-2.0',
    })
    const before = [replica.listSpaces(), replica.listContributions('lab')]
    const storage = await (replica.storage as unknown as { reopen(): Promise<never> }).reopen()
    const after = await aReplica({ storage })
    expect([after.listSpaces(), after.listContributions('lab')]).toEqual(before)
    expect(after.identity().epoch).toBe(1) // the stop was not a clean one
    await after.contribute('lab', { model: one.model, name: 'again' })
    expect(after.findSpace('lab').contributions).toBe(2)
  })
})

describe('bad input', () => {
  test('[SVC-15] is refused by name and leaves no trace', async () => {
    const { replica, one } = await withTwo()
    const before = [await replica.figures(), replica.findSpace('lab')]
    const whole = tinyFile(9)
    const nan = safetensors([{ name: 'a', shape: [3], values: [1, 2, 3] }])
    new DataView(nan.buffer).setFloat32(nan.length - 4, NaN, true)
    const cases: readonly (readonly [() => Promise<unknown>, string])[] = [
      [() => replica.uploadModel(streamOf(whole.subarray(0, whole.length - 3))), 'SAFETENSORS_TRUNCATED'],
      [() => replica.uploadModel(streamOf(whole.subarray(0, 20))), 'SAFETENSORS_TRUNCATED'],
      [() => replica.uploadModel(streamOf(new Uint8Array(0))), 'SAFETENSORS_TRUNCATED'],
      [() => replica.uploadModel(streamOf(Buffer.concat([whole, Buffer.of(1)]))), 'SAFETENSORS_TRAILING_BYTES'],
      [() => replica.uploadModel(streamOf(nan)), 'TENSOR_NOT_FINITE'],
      [
        () => replica.uploadModel(streamOf(Buffer.from('\x80\x04\x95pickled data here'.padEnd(64), 'latin1'))),
        'PICKLE_REFUSED',
      ],
      [() => replica.contribute('lab', { model: '0'.repeat(64), name: 'x' }), 'MODEL_NOT_FOUND'],
      [() => replica.contribute('nowhere', { model: one.model, name: 'x' }), 'SPACE_NOT_FOUND'],
      [() => replica.contribute('lab', { model: one.model, name: '../x' }), 'NAME_INVALID'],
      [() => replica.contribute('lab', { model: one.model, name: 'x', weight: 'heavy' }), 'DECIMAL_INVALID'],
      [() => replica.startMerge('lab', { strategy: 'weight_avrage' }), 'STRATEGY_NOT_FOUND'],
      [() => replica.startMerge('lab', { strategy: 'weight_average' }), 'NOTHING_SELECTED'],
      [() => replica.startMerge('lab', { strateggy: 'x' }), 'RECIPE_INVALID'],
      [() => replica.startMerge('lab', { base: './here' }), 'REFERENCE_NOT_ALLOWED'],
    ]
    for (const [attempt, code] of cases) await expect(attempt(), code).rejects.toMatchObject({ code })
    expect([await replica.figures(), replica.findSpace('lab')].map((x) => ({ ...x, free_bytes: 0 }))).toEqual(
      before.map((x) => ({ ...x, free_bytes: 0 })),
    )
    const names = []
    for await (const { name } of replica.storage.blobs.list()) names.push(name.digest)
    expect(names.length).toBe(2 * 2 + 1) // two tensors each, and the header they share
    expect(await replica.storage.blobs.sweepTemporary(-1e15, 0)).toBe(0)
  })

  test('[SVC-16] shapes that differ, a missing base and bad parameters are refused before a job exists', async () => {
    const { replica, one } = await withTwo()
    const wide = await replica.uploadModel(
      streamOf(safetensors([{ ...tinyModel(1)[0]!, shape: [3, 4] }, tinyModel(1)[1]!])),
    )
    await replica.contribute('lab', { model: one.model, name: 'one' })
    await replica.contribute('lab', { model: wide.model, name: 'wide' })
    await expect(replica.startMerge('lab', { strategy: 'weight_average' })).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
    })
    await expect(replica.startMerge('lab', { strategy: 'ties' })).rejects.toMatchObject({ code: 'BASE_REQUIRED' })
    await expect(
      replica.startMerge('lab', {
        strategy: { id: 'ties', params: { density: 2 } },
        base: `model:${one.model}`,
        mismatch: 'exclude',
      }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/STRATEGY_PARAMS_INVALID|NOTHING_SELECTED|RECIPE_INVALID/) })
    expect(replica.listMerges('lab').items).toEqual([])
  })
})

test('[SVC-17] what would take the last free bytes is refused before it is read, and reads go on', async () => {
  const roomy = await aReplica()
  await roomy.createSpace({ name: 'lab' })
  const { model } = await roomy.uploadModel(streamOf(tinyFile(1)))
  await roomy.contribute('lab', { model, name: 'one' })
  await roomy.idle()
  const full = await aReplica({ storage: roomy.storage, limits: { freeBytesMin: Number.MAX_SAFE_INTEGER } })
  const refused = expect.objectContaining({ code: 'DISK_FULL' })
  await expect(full.uploadModel(streamOf(tinyFile(2)))).rejects.toEqual(refused)
  await expect(full.startUpload([{ path: 'model.safetensors', bytes: 10 }])).rejects.toEqual(refused)
  await expect(full.startMerge('lab', { strategy: 'weight_average' })).rejects.toEqual(refused)
  expect(full.listMerges('lab').items).toEqual([])
  expect(full.findSpace('lab').contributions).toBe(1)
  expect((await full.readiness()).checks).toEqual({ bytes: 'ok', database: 'ok', disk: 'nearly full' })
})
