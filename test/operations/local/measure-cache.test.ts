import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { strategies } from '../../../merge-strategies/index.ts'
import { referenceKernels } from '../../../src/kernels/reference.ts'
import { createInlineMerger } from '../../../src/merging/inline-merger.ts'
import { nodeTileFiles } from '../../../src/storage/fs/node-tile-files.ts'
import { temporaryDirectory } from '../../support/temp-dir.ts'
import { filesBelow, localOperations, writeModels, writeRecipe } from './world.ts'

const ties = (weight: number, density: number, others: readonly string[]) => `merge_method: ties
base_model: base
models:
${['a', ...others].map((name) => `  - {model: ${name}, parameters: {weight: ${name === 'a' ? weight : 0.4}, density: ${density}}}`).join('\n')}
dtype: float32
`

/** Merges, and counts the bytes that were decoded for it. */
async function merging(directory: string, text: string, out: string, cacheDirectory?: string) {
  let read = 0
  const kernels: typeof referenceKernels = {
    ...referenceKernels,
    decode(dtype, bytes, into) {
      read += bytes.length
      return referenceKernels.decode(dtype, bytes, into)
    },
  }
  const own = createInlineMerger(nodeTileFiles, kernels, strategies)
  let before = 0
  const merger = {
    ...own,
    merge: (...given: Parameters<typeof own.merge>) => {
      before = read
      return own.merge(...given)
    },
  }
  const recipe = await writeRecipe(directory, text, `${out}.yml`)
  await localOperations({ merger, cacheDirectory }).mergeLocal({ recipe, out: join(directory, out) })
  return { read: read - before, bytes: await readFile(join(directory, out, 'model.safetensors')) }
}

test('[LOC-33] a second merge makes no selection pass over what was measured before, to the same bytes', async () => {
  const directory = await temporaryDirectory()
  const cache = join(directory, 'cache')
  await writeModels(directory)
  const cold = await merging(directory, ties(0.6, 0.5, ['b']), 'first', cache)
  const other = ties(0.9, 0.5, ['b'])
  const whole = await merging(directory, other, 'uncached')
  const warm = await merging(directory, other, 'again', cache)
  expect(warm.bytes).toEqual(whole.bytes)
  expect(whole.read).toBe(cold.read)
  expect(warm.read).toBeLessThan(whole.read / 3) // one pass of several

  const three = ties(0.9, 0.5, ['b', 'c'])
  const [wholeThree, warmThree] = [
    await merging(directory, three, 'three', undefined),
    await merging(directory, three, 'three-again', cache),
  ]
  expect(warmThree.bytes).toEqual(wholeThree.bytes)
  expect(warmThree.read).toBeLessThan(wholeThree.read)

  const sparser = ties(0.9, 0.25, ['b'])
  const [wholeSparser, coldSparser] = [
    await merging(directory, sparser, 'sparser', undefined),
    await merging(directory, sparser, 'sparser-again', cache),
  ]
  expect(coldSparser).toEqual(wholeSparser) // another fraction is another threshold
})

test('[LOC-33] values that were damaged are measured again', async () => {
  const directory = await temporaryDirectory()
  const cache = join(directory, 'cache')
  await writeModels(directory)
  const text = ties(0.6, 0.5, ['b'])
  const cold = await merging(directory, text, 'first', cache)
  const measures = [...(await filesBelow(cache)).keys()].filter((path) => path.startsWith('measures/'))
  expect(measures.length).toBeGreaterThan(0)
  for (const path of measures) await appendFile(join(cache, path), ' ')
  expect(await merging(directory, text, 'second', cache)).toEqual(cold)
})
