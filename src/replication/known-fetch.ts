/** What an earlier run left of a tensor: its row is believed only as far as the file is there that it speaks of. */
import { Bitmap } from '../core/bitmap.ts'
import type { TensorRoot } from '../core/ids.ts'
import type { StoredFetch } from '../storage/fetch-repository.ts'
import type { Storage } from '../storage/storage.ts'
import { CHUNK_BYTES, chunksIn } from './fetch-plan.ts'

type Stored = Pick<Storage, 'blobs' | 'fetches'>

/** Forgets what is of no use: the root knows better than whoever claimed another length. */
export async function knownFetch(
  storage: Stored,
  { root, bytes }: { readonly root: TensorRoot; readonly bytes: number },
): Promise<StoredFetch | undefined> {
  const known = storage.fetches.find(root)
  if (known === undefined) return undefined
  if (known.bytes === bytes && (await isThere(storage, known))) return known
  await forgetFetch(storage, root)
  return undefined
}

export async function forgetFetch({ blobs, fetches }: Stored, root: TensorRoot): Promise<void> {
  const known = fetches.find(root)
  if (known === undefined) return
  fetches.remove(root)
  await blobs.discardTemporary(known.temporary)
}

/** A kill between the name of a tensor and the end of its row leaves a row without a file. */
async function isThere({ blobs }: Stored, { temporary, bytes, chunks }: StoredFetch): Promise<boolean> {
  const durable = new Bitmap(chunksIn(bytes), chunks)
  let end = 0
  for (let i = 0; i < durable.length; i++) if (durable.has(i)) end = Math.min(bytes, (i + 1) * CHUNK_BYTES)
  const file = await blobs.openTemporary(temporary)
  try {
    return (await file.bytes()) >= end
  } finally {
    await file.close()
  }
}
