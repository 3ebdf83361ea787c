/** What must be true of the bytes once the world is whole again. Each answers with the reasons why it is not. */
import { strategies } from '../../merge-strategies/index.ts'
import { equalBytes } from '../../src/core/bytes.ts'
import type { ModelId } from '../../src/core/ids.ts'
import { chooseKernels } from '../../src/kernels/choose-kernels.ts'
import { runMerge } from '../../src/merging/run-merge.ts'
import type { MergeTask, TaskTensor } from '../../src/merging/task.ts'
import type { BlobName, BlobStore } from '../../src/storage/blob-store.ts'
import { collect } from '../support/safetensors.ts'
import { MemoryTileFiles } from '../merging/memory-tile-files.ts'
import type { ByteWorld } from './byte-world.ts'
import type { Host } from './host.ts'
import { blobKey, type Model } from './models.ts'

const TILE_BYTES = 2 ** 20
const kernels = chooseKernels('fastest', () => undefined)

export interface ByteStage {
  readonly world: ByteWorld
  /** Honest, and up. */
  readonly hosts: readonly Host[]
  readonly neighbours: readonly (readonly [number, number])[]
}

/** What is shown at the end, of models that there are. */
function shownBy({ state }: Host, { shelf }: ByteWorld): readonly Model[] {
  const shown = new Set<ModelId>(state?.visible.map(({ record }) => record.model))
  return shelf.models.filter(({ id }) => shown.has(id))
}

/** May others give it bytes? */
const mayTake = ({ state, rid, world }: Host): boolean =>
  world.access === 'open' || state?.members.some((member) => member.rid === rid) === true

/** What rotted where it lies helps nobody. */
const isSoundAt = ({ node }: Host, { blobs }: Model, world: ByteWorld): boolean =>
  !blobs.some((digest) => world.hasRotten(node, digest))

/** Pairs of replicas and models that should be together: whoever wants it, and is linked to one that has it or will have it. */
async function wanting({ world, hosts, neighbours }: ByteStage) {
  const has = new Map<Host, Set<Model>>()
  const gives = new Map<Host, Set<Model>>()
  const lacks: { readonly host: Host; readonly model: Model }[] = []
  for (const host of hosts) {
    const { models } = await host.bytes!.disk.look()
    const here = world.shelf.models.filter(({ id }) => models.find(id) !== undefined)
    has.set(host, new Set(here))
    gives.set(host, new Set(here.filter((model) => isSoundAt(host, model, world))))
  }
  // who has the same key is no peer
  const linked = (a: Host, b: Host) =>
    a.rid !== b.rid && neighbours.some(([x, y]) => (x === a.node && y === b.node) || (x === b.node && y === a.node))
  for (let isNew = true; isNew;) {
    isNew = false
    for (const host of hosts) {
      if (!host.bytes!.wants || !mayTake(host)) continue
      for (const model of shownBy(host, world)) {
        const isNear = hosts.some((other) => linked(host, other) && gives.get(other)!.has(model))
        if (has.get(host)!.has(model) || !isNear || !isSoundAt(host, model, world)) continue
        has.get(host)!.add(model)
        gives.get(host)!.add(model)
        lacks.push({ host, model })
        isNew = true
      }
    }
  }
  return lacks
}

export const bytesAreThere = async (stage: ByteStage): Promise<boolean> => (await wanting(stage)).length === 0

const bytesOf = async (blobs: BlobStore, name: BlobName): Promise<Uint8Array> => collect(blobs.read(name))

/** Every blob at a replica is what its name says, unless it rotted there. */
async function misnamed({ world }: ByteStage, host: Host): Promise<string[]> {
  const { blobs } = await host.bytes!.disk.look()
  const failures: string[] = []
  for await (const { name } of blobs.list()) {
    const truth = world.shelf.blobs.get(blobKey(name.kind, name.digest))
    if (world.hasRotten(host.node, name.digest)) continue
    if (truth === undefined || !equalBytes(await bytesOf(blobs, name), truth))
      failures.push('stored: a blob is not what its name says')
  }
  return failures
}

/** The roots of a merge of all that is shown, from the bytes that lie at this replica. */
async function mergedRoot(host: Host, models: readonly Model[]): Promise<string> {
  const { blobs } = await host.bytes!.disk.look()
  const files = new MemoryTileFiles()
  for (const root of new Set(models.flatMap(({ tensors }) => tensors.map((tensor) => tensor.root))))
    files.files.set(root, await bytesOf(blobs, { kind: 'tensor', digest: root }))
  const tensors = models[0]!.tensors.map(({ name, dtype, shape, bytes }, i): TaskTensor => {
    files.files.set(name, new Uint8Array(bytes))
    const inputs = models.map((model, input) => {
      const { root } = model.tensors[i]!
      return { input, weight: 1, params: {}, value: { path: root, offset: 0, bytes, dtype, root } }
    })
    const rule = { kind: 'merge' as const, strategy: 'weight_average', params: {}, inputs }
    return { name, shape, elements: shape[0]!, dtype, target: { path: name, offset: 0, bytes }, rule }
  })
  const task: MergeTask = {
    merge: '00'.repeat(32),
    seed: '11'.repeat(32),
    inputs: models.map(({ content, id }) => ({ content, label: id })),
    tensors,
    tileBytes: TILE_BYTES,
  }
  return runMerge(task, { files, kernels, strategies })
    .map(({ root }) => root)
    .join()
}

export async function byteFailures(stage: ByteStage): Promise<string[]> {
  const { world, hosts } = stage
  const failures = [...world.threw]
  if (!(await bytesAreThere(stage))) failures.push('bytes: a replica lacks what its neighbour holds')
  for (const host of hosts) failures.push(...(await misnamed(stage, host)))
  for (const host of hosts) {
    const { models } = await host.bytes!.disk.look()
    for (const { id, blobs } of host.bytes!.uploaded)
      if (models.find(id) === undefined && !blobs.some((digest) => world.hasEverRotten(host.node, digest)))
        failures.push('uploaded: a model is gone')
  }
  const merged = new Set<string>()
  for (const host of hosts) {
    const shown = shownBy(host, world)
    const { models, blobs } = await host.bytes!.disk.look()
    const isHere = (model: Model) => models.find(model.id) !== undefined && isSoundAt(host, model, world)
    if (shown.length === 0 || !shown.every(isHere)) continue
    let isWhole = true
    for (const root of shown.flatMap(({ tensors }) => tensors.map((tensor) => tensor.root))) {
      if (await blobs.has({ kind: 'tensor', digest: root })) continue
      isWhole = false
      if (!world.hasEverRotten(host.node, root)) failures.push('bytes: a model is here and a tensor of it is not')
    }
    if (isWhole && failures.length === 0) merged.add(await mergedRoot(host, shown))
  }
  if (merged.size > 1) failures.push('merged: the same models give different roots')
  const honest = new Set<string>(hosts.map(({ rid }) => rid))
  for (const { source, what } of world.named)
    if (!world.hasTold(source, what))
      failures.push(honest.has(source) ? 'named: an honest replica' : 'named: another lie than was told')
  return failures
}
