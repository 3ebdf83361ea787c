/** Faults of the files that a merge reads and writes by itself, beside the storage port. */
import { expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import { nodeTileFiles } from '../../src/storage/fs/node-tile-files.ts'
import type { TileFile, TileFiles } from '../../src/storage/tile-files.ts'
import { aReplica } from '../support/replica.ts'
import { streamOf, tinyFile } from '../support/safetensors.ts'

type Code = 'STORAGE_FAILED' | 'DISK_FULL'

/** Fails the n-th open, read or write from when it was planned. */
function faultyTileFiles(inner: TileFiles) {
  let left = 0
  let code: Code = 'STORAGE_FAILED'
  const count = (call: string, torn: () => void = () => undefined): void => {
    left -= 1
    if (left !== 0) return
    torn()
    throw new TributaryError(code, `planned: ${call}`)
  }
  const guard = (file: TileFile): TileFile => ({
    read(into, position) {
      count('read')
      file.read(into, position)
    },
    write(from, position) {
      count('write', () => file.write(from.subarray(0, from.length >> 1), position))
      file.write(from, position)
    },
    close: () => file.close(),
  })
  const files: TileFiles = {
    openForReading(path) {
      count('open')
      return guard(inner.openForReading(path))
    },
    openForWriting(path) {
      count('open')
      return guard(inner.openForWriting(path))
    },
  }
  return {
    files,
    plan(at: number, failure: Code): void {
      left = at
      code = failure
    },
    get hasFailed() {
      return left <= 0
    },
  }
}

test('[FLT-8] whichever call of a worker fails, the merge says why, and is done when it is asked for again', async () => {
  const faults = faultyTileFiles(nodeTileFiles)
  const replica = await aReplica({ tileFiles: faults.files })
  await replica.createSpace({ name: 'lab' })
  for (const seed of [1, 2]) {
    const { model } = await replica.uploadModel(streamOf(tinyFile(seed)))
    await replica.contribute('lab', { model, name: `model-${seed}` })
  }
  const merge = async () => {
    const { id } = (await replica.startMerge('lab', { strategy: 'weight_average' })).merge
    await replica.idle()
    return replica.findMerge('lab', id)
  }
  faults.plan(Infinity, 'STORAGE_FAILED')
  const normal = await merge()
  const receipt = replica.findReceipt('lab', normal.id).statement_id
  for (const code of ['STORAGE_FAILED', 'DISK_FULL'] as const)
    for (let atCall = 1; ; atCall++) {
      await replica.cancelMerge('lab', normal.id) // drops the output, so that it is computed again
      faults.plan(atCall, code)
      const tried = await merge()
      if (!faults.hasFailed) {
        expect(tried.state).toBe('done')
        expect(atCall).toBeGreaterThan(10)
        break
      }
      expect(tried).toMatchObject({ state: 'failed', error: { code } })
      const again = await merge()
      expect(again).toMatchObject({ id: normal.id, state: 'done', content: normal.content, model: normal.model })
      expect(replica.findReceipt('lab', normal.id).statement_id).toBe(receipt)
    }
  replica.tick(1e12)
  expect((await replica.sweep()).temporaries).toBe(0) // nothing was left behind
})
