/** The manifest of a checkpoint on this machine: every tensor's root and every file's SHA-256, from the bytes themselves. */
import { createHash } from 'node:crypto'
import type { FileDigest, TensorRoot } from '../core/ids.ts'
import { at, invariant } from '../core/invariant.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { refusePickle } from '../tensors/file-kinds.ts'
import { makeManifest, type Manifest } from '../tensors/manifest.ts'
import type { Merger, Watch } from './merger.ts'
import { type Checkpoint, type WeightsFile, withFile } from './read-checkpoint.ts'
import type { DigestOutcome } from './task.ts'

/** What was found in a weights file earlier. Who must be sure of every byte passes none. */
export interface DigestCache {
  find(file: WeightsFile): Promise<readonly DigestOutcome[] | undefined>
  keep(file: WeightsFile, outcomes: readonly DigestOutcome[]): Promise<void>
}

export interface Digested {
  readonly checkpoint: Checkpoint
  readonly manifest: Manifest
  /** Tensors with NaN or infinity among their elements. */
  readonly notFinite: readonly { readonly tensor: string; readonly count: number }[]
}

export interface Digesting {
  readonly files: FileSystem
  readonly merger: Merger
  readonly cache?: DigestCache
}

export async function digestCheckpoint(
  checkpoint: Checkpoint,
  digesting: Digesting,
  watch: Watch = {},
): Promise<Digested> {
  return at(await digestCheckpoints([checkpoint], digesting, watch), 0)
}

/** All weights files that the cache does not know are read in one go. Progress counts the bytes of all tensors. */
export async function digestCheckpoints(
  checkpoints: readonly Checkpoint[],
  { files, merger, cache }: Digesting,
  { onProgress, signal }: Watch = {},
): Promise<readonly Digested[]> {
  const found = new Map<WeightsFile, readonly DigestOutcome[]>()
  const unread: { readonly file: WeightsFile; readonly checkpoint: Checkpoint }[] = []
  let before = 0
  for (const checkpoint of checkpoints)
    for (const file of checkpoint.weights) {
      const known = await cache?.find(file)
      if (known === undefined) unread.push({ file, checkpoint })
      else {
        found.set(file, known)
        before += file.header.dataBytes
      }
    }
  if (before > 0) onProgress?.(before)
  const tensors = unread.flatMap(({ file, checkpoint }) =>
    file.header.tensors.map(({ name }) => ({ name, slice: checkpoint.slice(name) })),
  )
  const toTell = { ...(signal && { signal }), onProgress: (bytesDone: number) => onProgress?.(before + bytesDone) }
  const outcomes = unread.length === 0 ? [] : await merger.digest({ tensors }, toTell)
  let next = 0
  for (const { file } of unread) {
    const own = outcomes.slice(next, (next += file.header.tensors.length))
    found.set(file, own)
    await cache?.keep(file, own)
  }
  const digested: Digested[] = []
  for (const checkpoint of checkpoints)
    digested.push(
      await digestedOf(
        checkpoint,
        checkpoint.weights.flatMap((file) => found.get(file) ?? []),
        files,
      ),
    )
  return digested
}

async function digestedOf(
  checkpoint: Checkpoint,
  outcomes: readonly DigestOutcome[],
  files: FileSystem,
): Promise<Digested> {
  const byName = new Map(outcomes.map((outcome) => [outcome.name, outcome]))
  const outcomeOf = (name: string): DigestOutcome => {
    const outcome = byName.get(name)
    invariant(outcome, `${name} was digested`)
    return outcome
  }
  const manifest = makeManifest({
    tensors: checkpoint.tensors.map(({ name, dtype, shape, begin, end }) => ({
      name,
      dtype,
      shape,
      bytes: end - begin,
      root: outcomeOf(name).root as TensorRoot,
    })),
    files: await hashFiles(checkpoint, files),
    layout: checkpoint.weights.map(({ path, header, headerDigest }) => ({
      path,
      header: headerDigest,
      order: header.tensors.map(({ name }) => name),
    })),
  })
  const notFinite = outcomes.filter((outcome) => outcome.notFinite > 0)
  return { checkpoint, manifest, notFinite: notFinite.map(({ name, notFinite: count }) => ({ tensor: name, count })) }
}

/** What the cache knows, without reading data: undefined where any file is not in it. */
export async function recallDigests(
  { weights }: Checkpoint,
  cache: DigestCache,
): Promise<ReadonlyMap<string, DigestOutcome> | undefined> {
  const known = new Map<string, DigestOutcome>()
  for (const file of weights) {
    const found = await cache.find(file)
    if (found === undefined) return undefined
    for (const outcome of found) known.set(outcome.name, outcome)
  }
  return known
}

/** The files beside the weights. */
export async function hashFiles(checkpoint: Checkpoint, files: FileSystem) {
  const hashed = []
  for (const { path, location } of checkpoint.files) hashed.push({ path, ...(await hashFile(files, location, path)) })
  return hashed
}

const READ_BYTES = 1024 * 1024

/** SHA-256 of a whole file; one that is a pickle is refused, whatever it is called. */
export const hashFile = (files: FileSystem, location: string, path: string) =>
  withFile(files, location, async (file) => {
    const hash = createHash('sha256')
    // a mebibyte for each of many small files would keep the collector busy
    const chunk = new Uint8Array(Math.min(READ_BYTES, (await file.bytes()) + 1))
    let bytes = 0
    for (;;) {
      const part = chunk.subarray(0, await file.read(chunk, bytes))
      if (bytes === 0) refusePickle(path, part)
      if (part.length === 0) break
      hash.update(part)
      bytes += part.length
    }
    return { bytes, sha256: hash.digest('hex') as FileDigest }
  })

/** Tensors that two models with the same names do not share, by their roots. */
export function firstDifference(
  expected: readonly { readonly name: string; readonly root: string }[],
  found: readonly { readonly name: string; readonly root: string }[],
): { readonly tensor: string; readonly expected: string; readonly found: string } | undefined {
  const roots = new Map(found.map(({ name, root }) => [name, root]))
  for (const { name, root } of expected) {
    const other = roots.get(name)
    if (other !== root) return { tensor: name, expected: root, found: other ?? 'missing' }
    roots.delete(name)
  }
  const [extra] = [...roots]
  return extra && { tensor: at(extra, 0), expected: 'missing', found: at(extra, 1) }
}
