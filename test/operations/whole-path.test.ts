import { describe, expect, test } from 'vitest'
import { sha256Hex } from '../../src/core/digest.ts'
import { verifyInclusion, leafHash } from '../../src/core/merkle.ts'
import { fromHex } from '../../src/core/bytes.ts'
import { parseReceipt, printReceipt } from '../../src/core/receipt.ts'
import { utf8 } from '../../src/core/bytes.ts'
import { parseHeader } from '../../src/tensors/safetensors.ts'
import { aReplica } from '../support/replica.ts'
import { collect, safetensors, streamOf, tensorBytes, tinyFile, tinyModel } from '../support/safetensors.ts'

const RECIPE = { strategy: 'weight_average' }

describe('the whole path', () => {
  test('[SVC-1] upload, contribute, merge, download: the mean of two models, with a receipt that names it', async () => {
    const replica = await aReplica()
    const space = await replica.createSpace({ name: 'lab' })
    for (const seed of [1, 2]) {
      const { model } = await replica.uploadModel(streamOf(tinyFile(seed)))
      await replica.contribute('lab', { model, name: `model-${seed}` })
    }
    expect(replica.findSpace('lab').contributions).toBe(2)
    expect(replica.findSpace('lab').root).not.toBe(space.root)

    const { merge, created } = await replica.startMerge('lab', RECIPE)
    expect(created).toBe(true)
    await replica.idle()
    expect(replica.faults).toEqual([])
    const done = replica.findMerge('lab', merge.id)
    expect(done).toMatchObject({ state: 'done', bytes_done: (12 + 5) * 4 })

    const file = await replica.readOutput('lab', merge.id)
    const bytes = await collect(file.read(0, file.bytes))
    const [one, two] = [tinyModel(1), tinyModel(2)]
    const mean = one.map((tensor, t) => ({
      ...tensor,
      values: Array.from(tensor.values, (x, i) => Math.fround((x + two[t]!.values[i]!) / 2)),
    }))
    expect(parseHeader(bytes).tensors.map(({ name }) => name)).toEqual(['a.weight', 'b.bias'])
    expect(bytes).toEqual(safetensors(mean))
    expect(file.sha256).toBe(sha256Hex(bytes))

    const receipt = replica.findReceipt('lab', merge.id)
    expect(parseReceipt(utf8(printReceipt(receipt)))).toEqual(receipt)
    expect(receipt.statement.output.content).toBe(done.content)
    expect(receipt.about).toMatchObject({ signed: true, space: space.id, root: replica.findSpace('lab').root })
    for (const { id, index, path } of receipt.about.contributions!)
      expect(verifyInclusion(leafHash(fromHex(id)), index, 2, path.map(fromHex), fromHex(receipt.about.root!))).toBe(
        true,
      )
  })

  test('[SVC-2] a merge that was done is not done again', async () => {
    const replica = await aReplica()
    await replica.createSpace({ name: 'lab' })
    const { model } = await replica.uploadModel(streamOf(tinyFile(1)))
    await replica.contribute('lab', { model, name: 'one' })
    const first = await replica.startMerge('lab', RECIPE)
    await replica.idle()
    const again = await replica.startMerge('lab', { strategy: { id: 'weight_average', params: {} }, seed: 'inputs' })
    expect(again.created).toBe(false)
    expect(again.merge.id).toBe(first.merge.id)
    expect(again.merge.state).toBe('done')
  })

  test('[SVC-3] a model is given back byte for byte, in any cut', async () => {
    const replica = await aReplica()
    const bytes = safetensors([...tinyModel(3)].reverse(), [['note', 'kept']])
    const { model } = await replica.uploadModel(streamOf(bytes, 7))
    const file = await replica.readModelFile(model, 'model.safetensors')
    expect(file.bytes).toBe(bytes.length)
    expect(await collect(file.read(0, bytes.length))).toEqual(bytes)
    for (const [start, end] of [
      [0, 1],
      [5, 30],
      [bytes.length - 3, bytes.length],
      [9, 9],
    ] as const)
      expect(await collect(file.read(start, end))).toEqual(bytes.slice(start, end))
  })

  test('[SVC-4] directories travel through resumable uploads, config and all', async () => {
    const replica = await aReplica()
    const weights = tinyFile(4)
    const config = utf8('{"model_type":"tiny"}')
    const { id } = await replica.startUpload([
      { path: 'model.safetensors', bytes: weights.length, sha256: sha256Hex(weights) },
      { path: 'config.json', bytes: config.length },
    ])
    expect(await replica.writeUpload(id, 'model.safetensors', 0, streamOf(weights.subarray(0, 100)))).toBe(100)
    expect(replica.findUpload(id).files.find(({ path }) => path === 'model.safetensors')?.offset).toBe(100)
    await expect(replica.writeUpload(id, 'model.safetensors', 0, streamOf(weights))).rejects.toMatchObject({
      code: 'UPLOAD_OFFSET_MISMATCH',
    })
    await expect(replica.finishUpload(id)).rejects.toMatchObject({ code: 'UPLOAD_INCOMPLETE' })
    await replica.writeUpload(id, 'model.safetensors', 100, streamOf(weights.subarray(100)))
    await replica.writeUpload(id, 'config.json', 0, streamOf(config))
    const added = await replica.finishUpload(id)
    expect(await replica.finishUpload(id)).toMatchObject({ model: added.model, created: false })
    expect(await collect((await replica.readModelFile(added.model, 'config.json')).read(0, config.length))).toEqual(
      config,
    )
    const single = await replica.uploadModel(streamOf(weights))
    expect(single.content).toBe(added.content)
    expect(single.model).not.toBe(added.model)
  })

  test('[SVC-5] integer tensors pass through, and task arithmetic takes the default base of the space', async () => {
    const replica = await aReplica()
    const steps = { name: 'steps', dtype: 'I64', shape: [1], values: [7, 0, 0, 0, 0, 0, 0, 0] } as const
    const base = await replica.uploadModel(streamOf(safetensors([...tinyModel(1), steps])))
    await replica.createSpace({ name: 'lab', base: `model:${base.model}` })
    const tuned = await replica.uploadModel(streamOf(safetensors([...tinyModel(2), steps])))
    await replica.contribute('lab', { model: tuned.model, name: 'tuned', base: base.content })
    const { merge } = await replica.startMerge('lab', {})
    await replica.idle()
    expect(replica.faults).toEqual([])
    const receipt = replica.findReceipt('lab', merge.id)
    expect(receipt.statement).toMatchObject({ base: base.content, recipe: { strategy: 'task_arithmetic' } })
    const file = await replica.readOutput('lab', merge.id)
    const bytes = await collect(file.read(0, file.bytes))
    expect(bytes.slice(-8 - 17 * 4).length).toBe(76)
    expect(Buffer.from(bytes).includes(Buffer.from(tensorBytes(steps)))).toBe(true)
    expect(receipt.statement.output.content).toBe(tuned.content) // one contribution at weight 1: b + (x − b), exact here
  })
})
