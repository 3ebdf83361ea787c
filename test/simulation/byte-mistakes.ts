/** A mistake that no port can be made to make: each chunk that arrives is taken for what it should be. */
import { BlobFetch } from '../../src/replication/blob-fetch.ts'
import { LEAF_BYTES } from '../../src/replication/fetch-plan.ts'
import { blobKey, type Shelf } from './models.ts'

/** Answers how to end it. */
export function believeChunks(...shelves: readonly Shelf[]): () => void {
  const shipped = Object.getOwnPropertyDescriptors(BlobFetch.prototype)
  const [next, chunkArrived] = [shipped.next.value!, shipped.chunkArrived.value!]
  /** Of each request the chunk that comes next. */
  const coming = new WeakMap<BlobFetch, Map<number, number>>()
  BlobFetch.prototype.next = function (now) {
    const requests = next.call(this, now)
    const chunks = coming.get(this) ?? new Map<number, number>()
    for (const request of requests) if (request.kind === 'chunks') chunks.set(request.id, request.first)
    coming.set(this, chunks)
    return requests
  }
  BlobFetch.prototype.chunkArrived = function (id, _, now) {
    const chunk = coming.get(this)!.get(id)!
    coming.get(this)!.set(id, chunk + 1)
    const leaves = shelves
      .map(({ blobs }) => blobs.get(blobKey('leaves', this.root)))
      .find((found) => found !== undefined)!
    return chunkArrived.call(this, id, leaves.subarray(chunk * LEAF_BYTES, (chunk + 1) * LEAF_BYTES), now)
  }
  return () => void Object.assign(BlobFetch.prototype, { next, chunkArrived })
}
