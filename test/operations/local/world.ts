/** Local operations on the machine's own disk, without a thread, and a few checkpoints to work on. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { strategies } from '../../../merge-strategies/index.ts'
import { sha256Hex } from '../../../src/core/digest.ts'
import { referenceKernels } from '../../../src/kernels/reference.ts'
import { createInlineMerger } from '../../../src/merging/inline-merger.ts'
import type { Merger } from '../../../src/merging/merger.ts'
import { createLocalOperations, type LocalParts } from '../../../src/operations/local/create-local-operations.ts'
import { createNodeFileSystem } from '../../../src/storage/fs/node-file-system.ts'
import { nodeTileFiles } from '../../../src/storage/fs/node-tile-files.ts'
import { sampleTensors, writeCheckpoint } from '../../support/checkpoints.ts'

export const inlineMerger = (): Merger => createInlineMerger(nodeTileFiles, referenceKernels, strategies)

export const localOperations = (parts: Partial<LocalParts> = {}) =>
  createLocalOperations({
    merger: inlineMerger(),
    files: createNodeFileSystem(),
    strategies,
    version: '0.0.0-test',
    ...parts,
  })

/** base, a, b and c below the directory. */
export async function writeModels(directory: string): Promise<void> {
  await writeCheckpoint(join(directory, 'base'), sampleTensors(1))
  await writeCheckpoint(join(directory, 'a'), sampleTensors(2))
  await writeCheckpoint(join(directory, 'b'), sampleTensors(3))
  await writeCheckpoint(join(directory, 'c'), sampleTensors(4))
}

export async function writeRecipe(directory: string, text: string, name = 'recipe.yml'): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, text)
  return path
}

export const AVERAGE = `tributary: 1
strategy: weight_average
select:
  contributions: [a, b, c]
weights:
  - [a, 0.5]
  - [b, 0.3]
  - [c, 0.2]
`

export const TIES = `merge_method: ties
base_model: base
models:
  - model: a
    parameters: {weight: 0.6, density: 0.5}
  - model: b
    parameters: {weight: 0.4, density: 0.5}
dtype: bfloat16
`

/** SHA-256 of every file below, by path. */
export async function filesBelow(directory: string, prefix = ''): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const entry of await readdir(join(directory, prefix), { withFileTypes: true })) {
    const path = prefix + entry.name
    if (entry.isDirectory()) for (const [name, sha] of await filesBelow(directory, `${path}/`)) found.set(name, sha)
    else found.set(path, sha256Hex(await readFile(join(directory, path))))
  }
  return found
}
