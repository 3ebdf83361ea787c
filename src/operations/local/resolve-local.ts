/** A local recipe resolved: its sources digested or, for a plan, as far as headers go. */
import { utf8 } from '../../core/bytes.ts'
import { sha256Hex } from '../../core/digest.ts'
import type { ContentRoot, FileDigest, TensorRoot } from '../../core/ids.ts'
import { at, invariant } from '../../core/invariant.ts'
import { type Digested, digestCheckpoints, hashFiles, recallDigests } from '../../merging/digest-checkpoint.ts'
import type { Checkpoint } from '../../merging/read-checkpoint.ts'
import type { DigestOutcome } from '../../merging/task.ts'
import type { Candidate, Headers } from '../../recipes/candidate.ts'
import { type Resolved, resolve } from '../../recipes/resolve.ts'
import type { Source as Stream } from '../../recipes/align.ts'
import { contentRootOf, type ManifestTensor } from '../../tensors/manifest.ts'
import type { LocalContext } from './local-context.ts'
import type { LocalWatch } from './local-operations.ts'
import type { Source, Sources } from './sources.ts'

interface Known {
  readonly content: ContentRoot
  readonly headers: Headers
}

/** Every source hashed, or found in the cache. */
export async function digestSources(
  { all }: Sources,
  { files, merger, cache }: LocalContext,
  { onProgress, signal }: LocalWatch,
): Promise<ReadonlyMap<Source, Digested>> {
  const checkpoints = all.map(({ checkpoint }) => checkpoint)
  const total = checkpoints.reduce((sum, { bytes }) => sum + bytes, 0)
  const onBytes = (done: number): void => {
    onProgress?.({
      phase: 'hashing inputs',
      what: refAt(checkpoints, done),
      bytes_done: done,
      bytes_total: total,
    })
  }
  const digested = await digestCheckpoints(
    checkpoints,
    { files, merger, ...(cache && { cache }) },
    { onProgress: onBytes, ...(signal && { signal }) },
  )
  return new Map(all.map((source, i) => [source, at(digested, i)]))
}

/** They are read one after the other, or nearly so: the one that these bytes end in. */
function refAt(checkpoints: readonly Checkpoint[], done: number): string {
  let before = 0
  for (const { ref, bytes } of checkpoints) if (done <= (before += bytes)) return ref
  return at(checkpoints, checkpoints.length - 1).ref
}

/** Whether the cache has the roots of all weights, so that nothing will be hashed. */
export async function isKnown({ all }: Sources, { cache }: LocalContext): Promise<boolean> {
  for (const { checkpoint } of all)
    for (const file of checkpoint.weights) if ((await cache?.find(file)) === undefined) return false
  return true
}

/**
 * Roots from the cache where every source has them there, and then the small files are hashed too, so that ids follow; else
 * names that stand for bytes nobody read yet.
 */
export async function recallSources({ all }: Sources, { cache, files }: LocalContext) {
  const recalled = new Map<Source, ReadonlyMap<string, DigestOutcome>>()
  for (const source of all) {
    const outcomes = cache && (await recallDigests(source.checkpoint, cache))
    if (outcomes) recalled.set(source, outcomes)
  }
  const complete = recalled.size === all.length
  const known = new Map<Source, Known>()
  for (const source of all) {
    const { checkpoint } = source
    const outcomes = recalled.get(source)
    const place = sha256Hex(utf8(checkpoint.location))
    const tensors = checkpoint.tensors.map(({ name, dtype, shape, begin, end }): ManifestTensor => ({
      name,
      dtype,
      shape,
      bytes: end - begin,
      root: (outcomes?.get(name)?.root ?? `${place} ${name}`) as TensorRoot,
    }))
    const beside = complete
      ? await hashFiles(checkpoint, files)
      : checkpoint.files.map(({ path, bytes }) => ({ path, bytes, sha256: sha256Hex() as FileDigest }))
    const content = outcomes ? contentRootOf(tensors) : (place as ContentRoot)
    known.set(source, { content, headers: { tensors, files: beside } })
  }
  return { known, complete }
}

export function resolveLocal(sources: Sources, known: ReadonlyMap<Source, Known>, context: LocalContext): Resolved {
  const knownOf = (source: Source): Known => {
    const found = known.get(source)
    invariant(found, 'every source was looked at')
    return found
  }
  const { base, filesFrom } = sources
  return resolve({
    recipe: sources.loaded.recipe,
    strategies: context.strategies,
    candidates: sources.inputs.map((source): Candidate => ({
      ref: at(source.refs, 0),
      otherRefs: source.refs.slice(1),
      kind: 'full',
      ...knownOf(source),
    })),
    ...(base && { base: { ref: at(base.refs, 0), ...knownOf(base) } }),
    ...(filesFrom && { filesFrom: knownOf(filesFrom).headers }),
  })
}

/** The checkpoint behind the base or an input in canonical order. */
export function checkpointOf(sources: Sources, resolved: Resolved): (stream: Stream) => Checkpoint {
  const byRef = new Map(sources.all.flatMap(({ refs, checkpoint }) => refs.map((ref) => [ref, checkpoint])))
  return (stream) => {
    const ref = stream === 'base' ? resolved.base?.ref : at(resolved.inputs, stream).candidate.ref
    const checkpoint = ref === undefined ? undefined : byRef.get(ref)
    invariant(checkpoint, 'every stream lies in a source')
    return checkpoint
  }
}
