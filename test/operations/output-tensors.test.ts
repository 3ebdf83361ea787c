import { describe, expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { TributaryError } from '../../src/core/errors.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { createInlineMerger } from '../../src/merging/inline-merger.ts'
import type { Merger, Watch } from '../../src/merging/merger.ts'
import type { MergeTask, TensorOutcome } from '../../src/merging/task.ts'
import { nodeTileFiles } from '../../src/storage/fs/node-tile-files.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { aReplica, type ReplicaOptions, type TestReplica } from '../support/replica.ts'
import { collect, safetensors, type SmallTensor, streamOf } from '../support/safetensors.ts'
import { temporaryStorage } from '../support/storage.ts'

const inline = () => createInlineMerger(nodeTileFiles, referenceKernels, strategies)

/** A merger that says which tensors it was given to compute. */
function counting(own: Merger = inline()) {
  const computed: string[] = []
  const merger: Merger = {
    ...own,
    merge(task, watch) {
      computed.push(...task.tensors.map(({ name }) => name))
      return own.merge(task, watch)
    },
  }
  return { merger, computed }
}

/** Runs so many tensors, tells them, and then does what the test wants. */
const stoppingAfter = (count: number, then: (watch: Watch) => Promise<readonly TensorOutcome[]>): Merger => ({
  ...inline(),
  async merge(task: MergeTask, watch: Watch = {}) {
    await inline().merge({ ...task, tensors: task.tensors.slice(0, count) }, watch)
    return then(watch)
  },
})

const NAMES = ['a', 'b', 'c', 'd']
const STEPS: SmallTensor = { name: 'steps', dtype: 'I64', shape: [1], values: [7, 0, 0, 0, 0, 0, 0, 0] }
/** Four tensors and a counter; each seed is the values of one tensor. */
const model = (...seeds: readonly number[]) =>
  safetensors([
    ...NAMES.map((name, i) => ({
      name,
      shape: [3, 2],
      values: Array.from({ length: 6 }, (_, e) => ((e * 7 + seeds[i]! * 13 + i) % 17) / 8 - 1),
    })),
    STEPS,
  ])
const AVERAGE = { strategy: 'weight_average' }

async function contributed(options: ReplicaOptions, models: Readonly<Record<string, Uint8Array>>) {
  const replica = await aReplica(options)
  await replica.createSpace({ name: 'lab' })
  for (const [name, bytes] of Object.entries(models)) await contribute(replica, name, bytes)
  return replica
}
async function contribute(replica: TestReplica, name: string, bytes: Uint8Array): Promise<string> {
  const { model: id, content } = await replica.uploadModel(streamOf(bytes))
  await replica.contribute('lab', { model: id, name })
  return content
}
async function merged(replica: TestReplica, recipe: unknown = AVERAGE) {
  const { id } = (await replica.startMerge('lab', recipe)).merge
  await replica.idle()
  return outputOf(replica, id)
}
async function outputOf(replica: TestReplica, id: string) {
  expect(replica.findMerge('lab', id)).toMatchObject({ state: 'done' })
  const file = await replica.readOutput('lab', id)
  return {
    id,
    statement: replica.findReceipt('lab', id).statement_id,
    bytes: await collect(file.read(0, file.bytes)),
  }
}
async function blobsOf({ blobs }: Storage): Promise<readonly string[]> {
  const found: string[] = []
  for await (const { name } of blobs.list()) found.push(name.digest)
  return found.sort()
}
const temporariesOf = ({ blobs }: Storage) => blobs.sweepTemporary(-1, Date.now() + 1e6)

const TWO = { one: model(1, 2, 3, 4), two: model(5, 6, 7, 8) }

describe('results of tensors', () => {
  test('[SVC-40] a tensor whose inputs have not changed is not computed again, and the statement is the same', async () => {
    const { merger, computed } = counting()
    const replica = await contributed({ merger }, TWO)
    await merged(replica)
    expect(computed.splice(0)).toEqual(NAMES) // the counter is what it is in every input
    await contribute(replica, 'two', model(5, 6, 9, 8))
    const again = await merged(replica)
    expect(computed.splice(0)).toEqual(['c'])
    const fresh = await merged(await contributed({}, { one: TWO.one, two: model(5, 6, 9, 8) }))
    expect(again).toEqual(fresh)
  })

  test.each([
    [{ strategy: { id: 'ties', params: { density: 0.5 } } }, ['c']],
    [{ strategy: { id: 'ties', params: { density: 0.5, profile: 'paper' } } }, NAMES], // measured over the whole model
    [{ strategy: { id: 'dare_linear', params: { density: 0.5 } }, seed: 3 }, NAMES], // drawn by content
    [{ strategy: { id: 'dare_linear', params: { density: 1 } }, seed: 3 }, NAMES],
  ])('[SVC-40] %j: what counts is known, and never taken where it would be another', async (recipe, wanted) => {
    const base = model(0, 0, 0, 0)
    const models = { one: TWO.one, two: model(5, 6, 9, 8) }
    const based = async (replica: TestReplica) => ({
      ...recipe,
      base: `model:${(await replica.uploadModel(streamOf(base))).model}`,
    })
    const { merger, computed } = counting()
    const replica = await contributed({ merger }, TWO)
    const full = await based(replica)
    await merged(replica, full)
    computed.length = 0
    await contribute(replica, 'two', models.two)
    const again = await merged(replica, full)
    expect(computed).toEqual(wanted)
    const other = await contributed({}, models)
    expect(again).toEqual(await merged(other, await based(other)))
  })

  test('[SVC-40] another weight, parameter or seed is another result', async () => {
    const { merger, computed } = counting()
    const replica = await contributed({ merger }, TWO)
    await merged(replica)
    computed.length = 0
    await merged(replica, { ...AVERAGE, weights: [['lab/one', 0.5]] })
    expect(computed.splice(0)).toEqual(NAMES)
    await merged(replica, { ...AVERAGE, seed: 5 })
    expect(computed).toEqual([]) // nothing is drawn
  })

  test('[SVC-41] a result whose blob was dropped, swept or damaged is computed again', async () => {
    const { merger, computed } = counting()
    const replica = await contributed({ merger }, TWO)
    const first = await merged(replica)
    expect(replica.storage.results.count()).toBe(4)
    await replica.cancelMerge('lab', first.id) // drops the output
    expect(replica.storage.results.count()).toBe(0)
    computed.length = 0
    expect(await merged(replica)).toMatchObject({ bytes: first.bytes, statement: first.statement })
    expect(computed.splice(0)).toEqual(NAMES)

    const { root } = replica.findReceipt('lab', first.id).statement.output.tensors.find(({ name }) => name === 'b')!
    const blob = { kind: 'tensor', digest: root } as never
    await replica.storage.blobs.remove(blob)
    await contribute(replica, 'three', model(1, 2, 3, 4)) // the same tensors once more
    const sameAgain = { ...AVERAGE, select: { names: ['one', 'two'] }, seed: 9 }
    const healed = await merged(replica, sameAgain)
    expect(computed).toEqual(['b'])
    expect(healed.bytes).toEqual(first.bytes)
  })

  test('[SVC-41] nothing is taken from merges of content that was revoked', async () => {
    const { merger, computed } = counting()
    const replica = await contributed({ merger }, TWO)
    await merged(replica)
    const content = await contribute(replica, 'bad', model(1, 2, 3, 5))
    await merged(replica)
    expect(replica.storage.results.count()).toBe(8)
    await replica.revoke('lab', content)
    expect(replica.storage.results.count()).toBe(4)
    await replica.sweep()
    expect(replica.storage.results.count()).toBe(4)
    computed.length = 0
    await contribute(replica, 'good', model(1, 2, 3, 6)) // shares three tensors with it
    await merged(replica)
    expect(computed).toEqual(NAMES)
  })
})

describe('a merge that does not come to its end', () => {
  const SOON = { mergeSyncBytes: 1 }
  const never = () => new Promise<never>(() => undefined)

  test('[SVC-42] killed, it goes on at the next start with the tensors that were finished', async () => {
    const storage = await temporaryStorage()
    const killed = await contributed({ storage, limits: SOON, merger: stoppingAfter(2, never) }, TWO)
    const { id } = (await killed.startMerge('lab', AVERAGE)).merge
    while (storage.results.count() < 2) await new Promise((resolve) => setImmediate(resolve))

    const { merger, computed } = counting()
    const replica = await aReplica({ storage: await storage.reopen(), merger })
    replica.start()
    await replica.idle()
    expect(computed).toEqual(['c', 'd'])
    expect(await outputOf(replica, id)).toEqual(await merged(await contributed({}, TWO)))
  })

  test('[SVC-42] stopped in good order, it keeps what was finished, however little that was', async () => {
    const storage = await temporaryStorage()
    let reached: () => void = () => undefined
    const here = new Promise<void>((resolve) => (reached = resolve))
    const untilStopped = ({ signal }: Watch) =>
      new Promise<never>((_, reject) => {
        signal?.addEventListener('abort', () => reject(new TributaryError('SERVER_STOPPING', 'stopping')))
        reached()
      })
    const stopped = await contributed({ storage, merger: stoppingAfter(3, untilStopped) }, TWO)
    await stopped.startMerge('lab', AVERAGE)
    await here
    await stopped.stop()
    const { merger, computed } = counting()
    const replica = await aReplica({ storage: await storage.reopen(), merger })
    replica.start()
    await replica.idle()
    expect(computed).toEqual(['d'])
  })

  test('[SVC-42] failed by the machine, it keeps what was finished for the next try', async () => {
    let broken = true
    const dying = stoppingAfter(2, () => Promise.reject(new TributaryError('WORKER_DIED', 'gone')))
    const { merger, computed } = counting()
    const either: Merger = { ...merger, merge: (task, watch) => (broken ? dying : merger).merge(task, watch) }
    const replica = await contributed({ merger: either, limits: SOON }, TWO)
    const { id } = (await replica.startMerge('lab', AVERAGE)).merge
    await replica.idle()
    expect(replica.findMerge('lab', id).state).toBe('failed')
    broken = false
    await replica.sweep()
    expect((await merged(replica)).id).toBe(id)
    expect(computed).toEqual(['c', 'd'])
  })

  test.each(['cancelled', 'failed for good'])('[SVC-43] %s, it leaves nothing', async (how) => {
    const untilStopped = ({ signal }: Watch) =>
      new Promise<never>((_, reject) => {
        signal?.addEventListener('abort', () => reject(new TributaryError('MERGE_CANCELLED', 'cancelled')))
      })
    const failing = () => Promise.reject(new TributaryError('MERGE_NOT_FINITE', 'too large'))
    const merger = stoppingAfter(2, how === 'cancelled' ? untilStopped : failing)
    const replica = await contributed({ merger, limits: SOON }, TWO)
    const before = await blobsOf(replica.storage)
    const { id } = (await replica.startMerge('lab', AVERAGE)).merge
    if (how === 'cancelled') {
      while (replica.storage.results.count() < 2) await new Promise((resolve) => setImmediate(resolve))
      expect(await blobsOf(replica.storage)).not.toEqual(before)
      await replica.cancelMerge('lab', id)
    }
    await replica.idle()
    expect(replica.findMerge('lab', id).state).toBe(how === 'cancelled' ? 'cancelled' : 'failed')
    expect(await blobsOf(replica.storage)).toEqual(before)
    expect(replica.storage.results.count()).toBe(0)
    expect(await temporariesOf(replica.storage)).toBe(0)
  })

  test('[SVC-43] cancelled after a crash, it leaves nothing of the run before either', async () => {
    const storage = await temporaryStorage()
    const killed = await contributed({ storage, limits: SOON, merger: stoppingAfter(2, never) }, TWO)
    const before = await blobsOf(storage)
    const { id } = (await killed.startMerge('lab', AVERAGE)).merge
    while (storage.results.count() < 2) await new Promise((resolve) => setImmediate(resolve))
    const again = await storage.reopen()
    const replica = await aReplica({ storage: again })
    await replica.cancelMerge('lab', id)
    expect(await blobsOf(again)).toEqual(before)
    expect(again.results.count()).toBe(0)
  })
})
