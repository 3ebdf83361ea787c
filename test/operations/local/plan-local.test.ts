import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Merger } from '../../../src/merging/merger.ts'
import { floats, numbers, sampleTensors, writeCheckpoint } from '../../support/checkpoints.ts'
import { temporaryDirectory } from '../../support/temp-dir.ts'
import { AVERAGE, inlineMerger, localOperations, TIES, writeModels, writeRecipe } from './world.ts'

const unread: Merger = {
  resources: { workers: 1 },
  merge: () => Promise.reject(new Error('a plan merges nothing')),
  digest: () => Promise.reject(new Error('a plan reads no tensor')),
  close: () => Promise.resolve(),
}

const world = async () => {
  const directory = await temporaryDirectory()
  await writeModels(directory)
  return directory
}

test('[PLN-1] a plan reads headers alone, writes nothing, and tells bytes, memory and passes', async () => {
  const directory = await world()
  const recipe = await writeRecipe(directory, TIES)
  const before = await readdir(directory)
  const plan = await localOperations({ merger: unread }).planLocal(recipe)
  expect(await readdir(directory)).toEqual(before)
  expect(plan).toMatchObject({
    strategy: 'ties',
    tensors: { total: 6, merged: 4, copied: 2 },
    output: { dtypes: ['BF16', 'I64'], shards: 1 },
    problems: [],
  })
  const merge = await localOperations().mergeLocal({ recipe, out: join(directory, 'out') })
  expect(plan.output.bytes).toBeGreaterThan(merge.bytes)
  expect(plan.bytes_written).toBe(plan.output.bytes)
  expect(plan.passes).toBeGreaterThan(1)
  expect(plan.bytes_read).toBeGreaterThan(3 * merge.bytes * plan.passes)
  expect(plan.peak_memory_bytes).toBeGreaterThan(4 * 1024 * 1024)
  expect(plan.text).toContain('ties over 2 inputs and a base')
})

test('[PLN-2] the merge id is told where every input is in the cache, and it is the one the merge gets', async () => {
  const directory = await world()
  const recipe = await writeRecipe(directory, AVERAGE)
  const parts = { cacheDirectory: join(directory, 'cache'), now: () => new Date(Date.now() + 60_000) }
  expect(await localOperations({ ...parts, merger: unread }).planLocal(recipe)).not.toHaveProperty('merge_id')
  const merge = await localOperations(parts).mergeLocal({ recipe, out: join(directory, 'out') })
  const plan = await localOperations({ ...parts, merger: unread }).planLocal(recipe)
  expect(plan.inputs.every(({ content }) => content !== undefined)).toBe(true)
  expect(plan.merge_id).toBe(merge.id)
})

test('[PLN-3] inputs that do not fit are shown tensor by tensor, and the refusal is told, not thrown', async () => {
  const directory = await world()
  const [, ...rest] = sampleTensors(9)
  const wide = floats('model.embed.weight', 'F32', [301, 129], numbers(1))
  await writeCheckpoint(join(directory, 'c'), [wide, ...rest], {
    files: { 'README.md': '---\nlicense: llama3\n---\n' },
  })
  const recipe = await writeRecipe(directory, AVERAGE)
  const plan = await localOperations({ merger: unread }).planLocal(recipe)
  expect(plan.problems).toMatchObject([{ code: 'SHAPE_MISMATCH' }])
  expect(plan.inputs.find(({ ref }) => ref === 'c')).toMatchObject({
    license: 'llama3',
    differing: [{ tensor: 'model.embed.weight', has: 'F32 [301, 129]', wanted: 'BF16 [300, 129]' }],
  })
  expect(plan.text).toContain('SHAPE_MISMATCH')
})

test('[PLN-4] what a strategy refuses, the plan refuses', async () => {
  const directory = await world()
  const recipe = await writeRecipe(directory, 'tributary: 1\nstrategy: linear\nweights: [[a, 1], [b, -1]]\n')
  const plan = await localOperations({ merger: unread }).planLocal(recipe)
  expect(plan.problems).toMatchObject([{ code: 'WEIGHTS_SUM_ZERO' }])
})

test('[LOC-15] inspecting shows tensors, dtypes, bytes and metadata, of a directory or one file', async () => {
  const directory = await world()
  const local = localOperations({ merger: unread })
  const whole = await local.inspectPath(join(directory, 'a'))
  expect(whole.tensors.map(({ name }) => name)).toEqual(
    sampleTensors(2)
      .map(({ name }) => name)
      .sort(),
  )
  expect(whole.dtypes.map(({ dtype }) => dtype)).toEqual(['BF16', 'I64'])
  expect(whole.files).toMatchObject([{ path: 'model.safetensors', metadata: [['format', 'pt']] }])
  const file = await local.inspectPath(join(directory, 'a', 'model.safetensors'))
  expect(file.tensors).toEqual(whole.tensors)
})

test('[LOC-16] a digest names content whatever the layout, and counts what no merge could take', async () => {
  const directory = await world()
  const local = localOperations({ merger: inlineMerger() })
  const plain = await local.digestPath(join(directory, 'a'))
  const sharded = await writeCheckpoint(join(directory, 'shards'), [...sampleTensors(2)].reverse(), { perShard: 1 })
  const again = await local.digestPath(sharded)
  expect(again.content).toBe(plain.content)
  expect(again.model).not.toBe(plain.model)
  const [first, ...rest] = sampleTensors(2)
  const bytes = first!.bytes.slice()
  bytes.set([0xc0, 0x7f, 0x80, 0xff], 6)
  const nan = await local.digestPath(await writeCheckpoint(join(directory, 'nan'), [{ ...first!, bytes }, ...rest]))
  expect(nan.not_finite).toEqual([{ tensor: 'model.embed.weight', count: 2 }])
})

test('[MRG-21] a plan that no budget keeps says so, and the merge is refused before a byte is hashed', async () => {
  const directory = await world()
  const recipe = await writeRecipe(directory, AVERAGE)
  const small: Merger = { ...unread, resources: { workers: 2, memoryBytes: 2 ** 20 } }
  const operations = localOperations({ merger: small })
  const { problems } = await operations.planLocal(recipe)
  expect(problems).toMatchObject([
    { code: 'MEMORY_BUDGET_TOO_SMALL', hint: expect.stringMatching(/^allow \d+MiB$/) as string },
  ])
  const out = join(directory, 'out')
  await expect(operations.mergeLocal({ recipe, out })).rejects.toMatchObject({ code: 'MEMORY_BUDGET_TOO_SMALL' })
  expect(await localOperations({ merger: { ...unread, resources: { workers: 2 } } }).planLocal(recipe)).toMatchObject({
    workers: 2,
    problems: [],
  })
})
