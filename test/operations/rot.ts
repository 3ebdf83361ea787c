/** Stored bytes that rot, and the pass that finds them. */
import { readFile, writeFile } from 'node:fs/promises'
import type { ModelId } from '../../src/core/ids.ts'
import type { BlobName } from '../../src/storage/blob-store.ts'
import { streamOf } from '../support/safetensors.ts'
import type { TestReplica } from '../support/replica.ts'

export const WEEK_MS = 7 * 24 * 3600 * 1000
export const AVERAGE = { strategy: 'weight_average' }

/** A pass over everything, at once. */
export async function scrub(replica: TestReplica): Promise<void> {
  const about = { pace: async () => undefined, signal: new AbortController().signal }
  await replica.scrub(about) // the first only notes that a week begins
  replica.tick(WEEK_MS + 1)
  await replica.scrub(about)
}

export const tensorsOf = ({ storage }: TestReplica, model: string): BlobName[] =>
  storage.models.blobs(model as ModelId).filter(({ kind }) => kind === 'tensor')

/** Flips one bit. */
export async function rot({ storage }: TestReplica, name: BlobName, at = 0): Promise<void> {
  const path = storage.blobs.locate(name)
  const bytes = await readFile(path)
  bytes[at]! ^= 1
  await writeFile(path, bytes)
}

export async function upload(replica: TestReplica, bytes: Uint8Array, name: string): Promise<string> {
  const { model } = await replica.uploadModel(streamOf(bytes))
  await replica.contribute('lab', { model, name })
  return model
}
