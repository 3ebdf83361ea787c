/** Names a blob while its bytes pass: a tensor by the tree head over its 1 MiB chunks, a file by its plain SHA-256. Pure. */
import { createHash } from 'node:crypto'
import { concat } from '../core/bytes.ts'
import type { FileDigest } from '../core/ids.ts'
import { TensorHasher } from '../tensors/tensor-hasher.ts'
import type { BlobKind, BlobName } from './blob-store.ts'

export interface BlobHasher {
  update(bytes: Uint8Array): void
  /** Once, at the end. */
  finish(): { readonly name: BlobName; readonly leaves?: Uint8Array }
}

function fileHasher(): BlobHasher {
  const hash = createHash('sha256')
  return {
    update: (bytes) => void hash.update(bytes),
    finish: () => ({ name: { kind: 'file', digest: hash.digest('hex') as FileDigest } }),
  }
}

function tensorHasher(): BlobHasher {
  const hasher = new TensorHasher()
  return {
    update: (bytes) => hasher.update(bytes),
    finish() {
      const { root, leaves } = hasher.finish()
      return { name: { kind: 'tensor', digest: root }, leaves: concat(...leaves) }
    },
  }
}

export const createBlobHasher = (kind: BlobKind): BlobHasher => (kind === 'tensor' ? tensorHasher() : fileHasher())
