import { appendFile, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { sha256Hex } from '../../../src/core/digest.ts'
import { parseReceipt } from '../../../src/core/receipt.ts'
import type { Merger } from '../../../src/merging/merger.ts'
import { floats, numbers, sampleTensors, writeCheckpoint } from '../../support/checkpoints.ts'
import { temporaryDirectory } from '../../support/temp-dir.ts'
import { AVERAGE, filesBelow, inlineMerger, localOperations, TIES, writeModels, writeRecipe } from './world.ts'

let directory: string
let recipe: string
const at = (...parts: string[]) => join(directory, ...parts)
const partials = async () => (await readdir(directory)).filter((name) => name.includes('.tributary-'))

beforeAll(async () => {
  directory = await temporaryDirectory()
  await writeModels(directory)
  recipe = await writeRecipe(directory, AVERAGE)
})

describe('what is written', () => {
  test('[LOC-1] a merge writes weights, carried files, a card, a receipt and where the inputs lay', async () => {
    const merge = await localOperations().mergeLocal({ recipe, out: at('whole') })
    expect(merge.files).toEqual([
      '.tributary/sources.json',
      'README.md',
      'config.json',
      'model.safetensors',
      'receipt.json',
      'tokenizer.json',
    ])
    const files = await filesBelow(at('whole'))
    expect([...files.keys()].sort()).toEqual(merge.files)
    const { statement, about } = parseReceipt(await readFile(at('whole', 'receipt.json')))
    expect(statement.merge).toBe(merge.id)
    for (const [path, sha256] of [...statement.output.files, ...about.files!]) expect(files.get(path)).toBe(sha256)
    expect(about.files!.map(([path]) => path)).toEqual(['README.md']) // its words are no part of what was merged
    const digest = await localOperations().digestPath(at('whole'))
    expect(digest.content).toBe(merge.content)
  })

  test('[LOC-2] a second run writes every byte again, but for what the receipt says about the run', async () => {
    const times = [new Date('2020-01-01T00:00:00Z'), new Date('2021-02-03T04:05:06Z')]
    for (const [i, now] of times.entries())
      await localOperations({ now: () => now }).mergeLocal({ recipe, out: at(`run-${i}`) })
    const [first, second] = [await filesBelow(at('run-0')), await filesBelow(at('run-1'))]
    expect([...first].filter(([path, sha256]) => second.get(path) !== sha256).map(([path]) => path)).toEqual([
      'receipt.json',
    ])
    const [a, b] = [0, 1].map(async (i) => parseReceipt(await readFile(at(`run-${i}`, 'receipt.json'))))
    expect((await a)?.statement_id).toBe((await b)?.statement_id)
    expect((await a)?.about_id).not.toBe((await b)?.about_id)
  })

  test('[LOC-3] sharding, names of files, order and metadata of the inputs change neither id nor bytes', async () => {
    const one = await localOperations().mergeLocal({ recipe, out: at('plain') })
    const other = await temporaryDirectory()
    await writeCheckpoint(join(other, 'x'), [...sampleTensors(2)].reverse(), { perShard: 2 })
    await writeCheckpoint(join(other, 'y'), sampleTensors(3), { perShard: 1, metadata: [['made', 'elsewhere']] })
    await writeCheckpoint(join(other, 'z'), [...sampleTensors(4)].reverse())
    const text =
      'tributary: 1\nstrategy: weight_average\nweights: [[z, 0.2], [x, 0.5], [y, 0.3]]\nselect: {contributions: [y, z, ./x]}\n'.replaceAll(
        '[x,',
        '[./x,',
      )
    const index = 'model.safetensors.index.json'
    const again = await localOperations().mergeLocal({
      recipe: await writeRecipe(other, text),
      out: join(other, 'out'),
    })
    expect(index in again).toBe(false)
    // the first input's files are carried over, and an index is none of them
    expect(again.id).toBe(one.id)
    expect(sha256Hex(await readFile(join(other, 'out', 'model.safetensors')))).toBe(
      sha256Hex(await readFile(at('plain', 'model.safetensors'))),
    )
  })

  test('[LOC-4] an output of several shards has an index, and the content of one of a single file', async () => {
    const sharded = await writeRecipe(directory, `${AVERAGE}out: {shard_bytes: 40000}\n`, 'sharded.yml')
    const merge = await localOperations().mergeLocal({ recipe: sharded, out: at('sharded') })
    expect(merge.files.filter((path) => path.endsWith('.safetensors')).length).toBeGreaterThan(1)
    expect(merge.files).toContain('model.safetensors.index.json')
    const whole = await localOperations().mergeLocal({ recipe, out: at('single') })
    expect(merge.content).toBe(whole.content)
    expect(merge.id).not.toBe(whole.id)
  })

  test('[LOC-5] a config.json that names another dtype than the output has is put right, byte for byte elsewhere', async () => {
    const wide = await writeRecipe(directory, `${AVERAGE}out: {dtype: float32}\n`, 'wide.yml')
    await localOperations().mergeLocal({ recipe: wide, out: at('wide') })
    expect(await readFile(at('wide', 'config.json'), 'utf8')).toBe(
      '{\n  "model_type": "tiny",\n  "torch_dtype": "float32"\n}\n',
    )
  })

  test('[LOC-6] the receipt is unsigned, says so, and no path of this machine is in it', async () => {
    const text = await writeRecipe(
      directory,
      AVERAGE.replaceAll(/\b([abc])\b(?=[,\]])/g, `${directory}/$1`),
      'long.yml',
    )
    await localOperations().mergeLocal({ recipe: text, out: at('unsigned') })
    const bytes = await readFile(at('unsigned', 'receipt.json'), 'utf8')
    expect(parseReceipt(Buffer.from(bytes)).about).toMatchObject({ signed: false, signatures: [] })
    expect(bytes).not.toContain(directory)
    expect(await readFile(at('unsigned', 'README.md'), 'utf8')).not.toContain(directory)
    expect(await readFile(at('unsigned', '.tributary', 'sources.json'), 'utf8')).toContain(at('a'))
  })

  test("[LOC-7] mergekit's form merges too, and its notes are told", async () => {
    const merge = await localOperations().mergeLocal({
      recipe: await writeRecipe(directory, TIES, 'ties.yml'),
      out: at('ties'),
    })
    expect(merge.strategy).toBe('ties')
    expect(merge.base?.ref).toBe('base')
    expect(merge.warnings.join()).toContain('dtype')
  })
})

describe('where it is written', () => {
  test('[LOC-8] what is there and is no earlier output is refused, an earlier output is replaced', async () => {
    await mkdir(at('taken'))
    await writeFile(at('taken', 'thesis.txt'), 'mine')
    await writeFile(at('file'), 'mine')
    for (const out of [at('taken'), at('file'), directory, at('a')])
      await expect(localOperations().mergeLocal({ recipe, out })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
    expect(await readFile(at('taken', 'thesis.txt'), 'utf8')).toBe('mine')
    await mkdir(at('empty'))
    await localOperations().mergeLocal({ recipe, out: at('empty') })
    await writeFile(at('empty', 'left-over'), 'of the earlier output')
    await localOperations().mergeLocal({ recipe, out: at('empty') })
    expect(await readdir(at('empty'))).not.toContain('left-over')
    expect(await partials()).toEqual([])
  })

  test('[LOC-9] a merge that fails or is cancelled leaves nothing behind, and what was there stays', async () => {
    await localOperations().mergeLocal({ recipe, out: at('kept') })
    const before = await filesBelow(at('kept'))
    const failing: Merger = { ...inlineMerger(), merge: () => Promise.reject(new Error('a bug')) }
    for (const out of [at('never'), at('kept')])
      await expect(localOperations({ merger: failing }).mergeLocal({ recipe, out })).rejects.toThrow('a bug')
    const abort = new AbortController()
    const watch = {
      signal: abort.signal,
      onProgress: ({ phase }: { phase: string }) => {
        if (phase === 'merging') abort.abort()
      },
    }
    for (const out of [at('never'), at('kept')])
      await expect(localOperations().mergeLocal({ recipe, out }, watch)).rejects.toMatchObject({
        code: 'MERGE_CANCELLED',
      })
    await expect(stat(at('never'))).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await filesBelow(at('kept'))).toEqual(before)
    expect(await partials()).toEqual([])
  })

  test('[LOC-10] an input that changes while it is merged fails the merge', async () => {
    const world = await temporaryDirectory()
    await writeModels(world)
    const own = inlineMerger()
    const meddling: Merger = {
      ...own,
      async merge(task, watch) {
        await utimes(join(world, 'a', 'model.safetensors'), 1, 1)
        return own.merge(task, watch)
      },
    }
    const merging = localOperations({ merger: meddling }).mergeLocal({
      recipe: await writeRecipe(world, AVERAGE),
      out: join(world, 'out'),
    })
    await expect(merging).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(await readdir(world)).not.toContain('out')
  })

  test('[LOC-11] progress tells hashing, then merging, and ends at the total', async () => {
    const told: { phase: string; bytes_done: number; bytes_total: number }[] = []
    await localOperations().mergeLocal({ recipe, out: at('told') }, { onProgress: (progress) => told.push(progress) })
    for (const phase of ['hashing inputs', 'merging']) {
      const last = told.filter((one) => one.phase === phase).at(-1)
      expect(last?.bytes_done).toBe(last?.bytes_total)
    }
  })
})

describe('what is refused', () => {
  test.each([
    ['a model of a replica', 'weights: [[a, 1], ["model:' + 'ab'.repeat(32) + '", 1]]', 'REFERENCE_NOT_ALLOWED'],
    ['a path where nothing lies', 'weights: [[a, 1], [no/where, 1]]', 'REFERENCE_NOT_FOUND'],
    ['no model at all', 'seed: 1', 'NOTHING_SELECTED'],
    ['a directory of pickles', 'weights: [[a, 1], [pickles, 1]]', 'CHECKPOINT_EMPTY'],
    ['a pickle', 'weights: [[a, 1], [pickles/pytorch_model.bin, 1]]', 'PICKLE_REFUSED'],
    ['other shapes', 'weights: [[a, 1], [other, 1]]', 'SHAPE_MISMATCH'],
    ['NaN in an input', 'weights: [[a, 1], [nan, 1]]', 'TENSOR_NOT_FINITE'],
    ['weights that sum to zero', 'weights: [[a, 1], [b, -1]]', 'WEIGHTS_SUM_ZERO'],
    ['an output beyond its dtype', 'weights: [[a, 60000], [b, 60000]]\nout: {dtype: float16}', 'MERGE_NOT_FINITE'],
  ])('[LOC-12] %s is refused by name, with a hint, before anything is written', async (_, lines, code) => {
    const world = await temporaryDirectory()
    await writeModels(world)
    await mkdir(join(world, 'pickles'))
    await writeFile(join(world, 'pickles', 'pytorch_model.bin'), Buffer.from('8002580400000061626364712e', 'hex'))
    await writeCheckpoint(join(world, 'other'), [floats('model.embed.weight', 'BF16', [3, 3], numbers(1))])
    const [embed, ...more] = sampleTensors(9)
    const bytes = embed!.bytes.slice()
    bytes.set([0xc0, 0x7f], 2 * 140)
    await writeCheckpoint(join(world, 'nan'), [{ ...embed!, bytes }, ...more])
    const sums = lines.includes('60000') ? '{id: linear, params: {normalize: false}}' : 'linear'
    const text = `tributary: 1\nstrategy: ${sums}\n${lines}\n`
    const merging = localOperations().mergeLocal({ recipe: await writeRecipe(world, text), out: join(world, 'out') })
    await expect(merging).rejects.toMatchObject({ code, hint: expect.any(String) as string })
    const message = String(await merging.catch((error: unknown) => error))
    if (code === 'TENSOR_NOT_FINITE') expect(message).toMatch(/model\.embed\.weight of nan .* 140/)
    if (code === 'MERGE_NOT_FINITE') expect(message).toMatch(/model\.\S+.* at \[/)
    expect((await readdir(world)).filter((name) => name.includes('out'))).toEqual([])
  })
})

describe('the digest cache', () => {
  test('[LOC-13] a file that was hashed is not read again, until anything about it changes', async () => {
    const world = await temporaryDirectory()
    await writeModels(world)
    const own = inlineMerger()
    let hashed = 0
    const merger: Merger = { ...own, digest: (task, watch) => ((hashed += 1), own.digest(task, watch)) }
    const later = () => new Date(Date.now() + 60_000)
    const local = (cacheDirectory: string | undefined) => localOperations({ merger, cacheDirectory, now: later })
    const cache = join(world, 'cache')
    const first = await local(cache).digestPath(join(world, 'a'))
    expect(hashed).toBe(1)
    expect(await local(cache).digestPath(join(world, 'a'))).toEqual(first)
    expect(hashed).toBe(1)
    await local(undefined).digestPath(join(world, 'a'))
    expect(hashed).toBe(2)
    await utimes(join(world, 'a', 'model.safetensors'), 5, 5)
    expect(await local(cache).digestPath(join(world, 'a'))).toEqual(first)
    expect(hashed).toBe(3)
    for (const path of (await filesBelow(cache)).keys()) await appendFile(join(cache, path), 'rot')
    expect(await local(cache).digestPath(join(world, 'a'))).toEqual(first)
    expect(hashed).toBe(4)
    await rm(cache, { recursive: true })
  })

  test('[LOC-14] a file that has just changed is not trusted to keep its times', async () => {
    const cacheDirectory = at('young')
    await localOperations({ cacheDirectory }).digestPath(await writeCheckpoint(at('fresh'), sampleTensors(5)))
    await expect(readdir(cacheDirectory)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
