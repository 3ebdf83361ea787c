/**
 * Stored bytes that are not what their name says: taken out of use at once, with the models that name them, which are then
 * models of other replicas until they are whole again. What is sound of them is held meanwhile.
 */
import type { ContentRoot, MergeId, ModelId } from '../core/ids.ts'
import type { BlobName } from '../storage/blob-store.ts'
import { forgetFetched } from './blobs/fetch-quota.ts'
import type { Context } from './context.ts'

export interface Damage {
  readonly blob: BlobName
  /** What can't be used until it is here again. */
  readonly models: readonly ModelId[]
  /** Whose outputs are gone: the same merge makes them anew. */
  readonly merges: readonly MergeId[]
  /** Merges that were reading it: they wait for it now, and are to be stopped. */
  readonly readers: readonly MergeId[]
}

const OUTPUT = 'output:'
const isSame = (a: BlobName, b: BlobName) => a.kind === b.kind && a.digest === b.digest

/** Models that are not whole since bytes of theirs rotted. */
export const damagedModels = ({ storage }: Context): readonly ModelId[] =>
  storage.pins.damaged().filter((id) => !storage.models.has(id))

export const isDamaged = ({ storage }: Context, model: ModelId): boolean =>
  storage.pins.heldBy({ kind: 'damaged', id: model }).blobs.length > 0

/** Undefined, and nothing done, for what only a merge under way holds: it may not be written down yet. */
export async function takeOut(context: Context, blob: BlobName): Promise<Damage | undefined> {
  const { storage } = context
  const damage = storage.transact(() => {
    const isOfDamaged = storage.pins
      .damaged()
      .some((id) => storage.pins.heldBy({ kind: 'damaged', id }).blobs.some((held) => isSame(held, blob)))
    if (storage.models.naming(blob).length === 0 && !isOfDamaged && storage.pins.isNamed(blob)) return undefined
    return outOfUse(context, blob)
  })
  if (damage === undefined) return undefined
  await storage.blobs.quarantine(blob) // after the commit: no row names it any more
  // but an upload or a fetch between the two took the rotten file for the one it brings
  if (storage.models.naming(blob).length === 0 || (await storage.blobs.has(blob))) return damage
  const more = storage.transact(() => outOfUse(context, blob))
  return {
    blob,
    models: union(damage.models, more.models),
    merges: union(damage.merges, more.merges),
    readers: union(damage.readers, more.readers),
  }
}

const union = <T>(some: readonly T[], others: readonly T[]): readonly T[] => [...new Set([...some, ...others])]

function outOfUse(context: Context, blob: BlobName): Damage {
  const { storage } = context
  const models = storage.models.naming(blob)
  if (blob.kind === 'tensor') storage.results.forgetRoot(blob.digest)
  for (const model of models) storage.results.forgetContent(storage.models.find(model)!.content)
  const merges = models.flatMap((model) => dropOutputs(context, model))
  for (const model of models) demote(context, model)
  const readers = blockReaders(context, models)
  return { blob, models, merges, readers }
}

/** What a merge made of rotten bytes counts for nothing: a job that does not run can neither finish nor keep a tensor. */
function blockReaders({ storage, now }: Context, models: readonly ModelId[]): readonly MergeId[] {
  const readers = storage.jobs
    .idsByState('running')
    .filter((id) => storage.pins.heldBy({ kind: 'job', id }).models.some((held) => models.includes(held)))
  for (const id of readers) {
    const message = 'bytes that it read are rotten'
    storage.jobs.block(id, JSON.stringify({ code: 'BYTES_MISSING', message, missing: models }), now())
    storage.pins.release({ kind: 'job', id })
  }
  return readers
}

/** Nobody else has an output, and the merge gives it again. */
function dropOutputs({ storage }: Context, model: ModelId): readonly MergeId[] {
  const holders = storage.pins.holdersOf(model).filter((holder) => holder.startsWith(OUTPUT))
  const merges = holders.map((holder) => holder.slice(OUTPUT.length) as MergeId)
  for (const id of merges) {
    storage.pins.release({ kind: 'output', id })
    storage.jobs.remove(id)
  }
  return merges
}

function demote(context: Context, id: ModelId): void {
  const { storage, now } = context
  const { content, manifest } = storage.models.find(id)!
  const blobs = storage.models.blobs(id)
  const isHeld = storage.pins.holdersOf(id).length > 0
  storage.models.delete(id)
  if (isHeld) {
    storage.manifests.put({ id, content, manifest, fetchedAtMs: now() })
    storage.pins.hold({ kind: 'damaged', id }, { blobs })
  } else forgetFetched(context, id)
}

/** Content that is withdrawn for ever needs no healing; answers what was held for it. */
export function giveUpContent(context: Context, content: ContentRoot): readonly BlobName[] {
  const { storage } = context
  return damagedModels(context)
    .filter((id) => storage.manifests.find(id)?.content === content && storage.pins.holdersOf(id).length === 0)
    .flatMap((id) => giveUp(context, id))
}

export function giveUp({ storage }: Context, id: ModelId): readonly BlobName[] {
  const { blobs } = storage.pins.heldBy({ kind: 'damaged', id })
  storage.pins.release({ kind: 'damaged', id })
  return blobs
}

/** What is whole again is held no more; rotten copies go once a sound one is here, or nobody wants one. */
export async function settleDamage({ storage }: Context): Promise<void> {
  for (const id of storage.pins.damaged()) if (storage.models.has(id)) storage.pins.release({ kind: 'damaged', id })
  for (const name of await storage.blobs.quarantined())
    if (!storage.pins.isNamed(name) || (await storage.blobs.has(name))) await storage.blobs.dropQuarantined(name)
}
