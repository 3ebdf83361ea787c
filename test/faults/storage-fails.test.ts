/** Faults that last, come at the worst moment, or meet another request; and the order in which bytes become durable. */
import { dirname } from 'node:path'
import { setTimeout as later } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { sha256Hex } from '../../src/core/digest.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { aReplica, type TestReplica } from '../support/replica.ts'
import { collect, streamOf, tinyFile } from '../support/safetensors.ts'
import { expectNothingDangling } from './checks.ts'
import { createOutage, type Outage } from './outage.ts'
import { type Furnished, furnish, newMemory, verbsOn } from './verbs.ts'
import { mergerOn, openReplica, setUp, type Snapshot, takeSnapshot, type World } from './world.ts'

const RECIPE = { strategy: 'weight_average', seed: 5 }

let snapshot: Snapshot
let furnished: Furnished
beforeAll(async () => {
  ;({ snapshot, furnished } = await takeSnapshot(furnish))
})

async function aWorld(): Promise<{ world: World; outage: Outage; replica: TestReplica }> {
  const outage = createOutage()
  const world = await setUp(snapshot)
  return { world, outage, replica: await openReplica(world, { outage }) }
}

test('[FLT-4] bytes are synced before they are renamed, and directories before the row that names the bytes', async () => {
  for (const name of ['uploading a model', 'uploading in pieces', 'merging']) {
    const { world, outage, replica } = await aWorld()
    outage.plan(0)
    await verbsOn(furnished)
      .find((verb) => verb.name === name)!
      .act(replica, newMemory())
    const { calls } = outage
    const row = calls.findIndex((call) => call.startsWith('INSERT INTO models'))
    const renames = calls.flatMap((call, at) => (call.startsWith('rename ') ? [{ at, paths: call.split(' ') }] : []))
    expect(renames.length).toBeGreaterThan(1)
    for (const { at, paths } of renames) {
      const [, from, to] = paths
      const synced = calls.lastIndexOf(`sync ${from}`, at)
      expect(synced).toBeGreaterThanOrEqual(0)
      expect(calls.slice(synced, at)).not.toContain(`write ${from}`)
      for (let directory = dirname(to!); directory !== world.directory; directory = dirname(directory)) {
        const durable = calls.indexOf(`syncDirectory ${directory}`, at)
        expect(durable).toBeGreaterThan(at)
        expect(durable).toBeLessThan(row)
      }
    }
    const acknowledged = calls.findIndex((call) => call.startsWith('UPDATE upload_files SET offset'))
    if (acknowledged >= 0) expect(calls.slice(0, acknowledged).some((call) => call.startsWith('sync '))).toBe(true)
    replica.storage.close()
  }
})

test('[FLT-5] a disk that stays full keeps no request from being answered, and merging goes on when there is room', async () => {
  const { outage, replica } = await aWorld()
  outage.plan(0)
  outage.failWhile(/^UPDATE jobs/, 'ENOSPC')
  const { merge } = await replica.startMerge('lab', RECIPE)
  await later(20) // were the queue to ask again at once, this would never end
  expect(replica.findMerge('lab', merge.id).state).toBe('queued')
  expect(replica.faults).toHaveLength(1)
  expect(replica.findSpace('lab').contributions).toBe(2)
  const file = await replica.readModelFile(furnished.first.model, 'model.safetensors')
  expect(await collect(file.read(0, file.bytes))).toEqual(tinyFile(1))
  outage.plan(0)
  expect((await replica.startMerge('lab', RECIPE)).created).toBe(false)
  await replica.idle()
  expect(replica.findMerge('lab', merge.id).state).toBe('done')
})

test('[FLT-5] what a merge failed of is told as soon as it can be written down', async () => {
  const { outage, replica } = await aWorld()
  outage.plan(0)
  outage.failWhile(/^(write|UPDATE jobs SET state = \?)/, 'ENOSPC')
  const { merge } = await replica.startMerge('lab', {
    strategy: 'task_arithmetic',
    base: `model:${furnished.loose.model}`,
  })
  await replica.idle()
  expect(replica.findMerge('lab', merge.id).state).toBe('running')
  outage.plan(0)
  await replica.startMerge('lab', { ...RECIPE, seed: 6 })
  await replica.idle()
  expect(replica.findMerge('lab', merge.id)).toMatchObject({ state: 'failed', error: { code: 'DISK_FULL' } })
})

test('[FLT-6] bytes that could not be removed when they were revoked or dropped go with the next sweep', async () => {
  const { outage, replica } = await aWorld()
  const { second, merge } = furnished
  const left = async () => {
    const names: string[] = []
    for await (const { name } of replica.storage.blobs.list()) names.push(name.digest)
    return names
  }
  const output = replica.findMerge('lab', merge).model!
  const gone = [second.model, output].flatMap((model) => replica.storage.models.blobs(model as never))
  const kept = [furnished.first.model, furnished.loose.model].flatMap((model) =>
    replica.storage.models.blobs(model as never),
  )
  const keptDigests = new Set(kept.map(({ digest }) => digest as string))
  const expected = gone.map(({ digest }) => digest as string).filter((digest) => !keptDigests.has(digest))
  expect(expected.length).toBeGreaterThan(3)
  outage.plan(0)
  outage.failWhile(/^remove/, 'EIO')
  await replica.revoke('lab', second.content)
  await replica.cancelMerge('lab', merge)
  expect(await left()).toEqual(expect.arrayContaining(expected))
  outage.plan(0)
  await replica.sweep()
  const after = await left()
  for (const digest of expected) expect(after).not.toContain(digest)
  await expectNothingDangling(replica)
})

/** The same storage, where each read of a blob waits for this first. */
const readingAfter = (storage: Storage, wait: () => Promise<unknown>): Storage => ({
  ...storage,
  blobs: {
    ...storage.blobs,
    async *read(name, start, end) {
      await wait()
      yield* storage.blobs.read(name, start, end)
    },
  },
})

/** A replica that does this when a merge first reads its finished output, to hash it. */
async function interrupted(act: (replica: TestReplica) => Promise<unknown>): Promise<TestReplica> {
  const world = await setUp(snapshot)
  const { storage } = await openReplica(world)
  let isArmed = true
  const replica = await aReplica({
    merger: mergerOn(world.disk),
    storage: readingAfter(storage, async () => {
      if (!isArmed) return
      isArmed = false
      await act(replica)
    }),
  })
  return replica
}

test('[FLT-7] dropping an output leaves the bytes that a merge under way has made too', async () => {
  const replica = await interrupted((one) => one.cancelMerge('lab', furnished.merge))
  const { merge } = await replica.startMerge('lab', RECIPE) // another seed: another merge of the same bytes
  await replica.idle()
  expect(replica.findMerge('lab', merge.id).state).toBe('done')
  await expectNothingDangling(replica)
})

test('[FLT-7] a merge that is cancelled while its output is kept leaves neither model nor receipt', async () => {
  const ids: string[] = []
  const replica = await interrupted((one) => one.cancelMerge('lab', ids[0]!))
  const models = replica.storage.models.count()
  const { merge } = await replica.startMerge('lab', {
    strategy: 'task_arithmetic',
    base: `model:${furnished.loose.model}`,
  })
  ids.push(merge.id)
  await replica.idle()
  expect(replica.findMerge('lab', merge.id).state).toBe('cancelled')
  expect(replica.storage.models.count()).toBe(models)
  expect(() => replica.findReceipt('lab', merge.id)).toThrow('is cancelled')
  expect(replica.storage.pins.heldBy({ kind: 'job', id: merge.id as never })).toEqual({ models: [], blobs: [] })
  await expectNothingDangling(replica)
})

test('[FLT-6] content revoked while a merge held it goes with the sweep after the merge', async () => {
  const replica = await interrupted((one) => one.revoke('lab', furnished.second.content))
  await replica.startMerge('lab', RECIPE)
  await replica.idle()
  expect(replica.storage.models.findByContent(furnished.second.content)).toHaveLength(1)
  await replica.sweep()
  expect(replica.storage.models.findByContent(furnished.second.content)).toEqual([])
  await expectNothingDangling(replica)
})

test('[FLT-2] an upload that was finished and whose model is gone says so', async () => {
  const { replica } = await aWorld()
  const bytes = tinyFile(9)
  const { id } = await replica.startUpload([
    { path: 'model.safetensors', bytes: bytes.length, sha256: sha256Hex(bytes) },
  ])
  await replica.writeUpload(id, 'model.safetensors', 0, streamOf(bytes))
  const { content } = await replica.finishUpload(id)
  await replica.revoke('lab', content)
  await expect(replica.finishUpload(id)).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' })
})
