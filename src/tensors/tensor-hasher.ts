/**
 * The root of one tensor, made while its bytes stream by: the tree head over chunks of 1 MiB counted from the tensor's
 * start. Where the tensor lies in a file, and how the stream is cut, does not matter.
 */
import { createHash, type Hash as Hashing } from 'node:crypto'
import { hex } from '../core/bytes.ts'
import type { TensorRoot } from '../core/ids.ts'
import { invariant } from '../core/invariant.ts'
import { type Hash, leafHash, treeHead } from '../core/merkle.ts'

export const CHUNK_BYTES = 1024 * 1024
const LEAF = Uint8Array.of(0)

export interface HashedTensor {
  readonly root: TensorRoot
  readonly bytes: number
  /** Leaf hash of each chunk: what proves one chunk alone. */
  readonly leaves: readonly Hash[]
}

export class TensorHasher {
  readonly #leaves: Hash[] = []
  /** A chunk that has begun, and how many of its bytes came. */
  #open: Hashing | undefined
  #openBytes = 0
  #bytes = 0
  #finished = false

  update(bytes: Uint8Array): void {
    invariant(!this.#finished, 'a finished tensor takes no more bytes')
    this.#bytes += bytes.length
    for (let offset = 0; offset < bytes.length;) {
      const end = Math.min(bytes.length, offset + CHUNK_BYTES - this.#openBytes)
      const part = offset === 0 && end === bytes.length ? bytes : bytes.subarray(offset, end)
      offset = end
      if (part.length === CHUNK_BYTES) this.#close(leafHash(part))
      else this.#extend(part)
    }
  }

  finish(): HashedTensor {
    const leaves = this.finishLeaves()
    return { root: hex(treeHead(leaves)) as TensorRoot, bytes: this.#bytes, leaves }
  }

  /** Of bytes that are part of a tensor, and so have no root. */
  finishLeaves(): readonly Hash[] {
    invariant(!this.#finished, 'a tensor is finished once')
    if (this.#open !== undefined) this.#close(new Uint8Array(this.#open.digest()))
    this.#finished = true
    return this.#leaves
  }

  #extend(part: Uint8Array): void {
    this.#open ??= createHash('sha256').update(LEAF)
    this.#open.update(part)
    this.#openBytes += part.length
    if (this.#openBytes === CHUNK_BYTES) this.#close(new Uint8Array(this.#open.digest()))
  }

  #close(leaf: Hash): void {
    this.#leaves.push(leaf)
    this.#open = undefined
    this.#openBytes = 0
  }
}

/** Root of a tensor whose bytes are all at hand. */
export function hashTensor(bytes: Uint8Array): HashedTensor {
  const hasher = new TensorHasher()
  hasher.update(bytes)
  return hasher.finish()
}
