/** What a second merge reads, counted: of ten contributions that share eight tensors of ten, the two that changed. */
import { expect, test } from 'vitest'
import { nodeTileFiles } from '../../src/storage/fs/node-tile-files.ts'
import type { TileFiles } from '../../src/storage/tile-files.ts'
import { aReplica } from '../support/replica.ts'
import { safetensors, streamOf } from '../support/safetensors.ts'

const CONTRIBUTIONS = 10
const TENSORS = 10
const FROZEN = 8
const ELEMENTS = 1000

const tensor = (t: number, seed: number) => ({
  name: `layer.${t}`,
  shape: [ELEMENTS],
  values: Array.from({ length: ELEMENTS }, (_, i) => ((i * 31 + t * 7 + seed * 13) % 101) / 50 - 1),
})
/** The first eight tensors are those of the base, whatever the round. */
const model = (contribution: number, round: number) =>
  safetensors(
    Array.from({ length: TENSORS }, (_, t) => tensor(t, t < FROZEN ? 0 : 1 + contribution + round * CONTRIBUTIONS)),
  )

function countingFiles() {
  const count = { read: 0, written: 0 }
  const files: TileFiles = {
    openForReading(path) {
      const file = nodeTileFiles.openForReading(path)
      return {
        close: () => file.close(),
        write: (from, position) => file.write(from, position),
        read(into, position) {
          count.read += into.length
          file.read(into, position)
        },
      }
    },
    openForWriting(path) {
      const file = nodeTileFiles.openForWriting(path)
      return {
        close: () => file.close(),
        read: (into, position) => file.read(into, position),
        write(from, position) {
          count.written += from.length
          file.write(from, position)
        },
      }
    },
  }
  return { files, count }
}

test.each([
  { recipe: { strategy: 'weight_average' }, streams: CONTRIBUTIONS },
  { recipe: { strategy: 'task_arithmetic' }, streams: CONTRIBUTIONS + 1 },
])('[SVC-40] frozen tensors cost nothing: $recipe.strategy reads the changed ones alone', async (asked) => {
  const { files, count } = countingFiles()
  const replica = await aReplica({ tileFiles: files })
  const { model: base } = await replica.uploadModel(streamOf(model(0, 99)))
  await replica.createSpace({ name: 'lab', base: `model:${base}` })
  const contributeAll = async (round: number) => {
    for (let i = 0; i < CONTRIBUTIONS; i++) {
      const { model: id } = await replica.uploadModel(streamOf(model(i, round)))
      await replica.contribute('lab', { model: id, name: `model-${i}` })
    }
  }
  const costOfMerge = async () => {
    Object.assign(count, { read: 0, written: 0 })
    const { id } = (await replica.startMerge('lab', asked.recipe)).merge
    await replica.idle()
    expect(replica.findMerge('lab', id).state).toBe('done')
    return { ...count }
  }
  const tensorBytes = ELEMENTS * 4
  const costOf = (tensors: number) => ({
    read: tensors * tensorBytes * asked.streams,
    written: tensors * tensorBytes,
  })
  await contributeAll(0)
  expect(await costOfMerge()).toEqual(costOf(TENSORS))
  await contributeAll(1)
  expect(await costOfMerge()).toEqual(costOf(TENSORS - FROZEN))
})
