/** Letting go of bytes that nobody holds: at once where that was asked for, else after they were orphans long enough. */
import type { ModelId } from '../core/ids.ts'
import type { BlobName } from '../storage/blob-store.ts'
import type { Context } from './context.ts'

export interface Swept {
  readonly temporaries: number
  readonly uploads: number
  readonly models: number
  readonly blobs: number
}

/** Forgets a model and drops the blobs that no other names, unless somebody holds it. */
export async function dropUnheld(context: Context, model: ModelId): Promise<boolean> {
  const { storage } = context
  const named = storage.transact(() => {
    if (storage.pins.holdersOf(model).length > 0) return undefined
    const blobs = storage.models.blobs(model)
    storage.models.delete(model)
    return blobs
  })
  for (const blob of named ?? []) await dropOrphan(context, blob)
  return named !== undefined
}

async function dropOrphan({ storage, now }: Context, blob: BlobName): Promise<boolean> {
  if (storage.pins.markOrphanBlob(blob, now()) === undefined) return false
  return storage.blobs.remove(blob, () => storage.pins.blobOrphanedSince(blob) !== undefined)
}

export async function dropExpiredUploads({ storage, now }: Context): Promise<number> {
  const expired = storage.uploads.expired(now())
  for (const upload of expired) {
    storage.uploads.remove(upload.id)
    for (const { temporary } of upload.files) await storage.blobs.discardTemporary(temporary)
  }
  return expired.length
}

export async function sweep(context: Context): Promise<Swept> {
  const { storage, now, limits } = context
  const uploads = await dropExpiredUploads(context)
  const temporaries = await storage.blobs.sweepTemporary(limits.uploadLifeMs, now(), storage.uploads.temporaries())
  storage.pins.markOrphanModels(now())
  const before = now() - limits.orphanLifeMs
  let models = 0
  for (const model of storage.pins.orphanModels(before)) if (await dropUnheld(context, model)) models += 1
  let blobs = 0
  for await (const { name } of storage.blobs.list()) {
    const since = storage.pins.markOrphanBlob(name, now())
    if (since === undefined || since > before) continue
    if (await storage.blobs.remove(name, () => (storage.pins.blobOrphanedSince(name) ?? Infinity) <= before)) blobs += 1
  }
  return { temporaries, uploads, models, blobs }
}
