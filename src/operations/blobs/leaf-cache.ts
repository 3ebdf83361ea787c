/**
 * Leaf hashes of tensors that are here: what lets another replica verify each chunk alone. Those of bytes that came while
 * this process ran are known; others are computed when they are first asked for. They are kept within a bound.
 */
import { TributaryError } from '../../core/errors.ts'
import type { TensorRoot } from '../../core/ids.ts'
import { leafHash } from '../../core/merkle.ts'
import type { BlobStore, SealedBlob } from '../../storage/blob-store.ts'

/** Leaves of half a terabyte. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024
const COMPUTING_MAX = 4

export class LeafCache {
  readonly #blobs: BlobStore
  /** In the order of use. */
  readonly #kept = new Map<TensorRoot, Uint8Array>()
  #keptBytes = 0
  #computing = 0

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  /** Refused before anything is read where too many are being computed. */
  read(root: TensorRoot): AsyncIterable<Uint8Array> {
    const kept = this.#kept.get(root)
    if (kept !== undefined) {
      this.#kept.delete(root)
      this.#kept.set(root, kept)
      return onePiece(kept)
    }
    if (this.#computing >= COMPUTING_MAX)
      throw new TributaryError('TOO_MANY_REQUESTS', `${COMPUTING_MAX} tensors are being hashed already`, {
        hint: 'ask again in a moment',
      })
    return this.#compute(root)
  }

  async *#compute(root: TensorRoot): AsyncIterable<Uint8Array> {
    this.#computing += 1
    try {
      const leaves: Uint8Array[] = []
      // The store reads in chunks, counted from the tensor's start.
      for await (const chunk of this.#blobs.read({ kind: 'tensor', digest: root })) {
        const leaf = leafHash(chunk)
        leaves.push(leaf)
        yield leaf
      }
      this.keep(root, Buffer.concat(leaves))
    } finally {
      this.#computing -= 1
    }
  }

  keep(root: TensorRoot, leaves: Uint8Array): void {
    if (this.#kept.has(root) || leaves.length > KEPT_BYTES_MAX) return
    this.#kept.set(root, leaves)
    this.#keptBytes += leaves.length
    for (const [oldest, { length }] of this.#kept) {
      if (this.#keptBytes <= KEPT_BYTES_MAX) break
      this.#kept.delete(oldest)
      this.#keptBytes -= length
    }
  }
}

/** Whoever wrote a tensor has hashed its chunks: they need not be hashed again for those who fetch it. */
export const keepingLeaves = (blobs: BlobStore, cache: LeafCache): BlobStore => {
  const keep = (sealed: readonly SealedBlob[]) => {
    for (const { name, leaves } of sealed)
      if (name.kind === 'tensor' && leaves !== undefined) cache.keep(name.digest, leaves)
  }
  return {
    ...blobs,
    async publish(sealed) {
      await blobs.publish(sealed)
      keep(sealed)
    },
    async adopt(written) {
      await blobs.adopt(written)
      keep(written)
    },
  }
}

async function* onePiece(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  if (bytes.length > 0) yield bytes
}
