/**
 * What is good of a tensor that rotted on the own disk: once a replica has given its leaf hashes, each chunk that is still
 * what it should be is taken over, and the others alone are fetched.
 */
import { Bitmap } from '../core/bitmap.ts'
import { equalBytes, hex } from '../core/bytes.ts'
import type { Clock } from '../core/clock.ts'
import { isTributaryError } from '../core/errors.ts'
import type { TensorRoot } from '../core/ids.ts'
import { leafHash, treeHead } from '../core/merkle.ts'
import type { OpenFile } from '../storage/file-system.ts'
import type { BlobSource } from '../transport/blob-source.ts'
import { CHUNK_BYTES, chunksIn, LEAF_BYTES } from './fetch-plan.ts'

const PATIENCE_MS = 15_000

export interface Salvaging {
  readonly sources: readonly BlobSource[]
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
}

/** Copies the good chunks to where they belong in `target`; answers which. None where no source says what is good. */
export async function salvage(
  { root, bytes }: { readonly root: TensorRoot; readonly bytes: number },
  rotten: OpenFile,
  target: OpenFile,
  salvaging: Salvaging,
): Promise<Bitmap> {
  const good = new Bitmap(chunksIn(bytes))
  const leaves = await leavesOf(root, good.length, salvaging)
  if (leaves === undefined) return good
  for (const [i, leaf] of leaves.entries()) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, bytes - i * CHUNK_BYTES))
    const read = await rotten.read(chunk, i * CHUNK_BYTES).catch(() => 0) // a sector that can't be read is not good
    if (read < chunk.length || !equalBytes(leafHash(chunk), leaf)) continue
    await target.write(chunk, i * CHUNK_BYTES)
    good.add(i)
  }
  await target.sync()
  return good
}

/** From the first source that gives such as hash to the root. Who gives others is found out by the fetch itself. */
async function leavesOf(
  root: TensorRoot,
  chunks: number,
  { sources, clock, signal }: Salvaging,
): Promise<readonly Uint8Array[] | undefined> {
  for (const source of sources) {
    const late = new AbortController()
    const callOff = clock.after(PATIENCE_MS, () => late.abort())
    const pieces: Uint8Array[] = []
    try {
      const either = AbortSignal.any([late.signal, ...(signal === undefined ? [] : [signal])])
      for await (const piece of source.leaves(root, chunks * LEAF_BYTES, either)) pieces.push(piece.slice())
    } catch (error) {
      if (!isTributaryError(error)) throw error
      continue
    } finally {
      callOff()
    }
    const all = Buffer.concat(pieces)
    if (all.length !== chunks * LEAF_BYTES) continue
    const leaves = Array.from(
      { length: chunks },
      (_, i) => new Uint8Array(all.subarray(i * LEAF_BYTES, (i + 1) * LEAF_BYTES)),
    )
    if (hex(treeHead(leaves)) === root) return leaves
  }
  return undefined
}
