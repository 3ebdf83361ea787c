/** Bytes that rot on the disk: found, named, taken out of use, and healed from another replica. */
import { rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import type { ModelId } from '../../src/core/ids.ts'
import { keepScrubbing, type Scrubber } from '../../src/operations/scrub.ts'
import type { BlobName } from '../../src/storage/blob-store.ts'
import type { ModelSource } from '../../src/transport/blob-source.ts'
import { HeldClock } from '../support/held-clock.ts'
import { collect, safetensors, streamOf, tinyFile } from '../support/safetensors.ts'
import { aReplica, type TestReplica } from '../support/replica.ts'
import { temporaryStorage } from '../support/storage.ts'
import { type Standing, World } from '../support/world.ts'

import { AVERAGE, rot, scrub, tensorsOf, upload, WEEK_MS } from './rot.ts'

const MIB = 1024 * 1024

const fileBytes = async (replica: TestReplica, model: string) => {
  const file = await replica.readModelFile(model, 'model.safetensors')
  return Buffer.from(await collect(file.read(0, file.bytes)))
}

/** Knows which bytes of tensors were asked for. */
class WatchedWorld extends World {
  asked: string[] = []
  constructor() {
    super()
    this.tamper = (_, source): ModelSource => ({
      ...source,
      read: (root, start, end, signal) => {
        this.asked.push(`${start / MIB} to ${end / MIB}`)
        return source.read(root, start, end, signal)
      },
    })
  }
}

/** A model on two replicas, of which the second is given. */
async function shared(bytes: Uint8Array) {
  const world = new WatchedWorld()
  const one = await world.stand(1, ['http://replica-2'])
  await one.replica.createSpace({ name: 'lab' })
  const model = await upload(one.replica, bytes, 'a')
  const two = await world.stand(2, ['http://replica-1'])
  await world.until(() => two.replica.storage.manifests.find(model as ModelId) !== undefined, 'its manifest came')
  const { merge } = await two.replica.startMerge('lab', AVERAGE)
  await world.until(() => two.replica.findMerge('lab', merge.id).state === 'done', 'the merge is done')
  return { world, one, two, model }
}

const isWhole = ({ replica }: Standing, model: string) => replica.storage.models.has(model as ModelId)

test('[SCR-1] a pass reads every stored byte once a week, and finds nothing where nothing rotted', async () => {
  const replica = await aReplica()
  await replica.createSpace({ name: 'lab' })
  const model = await upload(replica, tinyFile(1), 'a')
  await scrub(replica)
  const { scrubbed_bytes: read } = await replica.figures()
  expect(read).toBeGreaterThanOrEqual(tinyFile(1).length - 8)
  await replica.scrub({ pace: async () => undefined, signal: new AbortController().signal })
  expect((await replica.figures()).scrubbed_bytes).toBe(read) // it is not due
  expect([replica.faults, await fileBytes(replica, model)]).toEqual([[], Buffer.from(tinyFile(1))])
})

test('[SCR-1] a pass that was broken off goes on after a restart', async () => {
  const replica = await aReplica()
  await replica.createSpace({ name: 'lab' })
  await upload(replica, tinyFile(1), 'a')
  await scrub(replica)
  const all = (await replica.figures()).scrubbed_bytes
  replica.tick(WEEK_MS + 1)
  const stop = new AbortController()
  await replica.scrub({ pace: async () => stop.abort(), signal: stop.signal })
  const read = (await replica.figures()).scrubbed_bytes - all
  expect(read).toBeGreaterThan(0)
  expect(read).toBeLessThan(all)
  const again = await aReplica({ storage: replica.storage })
  await again.scrub({ pace: async () => undefined, signal: new AbortController().signal })
  expect((await again.figures()).scrubbed_bytes).toBe(all)
})

test('[SCR-2] what rotted is named and taken out of use with its model, and nothing that is sound is lost', async () => {
  const replica = await aReplica()
  await replica.createSpace({ name: 'lab' })
  const model = await upload(replica, tinyFile(1), 'a')
  const [bad, good] = tensorsOf(replica, model)
  await rot(replica, bad!)
  await scrub(replica)
  expect(replica.faults).toMatchObject([
    { code: 'DIGEST_MISMATCH', details: { kind: 'tensor', digest: bad!.digest, models: [model] } },
  ])
  expect(await replica.figures()).toMatchObject({ damaged_models: 1, rotten_blobs: 1 })
  expect(await replica.readiness()).toMatchObject({ ready: true, checks: { bytes: expect.stringContaining('rotted') } })
  expect(() => replica.findModel(model)).toThrow(expect.objectContaining({ code: 'MODEL_NOT_FOUND' }))
  expect(replica.listContributions('lab')).toMatchObject([{ model, here: false }])
  expect((await replica.startMerge('lab', AVERAGE)).merge).toMatchObject({ state: 'blocked', missing: [model] })
  replica.tick(5 * WEEK_MS)
  await replica.sweep()
  expect([await replica.storage.blobs.has(good!), await replica.storage.blobs.quarantined()]).toEqual([true, [bad]])

  // whoever has it may upload it again
  await replica.uploadModel(streamOf(tinyFile(1)))
  expect(await fileBytes(replica, model)).toEqual(Buffer.from(tinyFile(1)))
  await replica.sweep()
  expect([await replica.storage.blobs.quarantined(), replica.storage.pins.damaged()]).toEqual([[], []])
  expect((await replica.readiness()).checks['bytes']).toBe('ok')
})

test('[SCR-2] what can’t be read is rotten where others can be read, and where nothing can the disk is', async () => {
  const storage = await temporaryStorage()
  const verify = storage.blobs.verify.bind(storage.blobs)
  let isUnreadable: (digest: string) => boolean = () => false
  storage.blobs.verify = async (name, read) => {
    if (isUnreadable(name.digest)) throw new TributaryError('STORAGE_FAILED', 'EIO')
    return verify(name, read)
  }
  const replica = await aReplica({ storage })
  await replica.createSpace({ name: 'lab' })
  const model = await upload(replica, tinyFile(1), 'a')
  isUnreadable = () => true
  await scrub(replica)
  expect(replica.storage.models.has(model as ModelId)).toBe(true)
  const [bad] = tensorsOf(replica, model)
  isUnreadable = (digest) => digest === bad!.digest
  replica.tick(WEEK_MS + 1)
  await scrub(replica)
  expect(replica.storage.models.has(model as ModelId)).toBe(false)
  expect(replica.faults.at(-1)).toMatchObject({ code: 'DIGEST_MISMATCH', details: { digest: bad!.digest } })
})

test('[API-13] readiness is told where the database answers nothing', async () => {
  const replica = await aReplica()
  replica.storage.pins.damaged = () => {
    throw new TributaryError('STORAGE_FAILED', 'EIO')
  }
  const storage = { ...replica.storage }
  const again = await aReplica({ storage })
  expect(await again.readiness()).toMatchObject({ ready: false, checks: { database: 'not writable' } })
})

test('[SCR-2] what could not be put aside is out of use all the same, and put aside by the next pass', async () => {
  const storage = await temporaryStorage()
  const quarantine = storage.blobs.quarantine.bind(storage.blobs)
  storage.blobs.quarantine = async () => {
    throw new TributaryError('STORAGE_FAILED', 'EIO')
  }
  const replica = await aReplica({ storage })
  await replica.createSpace({ name: 'lab' })
  const model = await upload(replica, tinyFile(1), 'a')
  const [bad, good] = tensorsOf(replica, model)
  await rot(replica, bad!)
  await expect(scrub(replica)).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  expect([storage.models.has(model as ModelId), await storage.blobs.has(bad!)]).toEqual([false, true])
  storage.blobs.quarantine = quarantine
  const again = await aReplica({ storage }) // a restart goes on with the pass
  await again.scrub({ pace: async () => undefined, signal: new AbortController().signal })
  expect([await storage.blobs.quarantined(), await storage.blobs.has(good!)]).toEqual([[bad], true])
  expect(again.listContributions('lab')).toMatchObject([{ model, here: false }])
})

test('[SCR-2] who uploads a model while its rotten file is put aside is not taken at the word of that file', async () => {
  const storage = await temporaryStorage()
  const aside = storage.blobs.quarantine.bind(storage.blobs)
  let between = (): Promise<unknown> => Promise.resolve()
  Object.assign(storage.blobs, {
    quarantine: async (name: BlobName) => {
      await between()
      return aside(name)
    },
  })
  const replica = await aReplica({ storage })
  await replica.createSpace({ name: 'lab' })
  const model = await upload(replica, tinyFile(1), 'a')
  await rot(replica, tensorsOf(replica, model)[0]!)
  const came: string[] = []
  between = async () => came.push(await upload(replica, tinyFile(1), 'b'))
  await scrub(replica)
  expect(came).toEqual([model])
  expect(await replica.figures()).toMatchObject({ damaged_models: 1, rotten_blobs: 1 })
  expect(replica.faults).toHaveLength(1)
  await upload(replica, tinyFile(1), 'c')
  expect(await replica.figures()).toMatchObject({ damaged_models: 0 })
  expect(await fileBytes(replica, model)).toEqual(Buffer.from(tinyFile(1)))
})

test('[SCR-3] what rotted is fetched again from a replica that has it, without being asked for', async () => {
  const { world, two, model } = await shared(tinyFile(1))
  await rot(two.replica, tensorsOf(two.replica, model)[0]!)
  await scrub(two.replica)
  await world.until(() => isWhole(two, model), 'it is whole again')
  expect(await fileBytes(two.replica, model)).toEqual(Buffer.from(tinyFile(1)))
  expect(await two.replica.figures()).toMatchObject({ damaged_models: 0, rotten_blobs: 1 })
})

test('[SCR-3] a file that is gone from the disk is fetched again too', async () => {
  const { world, two, model } = await shared(tinyFile(1))
  await rm(two.replica.storage.blobs.locate(tensorsOf(two.replica, model)[1]!))
  await scrub(two.replica)
  await world.until(() => isWhole(two, model), 'it is whole again')
  expect(await fileBytes(two.replica, model)).toEqual(Buffer.from(tinyFile(1)))
})

test('[SCR-3] of a large tensor the rotten chunks alone are fetched', async () => {
  const values = Array.from({ length: MIB }, (_, i) => i % 97)
  const large = safetensors([{ name: 'w', shape: [MIB], values }]) // four chunks
  const { world, two, model } = await shared(large)
  await rot(two.replica, tensorsOf(two.replica, model)[0]!, 2 * MIB + 5)
  world.asked = []
  await scrub(two.replica)
  await world.until(() => isWhole(two, model), 'it is whole again')
  expect((await fileBytes(two.replica, model)).equals(Buffer.from(large))).toBe(true)
  expect([...new Set(world.asked)]).toEqual(['2 to 3']) // again, where the disk was slow
  await two.replica.sweep()
  expect(await two.replica.storage.blobs.quarantined()).toEqual([])
})

test('[SCR-4] a rotten output goes with its merge, which gives it again', async () => {
  const replica = await aReplica()
  await replica.createSpace({ name: 'lab' })
  await upload(replica, tinyFile(1), 'a')
  await upload(replica, tinyFile(2), 'b')
  const { merge } = await replica.startMerge('lab', AVERAGE)
  await replica.idle()
  const before = replica.findMerge('lab', merge.id)
  await rot(replica, tensorsOf(replica, before.model!)[0]!)
  await scrub(replica)
  expect(() => replica.findMerge('lab', merge.id)).toThrow(expect.objectContaining({ code: 'MERGE_NOT_FOUND' }))
  const again = await replica.startMerge('lab', AVERAGE)
  await replica.idle()
  expect(replica.findMerge('lab', again.merge.id)).toMatchObject({
    id: merge.id,
    state: 'done',
    content: before.content,
  })
})

test('[SCR-4] content that is revoked after it rotted leaves the disk', async () => {
  const replica = await aReplica()
  await replica.createSpace({ name: 'lab' })
  const model = await upload(replica, tinyFile(1), 'a')
  const { content } = replica.findModel(model)
  const [bad, good] = tensorsOf(replica, model)
  await rot(replica, bad!)
  await scrub(replica)
  await replica.revoke('lab', content)
  await replica.sweep()
  expect([await replica.storage.blobs.has(good!), await replica.storage.blobs.quarantined()]).toEqual([false, []])
  expect((await replica.figures()).damaged_models).toBe(0)
})

test('[SCR-5] a scrub reads 20 MiB a second, a small file as 64 KiB, and begins a minute after the start', async () => {
  const clock = new HeldClock()
  let passes = 0
  let waited = 0
  const scrubbing: Scrubber['scrub'] = async ({ pace, signal }) => {
    passes++
    for (let i = 0; i < 20 && !signal.aborted; i++) {
      await pace(MIB)
      waited++
    }
  }
  const stop = keepScrubbing({ clock, scrub: scrubbing, report: () => undefined })
  const pass = async (ms: number) => {
    for (let gone = 0; gone < ms; gone += 10) {
      clock.pass(10)
      await new Promise(setImmediate)
    }
  }
  clock.pass(59_999)
  expect(passes).toBe(0)
  await pass(500)
  expect([passes, waited]).toEqual([1, 9])
  await stop()
  expect(waited).toBe(10) // what was under way ended at once
})
