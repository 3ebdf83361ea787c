/** A disk whose power can be cut, and what is put on it. */
import { utf8 } from '../../src/core/bytes.ts'
import type { BlobStore, SealedBlob } from '../../src/storage/blob-store.ts'
import { openFsBlobStore } from '../../src/storage/fs/fs-blob-store.ts'
import { type Crash, createMemoryFileSystem } from '../../src/storage/memory/memory-file-system.ts'
import { sealed } from '../contracts/blob-store-contract.ts'
import { createFaultyFileSystem } from '../support/faulty-file-system.ts'

export const DIRECTORY = '/data'
export const CRASHES: readonly Crash[] = ['unsynced lost', 'names kept, unsynced bytes lost', 'all kept']

/** A disk whose power can be cut, and a file system on it that can fail. */
export async function aDisk() {
  const disk = createMemoryFileSystem()
  await disk.makeDirectory(DIRECTORY)
  await disk.syncDirectory('/')
  const files = createFaultyFileSystem(disk)
  return { disk, files, open: () => openFsBlobStore(files, DIRECTORY) }
}

/** Two blobs, published in one call: what a small upload does. */
export async function upload(blobs: BlobStore): Promise<readonly SealedBlob[]> {
  const blobsSealed = [await sealed(blobs, utf8('first tensor')), await sealed(blobs, utf8('second'), 'file')]
  await blobs.publish(blobsSealed)
  return blobsSealed
}
