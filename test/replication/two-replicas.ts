/** Two replicas that keep one space, and what its bytes tests ask of them. */
import { TributaryError } from '../../src/core/errors.ts'
import type { ModelSource } from '../../src/transport/blob-source.ts'
import { collect, streamOf, tinyFile } from '../support/safetensors.ts'
import { type TestReplica } from '../support/replica.ts'
import { type Standing, World } from '../support/world.ts'

export const named = (seed: number) => `http://replica-${seed}`
export const upload = async ({ replica }: Standing, bytes: Uint8Array, name: string) => {
  const { model } = await replica.uploadModel(streamOf(bytes))
  await replica.contribute('lab', { model, name })
  return model
}
export const AVERAGE = { strategy: 'weight_average' }
export const stateOf = ({ replica }: Standing, id: string) => replica.findMerge('lab', id).state
export const outputOf = async ({ replica }: Standing, id: string) => {
  const output = await replica.readOutput('lab', id)
  return Buffer.from(await collect(output.read(0, output.bytes)))
}
export const hasManifests = ({ replica }: Standing, ...models: readonly string[]) =>
  models.every((model) => replica.storage.manifests.find(model as never) !== undefined)

/** A space that two replicas keep, with two models that are on the first alone. */
export async function twoReplicas(world: World, seeds = [1, 2], given?: TestReplica) {
  const one = await world.stand(1, [named(2)])
  await one.replica.createSpace({ name: 'lab' })
  const models = [await upload(one, tinyFile(seeds[0]!), 'a'), await upload(one, tinyFile(seeds[1]!), 'b')]
  const two = await world.stand(2, [named(1)], given)
  return { one, two, models }
}

export async function finished(world: World, at: Standing) {
  const { merge } = await at.replica.startMerge('lab', AVERAGE)
  await world.until(() => stateOf(at, merge.id) === 'done', 'the merge is done')
  return merge.id
}

/** Waits for ever, unless called off. */
const never = (signal: AbortSignal) =>
  new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(new TributaryError('NETWORK', 'called off'))),
  )

/** Tensors that are in this set never come. */
export function hangingIn(world: World): Set<string> {
  const hanging = new Set<string>()
  world.tamper = (_, source): ModelSource => ({
    ...source,
    async *read(root, start, end, signal) {
      if (hanging.has(root)) await never(signal)
      yield* source.read(root, start, end, signal)
    },
  })
  return hanging
}
