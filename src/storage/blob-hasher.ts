/** Names a blob while its bytes pass: a tensor by the tree head over its 1 MiB chunks, a file by its plain SHA-256. Pure. */
import { createHash } from 'node:crypto'
import { concat, hex } from '../core/bytes.ts'
import type { FileDigest, TensorRoot } from '../core/ids.ts'
import { TreeBuilder } from '../core/merkle.ts'
import type { BlobKind, BlobName } from './blob-store.ts'

/** Counted from the tensor's start; the last chunk may be short. */
export const CHUNK_BYTES = 2 ** 20

const LEAF = Uint8Array.of(0)

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
  const tree = new TreeBuilder()
  const leaves: Uint8Array[] = []
  let hash = createHash('sha256').update(LEAF)
  let inChunk = 0
  const endChunk = () => {
    const leaf = new Uint8Array(hash.digest())
    tree.add(leaf)
    leaves.push(leaf)
    hash = createHash('sha256').update(LEAF)
    inChunk = 0
  }
  return {
    update(bytes) {
      for (let from = 0; from < bytes.length;) {
        const to = Math.min(bytes.length, from + CHUNK_BYTES - inChunk)
        hash.update(bytes.subarray(from, to))
        inChunk += to - from
        from = to
        if (inChunk === CHUNK_BYTES) endChunk()
      }
    },
    finish() {
      if (inChunk > 0) endChunk() // a tensor of zero bytes has no chunk
      return { name: { kind: 'tensor', digest: hex(tree.head()) as TensorRoot }, leaves: concat(...leaves) }
    },
  }
}

export const createBlobHasher = (kind: BlobKind): BlobHasher => (kind === 'tensor' ? tensorHasher() : fileHasher())
