/** Small valid facts for tests. Ids are the SHA-256 of a word, so a test can name them. */
import { utf8 } from '../../src/core/bytes.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { Digest, SpaceId } from '../../src/core/ids.ts'
import type { NewJob } from '../../src/storage/job-repository.ts'
import type { StoredModel } from '../../src/storage/model-repository.ts'
import type { StoredOp } from '../../src/storage/op-log.ts'

/** Whatever kind of digest the place wants. */
export const idOf = <Id extends Digest>(word: string): Id => sha256Hex(utf8(word)) as Id
export const spaceOf = (word: string): SpaceId => sha256Hex(utf8(word)).slice(0, 32) as SpaceId

export const anOp = (op: Partial<StoredOp> = {}): StoredOp => ({
  id: idOf('op'),
  space: spaceOf('space'),
  g: 0,
  rid: idOf('replica'),
  ep: 0,
  seq: 0,
  t: 'add',
  hlc: 1_000,
  bytes: utf8('{"v":1}'),
  signature: new Uint8Array(64).fill(7),
  ...op,
})

export const aModel = (model: Partial<StoredModel> = {}): StoredModel => ({
  id: idOf('model'),
  content: idOf('content'),
  manifest: utf8('{"v":1}'),
  createdAtMs: 1_000,
  ...model,
})

export const aJob = (job: Partial<NewJob> = {}): NewJob => ({
  id: idOf('merge'),
  space: spaceOf('space'),
  root: idOf('root'),
  request: '{"v":1}',
  bytesTotal: 100,
  createdAtMs: 1_000,
  ...job,
})
