/** What a user can ask of a replica, each told so that it can be asked again after it failed; and the world they start in. */
import { utf8 } from '../../src/core/bytes.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import { type ErrorCode, TributaryError } from '../../src/core/errors.ts'
import type { Merger } from '../../src/merging/merger.ts'
import type { ModelAdded } from '../../src/operations/operations.ts'
import type { FileSystem } from '../../src/storage/file-system.ts'
import type { TestReplica } from '../support/replica.ts'
import { streamOf, tinyFile } from '../support/safetensors.ts'
import { mergerOn } from './world.ts'

export interface Verb {
  readonly name: string
  /** Does it, or what is left of it to do; answers the ids that must not depend on what went wrong before. */
  readonly act: (replica: TestReplica, memory: Memory) => Promise<unknown>
  readonly merger?: (disk: FileSystem) => Merger
}

/** What a client remembers over failures: only what was acknowledged to it. */
export interface Memory {
  space?: unknown
  upload?: string
  readonly offsets: Map<string, number>
}
export const newMemory = (): Memory => ({ offsets: new Map() })

export interface Furnished {
  readonly first: ModelAdded
  readonly second: ModelAdded
  /** In no space. */
  readonly loose: ModelAdded
  /** A merge of the first two that is done. */
  readonly merge: string
}

const RECIPE = { strategy: 'weight_average' }

/** A space with two contributions, a merge of them that is done, and a model that is in no space. */
export async function furnish(replica: TestReplica): Promise<Furnished> {
  await replica.createSpace({ name: 'lab' })
  const upload = (seed: number) => replica.uploadModel(streamOf(tinyFile(seed)))
  const [first, second, loose] = [await upload(1), await upload(2), await upload(3)]
  await replica.contribute('lab', { model: first.model, name: 'first' })
  await replica.contribute('lab', { model: second.model, name: 'second' })
  const { merge } = await replica.startMerge('lab', RECIPE)
  await replica.idle()
  return { first, second, loose, merge: merge.id }
}

const NEW = tinyFile(9)
const CONFIG = utf8('{"model_type":"tiny"}')
const UPLOADED: Readonly<Record<string, Uint8Array>> = { 'model.safetensors': tinyFile(10), 'config.json': CONFIG }

/** Every file that is ever sent, by its SHA-256. */
export const SENT: ReadonlySet<string> = new Set(
  [tinyFile(1), tinyFile(2), tinyFile(3), NEW, ...Object.values(UPLOADED)].map((bytes) => sha256Hex(bytes)),
)

const idsOf = ({ model, content }: ModelAdded) => ({ model, content })

async function uploadInPieces(replica: TestReplica, memory: Memory): Promise<unknown> {
  const announced = Object.entries(UPLOADED).map(([path, bytes]) => ({
    path,
    bytes: bytes.length,
    sha256: sha256Hex(bytes),
  }))
  const upload = (memory.upload ??= (await replica.startUpload(announced)).id)
  for (const { path, offset } of replica.findUpload(upload).files) {
    const acknowledged = memory.offsets.get(path) ?? 0
    if (offset < acknowledged) throw new Error(`${path} is at ${offset}, and ${acknowledged} was acknowledged`)
    const bytes = UPLOADED[path]!
    const half = bytes.length >> 1
    for (const [from, to] of [
      [Math.min(offset, half), half],
      [Math.max(offset, half), bytes.length],
    ] as const)
      if (from < to)
        memory.offsets.set(path, await replica.writeUpload(upload, path, from, streamOf(bytes.subarray(from, to), 40)))
  }
  return idsOf(await replica.finishUpload(upload))
}

/** To its end. A merge that failed is told as if the call had, one that still waits for its turn as MERGE_NOT_DONE. */
async function merge(replica: TestReplica, recipe: unknown): Promise<unknown> {
  const { id } = (await replica.startMerge('lab', recipe)).merge
  await replica.idle()
  const { state, content, model, error } = replica.findMerge('lab', id)
  if (state !== 'done') throw new TributaryError((error?.code ?? 'MERGE_NOT_DONE') as ErrorCode, `it is ${state}`)
  return { id, content, model, statement: replica.findReceipt('lab', id).statement_id }
}

/** Goes on until it is told to stop. */
const endless: Merger = {
  resources: { workers: 1 },
  merge: (_, watch) =>
    new Promise((_resolve, reject) => {
      const stop = () => reject(new TributaryError('MERGE_CANCELLED', 'it was stopped'))
      if (watch?.signal?.aborted === true) stop()
      watch?.signal?.addEventListener('abort', stop)
    }),
  digest: () => Promise.reject(new Error('no verb of a replica digests files')),
  close: async () => undefined,
}

/** Tells all tensors but the last, and then goes on until it is told to stop. */
function stuckAtTheLast() {
  let reach: () => void = () => undefined
  let isStuck = false
  return {
    /** Resolves when what was told has been made durable, if nothing hindered it. */
    reached: () => (isStuck ? Promise.resolve() : new Promise<void>((resolve) => (reach = resolve))),
    merger: (disk: FileSystem): Merger => ({
      ...endless,
      async merge(task, watch) {
        await mergerOn(disk).merge({ ...task, tensors: task.tensors.slice(0, -1) }, watch)
        for (let i = 0; i < 100; i++) await new Promise((resolve) => setImmediate(resolve))
        isStuck = true
        reach()
        return endless.merge(task, watch).finally(() => (isStuck = false))
      },
    }),
  }
}
const stuck = stuckAtTheLast()

export const verbsOn = ({ first, second, loose, merge: done }: Furnished): readonly Verb[] => [
  {
    name: 'making a space',
    act: async (replica, memory) =>
      (memory.space ??= (await replica.createSpace({ name: 'other', base: `model:${first.model}` })).base),
  },
  { name: 'uploading a model', act: async (replica) => idsOf(await replica.uploadModel(streamOf(NEW, 40))) },
  { name: 'uploading in pieces', act: uploadInPieces },
  {
    name: 'contributing',
    act: async (replica) => {
      const { id, root } = await replica.contribute('lab', { model: loose.model, name: 'third', weight: 0.5 })
      return { id, root }
    },
  },
  {
    name: 'replacing a contribution',
    act: async (replica) => {
      const { id, root } = await replica.contribute('lab', { model: loose.model, name: 'second' })
      return { id, root }
    },
  },
  {
    name: 'retracting',
    act: async (replica) => {
      const found = replica.listContributions('lab').find(({ name }) => name === 'second')
      return (found ? await replica.retract('lab', found.id) : replica.findSpace('lab')).root
    },
  },
  {
    name: 'revoking',
    act: async (replica) => (await replica.revoke('lab', second.content)).root,
  },
  {
    name: 'merging',
    act: (replica) => merge(replica, { strategy: 'task_arithmetic', base: `model:${loose.model}` }),
  },
  {
    name: 'dropping an output',
    act: async (replica) => {
      const kept = replica.listMerges('lab').items.some(({ id }) => id === done)
      if (kept) await replica.cancelMerge('lab', done)
      return replica.findReceipt('lab', done).statement_id
    },
  },
  {
    name: 'cancelling a merge',
    merger: () => endless,
    act: async (replica) => {
      const { id } = (await replica.startMerge('lab', { ...RECIPE, weights: [['lab/first', 3]] })).merge
      await replica.cancelMerge('lab', id)
      await replica.idle()
      return { id, state: replica.findMerge('lab', id).state }
    },
  },
  {
    name: 'cancelling a merge half done',
    merger: stuck.merger,
    act: async (replica) => {
      const reached = stuck.reached()
      const { id } = (await replica.startMerge('lab', { ...RECIPE, weights: [['lab/first', 5]] })).merge
      await Promise.race([reached, replica.idle()])
      await replica.cancelMerge('lab', id)
      await replica.idle()
      return { id, state: replica.findMerge('lab', id).state }
    },
  },
  {
    name: 'sweeping',
    act: async (replica) => {
      await replica.sweep()
      replica.tick(1e12)
      await replica.sweep()
      return replica.storage.models.find(loose.model as never)
    },
  },
]
