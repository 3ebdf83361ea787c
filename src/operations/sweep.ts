/** Letting go of bytes that nobody holds: at once where that was asked for, else after they were orphans long enough. */
import type { ContentRoot, MergeId, ModelId } from '../core/ids.ts'
import type { BlobName } from '../storage/blob-store.ts'
import { forgetFetched } from './blobs/fetch-quota.ts'
import type { Context } from './context.ts'
import { giveUp, giveUpContent, settleDamage } from './damage.ts'
import type { SpaceBook } from './space-book.ts'

export interface Swept {
  readonly temporaries: number
  readonly uploads: number
  readonly models: number
  readonly blobs: number
}

/** A time that is longer ago than any orphan is kept. */
const LONG_AGO_MS = 0

/**
 * Forgets a model unless somebody holds it; answers the blobs that nobody names now, to be dropped after the commit. They
 * are written down as orphans of old: if dropping them fails, or the process ends before, the next sweep does it.
 */
export function forgetUnheld(context: Context, model: ModelId): readonly BlobName[] {
  const { storage } = context
  return storage.transact(() => {
    if (storage.pins.holdersOf(model).length > 0) return []
    const blobs = storage.models.blobs(model)
    if (!storage.models.delete(model)) return []
    forgetFetched(context, model)
    return orphanNow(context, blobs)
  })
}

/** Those of these blobs that nobody names. They are not found as results of tensors any more. */
export function orphanNow({ storage }: Context, blobs: readonly BlobName[]): readonly BlobName[] {
  return storage.transact(() => {
    const orphans = blobs.filter((blob) => storage.pins.markOrphanBlob(blob, LONG_AGO_MS) !== undefined)
    for (const { kind, digest } of orphans) if (kind === 'tensor') storage.results.forgetRoot(digest)
    return orphans
  })
}

/** A job that will not go on lets go of all it holds; answers what nobody else names, to be dropped after the commit. */
export function letGo(context: Context, id: MergeId): readonly BlobName[] {
  const { pins, transact } = context.storage
  return transact(() => {
    const { blobs } = pins.heldBy({ kind: 'job', id })
    pins.release({ kind: 'job', id })
    return orphanNow(context, blobs)
  })
}

/** What is forgotten already: a failure here is only a delay. */
export async function dropBlobs({ storage, report }: Context, blobs: readonly BlobName[]): Promise<void> {
  for (const blob of blobs)
    try {
      await storage.blobs.remove(blob, () => storage.pins.blobOrphanedSince(blob) !== undefined)
    } catch (error) {
      report('drop', error)
    }
}

/** Revoked content that something still held when it was revoked, such as a merge that was running. */
async function dropRevoked(context: Context, book: SpaceBook): Promise<number> {
  const contents = new Set(book.all().flatMap(({ revoked }) => [...revoked.keys()]))
  for (const content of contents) {
    context.storage.results.forgetContent(content)
    await dropBlobs(context, giveUpRevoked(context, content))
  }
  return dropModels(
    context,
    [...contents].flatMap((content) => context.storage.models.findByContent(content).map(({ id }) => id)),
  )
}

/** Of what rotted before it was revoked, what is left. */
export const giveUpRevoked = (context: Context, content: ContentRoot): readonly BlobName[] =>
  context.storage.transact(() => orphanNow(context, giveUpContent(context, content)))

/** A space names its base by content alone, before or after a model of that content is here. */
function holdBases({ storage }: Context, book: SpaceBook): void {
  storage.transact(() => {
    for (const { space, base, revoked } of book.all()) {
      if (base === undefined || revoked.has(base)) continue
      const models = storage.models.findByContent(base).map(({ id }) => id)
      if (models.length > 0) storage.pins.hold({ kind: 'base', space }, { models })
    }
  })
}

async function dropModels(context: Context, models: readonly ModelId[]): Promise<number> {
  let dropped = 0
  for (const model of models) {
    await dropBlobs(context, forgetUnheld(context, model))
    if (!context.storage.models.has(model)) dropped += 1
  }
  return dropped
}

export async function dropExpiredUploads({ storage, now }: Context): Promise<number> {
  const expired = storage.uploads.expired(now())
  for (const upload of expired) {
    storage.uploads.remove(upload.id)
    for (const { temporary } of upload.files) await storage.blobs.discardTemporary(temporary)
  }
  return expired.length
}

export async function sweep(context: Context, book: SpaceBook): Promise<Swept> {
  const { storage, now, limits } = context
  const uploads = await dropExpiredUploads(context)
  for (const { root, temporary } of storage.fetches.idleSince(now() - limits.orphanLifeMs)) {
    storage.fetches.remove(root)
    await storage.blobs.discardTemporary(temporary)
  }
  const kept = new Set([...storage.uploads.temporaries(), ...storage.fetches.temporaries()])
  const temporaries = await storage.blobs.sweepTemporary(limits.uploadLifeMs, now(), kept)
  let models = await dropRevoked(context, book)
  holdBases(context, book)
  storage.pins.markOrphanModels(now())
  const before = now() - limits.orphanLifeMs
  models += await dropModels(context, storage.pins.orphanModels(before))
  for (const model of storage.manifests.fetchedBefore(before))
    if (storage.pins.holdersOf(model).length === 0 && storage.manifests.remove(model)) {
      giveUp(context, model)
      forgetFetched(context, model)
    }
  await settleDamage(context)
  let blobs = 0
  for await (const { name } of storage.blobs.list()) {
    const since = storage.pins.markOrphanBlob(name, now())
    if (since === undefined || since > before) continue
    if (name.kind === 'tensor') storage.results.forgetRoot(name.digest)
    if (await storage.blobs.remove(name, () => (storage.pins.blobOrphanedSince(name) ?? Infinity) <= before)) blobs += 1
  }
  return { temporaries, uploads, models, blobs }
}
