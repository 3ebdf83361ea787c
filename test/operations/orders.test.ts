/** Contributions arrive in any order and more than once: the set, the merge and its bytes must not notice. */
import { expect, test } from 'vitest'
import { aReplica, type TestReplica } from '../support/replica.ts'
import { streamOf, tinyFile } from '../support/safetensors.ts'

const permutations = <T>(items: readonly T[]): T[][] =>
  items.length <= 1
    ? [[...items]]
    : items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]))

/** One space that five checkpoints reach in this order, every second one twice. */
async function filled(
  replica: TestReplica,
  order: readonly number[],
  name: string,
  models: ReadonlyMap<number, string>,
) {
  await replica.createSpace({ name })
  for (const [at, seed] of order.entries()) {
    const offer = { model: models.get(seed)!, name: `model-${seed}`, weight: `0.${seed}` }
    await replica.contribute(name, offer)
    if (at % 2 === 0) expect((await replica.contribute(name, offer)).created).toBe(false)
  }
  return replica.findSpace(name)
}

async function uploaded(replica: TestReplica, order: readonly number[]): Promise<ReadonlyMap<number, string>> {
  const models = new Map<number, string>()
  for (const seed of order) models.set(seed, (await replica.uploadModel(streamOf(tinyFile(seed)))).model)
  return models
}

test('[SVC-6] five checkpoints in all 120 orders, with repeats: one root, one merge id, one output', async () => {
  const replica = await aReplica()
  const orders = permutations([1, 2, 3, 4, 5])
  expect(orders.length).toBe(120)
  const models = await uploaded(replica, orders[0]!)
  const outcomes = new Set<string>()
  for (const [i, order] of orders.entries()) {
    const { root } = await filled(replica, order, `lab-${i}`, models)
    const { merge } = await replica.startMerge(`lab-${i}`, { strategy: 'weight_average' })
    await replica.idle()
    outcomes.add(`${root} ${merge.id} ${replica.findMerge(`lab-${i}`, merge.id).content ?? 'no output'}`)
  }
  expect([...outcomes]).toEqual([expect.stringMatching(/^[0-9a-f]{64} [0-9a-f]{64} [0-9a-f]{64}$/)])
})

test('[SVC-6] replicas that share nothing compute the same bytes from another order', async () => {
  const receipts = []
  for (const order of [
    [1, 2, 3, 4, 5],
    [5, 3, 1, 4, 2],
    [2, 5, 4, 3, 1],
  ]) {
    const replica = await aReplica({ seed: order[0]! })
    await filled(replica, order, 'lab', await uploaded(replica, order))
    for (const recipe of [{ strategy: 'weight_average' }, { strategy: 'slerp' }]) {
      const { merge } = await replica.startMerge('lab', recipe)
      await replica.idle()
      expect(replica.faults).toEqual([])
      receipts.push(`${merge.id} ${replica.findReceipt('lab', merge.id).statement_id}`)
    }
  }
  expect(new Set(receipts).size).toBe(2)
})
