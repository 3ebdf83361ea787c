/** What must hold of a replica at any time, and what it shows: facts only, without times and epochs. */
import { expect } from 'vitest'
import { sha256Hex } from '../../src/core/digest.ts'
import { parseOp } from '../../src/core/op.ts'
import { fold } from '../../src/core/or-set.ts'
import type { TestReplica } from '../support/replica.ts'
import { collect } from '../support/safetensors.ts'
import { SENT } from './verbs.ts'

export interface Shown {
  readonly spaces: unknown
  readonly models: readonly string[]
  readonly blobs: readonly string[]
  readonly receipts: readonly string[]
  readonly merges: readonly string[]
}

const modelsOf = ({ storage }: TestReplica) => storage.models.list({ limit: 1000 })
const mergesOf = (replica: TestReplica) =>
  replica.listSpaces().flatMap(({ name }) => replica.listMerges(name).items.map((merge) => ({ name, merge })))

/** Spaces, as their members see them. */
export const shownSpaces = (replica: TestReplica) =>
  replica.listSpaces().map(({ name, root, base, revoked, conflicts }) => ({
    name,
    root,
    base,
    revoked,
    conflicts,
    contributions: replica.listContributions(name).map(({ id }) => id),
  }))

export async function shown(replica: TestReplica): Promise<Shown> {
  const blobs: string[] = []
  for await (const { name } of replica.storage.blobs.list()) blobs.push(`${name.kind}/${name.digest}`)
  const merges = mergesOf(replica)
  return {
    spaces: shownSpaces(replica),
    models: modelsOf(replica)
      .map(({ id }) => id)
      .sort(),
    blobs: blobs.sort(),
    receipts: merges
      .filter(({ merge }) => merge.state === 'done')
      .map(({ name, merge }) => replica.findReceipt(name, merge.id).statement_id)
      .sort(),
    merges: merges.map(({ merge: { id, state, content } }) => `${id} ${state} ${content ?? ''}`).sort(),
  }
}

/** Whatever is visible is whole: models, outputs, receipts, contributions, chains of ops. */
export async function expectNothingDangling(replica: TestReplica): Promise<void> {
  const { storage } = replica
  for (const { id } of modelsOf(replica))
    for (const blob of storage.models.blobs(id)) expect(await storage.blobs.verify(blob)).toBe('sound')
  for (const { name, id } of replica.listSpaces()) {
    for (const { here, model } of replica.listContributions(name)) {
      expect(here).toBe(true)
      expect(storage.pins.holdersOf(model as never)).not.toEqual([])
      const file = await replica.readModelFile(model, 'model.safetensors')
      expect(SENT).toContain(sha256Hex(await collect(file.read(0, file.bytes))))
    }
    const state = fold(storage.ops.forSpace(id as never).map(({ bytes }) => parseOp(bytes)))
    expect([...state.ignored]).toEqual([]) // no op of a forked or a broken chain
  }
  for (const { name, merge } of mergesOf(replica)) {
    if (merge.state !== 'done') continue
    const output = await replica.readOutput(name, merge.id)
    const receipt = replica.findReceipt(name, merge.id)
    expect(sha256Hex(await collect(output.read(0, output.bytes)))).toBe(receipt.about.output_sha256)
    expect(receipt.statement.output.content).toBe(merge.content)
  }
}
