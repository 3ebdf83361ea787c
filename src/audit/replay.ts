/**
 * A merge computed again from its receipt's records alone. Every tensor is written to the same scratch space, one over the
 * other: what counts is its root. One tensor can be computed again to be compared byte by byte.
 */
import { checkWeight } from '../core/decimal.ts'
import { equalBytes } from '../core/bytes.ts'
import type { ContentRoot } from '../core/ids.ts'
import { at, invariant } from '../core/invariant.ts'
import type { Statement } from '../core/receipt.ts'
import type { Seed } from '../core/seed.ts'
import type { Strategy } from '../core/strategy.ts'
import { buildTask } from '../merging/build-task.ts'
import type { Digested } from '../merging/digest-checkpoint.ts'
import { planMemory, RuleFacts } from '../merging/memory.ts'
import type { Merger, Watch } from '../merging/merger.ts'
import { withFile } from '../merging/read-checkpoint.ts'
import type { MergeTask, TensorOutcome, TensorSlice } from '../merging/task.ts'
import { align } from '../recipes/align.ts'
import type { OutputDtype } from '../recipes/output.ts'
import type { Mismatch } from '../recipes/recipe.ts'
import { type MergeRecords, mergeIdOf, paramsBy, recipeIdOf, seedOf, strategiesInUse } from '../recipes/records.ts'
import type { Resolved } from '../recipes/resolve.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { tensorBytesOf } from '../tensors/safetensors.ts'
import { CHUNK_BYTES } from '../tensors/tensor-hasher.ts'

export const recordsOf = ({ recipe, inputs, base }: Statement): MergeRecords => ({
  recipe,
  inputs,
  ...(base !== undefined && { base }),
})

/** What `resolve` answered when the merge was asked for, from the records and the models themselves. */
export function resolveAgain(
  statement: Statement,
  byContent: ReadonlyMap<string, Digested>,
  strategies: readonly Strategy[],
): Resolved {
  const records = recordsOf(statement)
  const modelOf = (content: string) => {
    const found = byContent.get(content)
    invariant(found, 'a replay begins once every input was found')
    return { ref: found.checkpoint.ref, content: content as ContentRoot, headers: found.manifest }
  }
  const inputs = records.inputs.map((record) => {
    const { content, weight, role } = record as { content: string; weight: string; role?: string }
    return {
      candidate: { ...modelOf(content), kind: 'full' as const },
      record,
      weight: checkWeight(weight),
      ...(role !== undefined && { role }),
    }
  })
  const base = records.base === undefined ? undefined : modelOf(records.base)
  const { mismatch, out } = records.recipe as unknown as { mismatch: Mismatch; out: { dtype: OutputDtype } }
  const inUse = strategiesInUse(records, strategies).map(({ strategy }) => strategy)
  const labelled = ({ ref, headers }: ReturnType<typeof modelOf>) => ({ label: ref, tensors: headers.tensors })
  return {
    strategy: at(inUse, 0),
    strategies: [...new Set(inUse)],
    recipe: records.recipe,
    recipeId: recipeIdOf(records.recipe),
    inputs,
    ...(base && { base }),
    merge: mergeIdOf(records),
    seed: seedOf(records),
    paramsFor: paramsBy(records, strategies),
    alignment: align({
      inputs: inputs.map(({ candidate }) => labelled(candidate)),
      ...(base && { base: labelled(base) }),
      usesBase: base !== undefined,
      mismatch,
      dtype: out.dtype,
    }),
    leftOut: [],
    warnings: [],
  }
}

export interface Replay {
  readonly task: MergeTask
  run(watch: Watch): Promise<readonly TensorOutcome[]>
  /** Chunks of this tensor that differ from those at `slice`: the first one, or −1. */
  firstDifferingTile(tensor: string, slice: TensorSlice, watch: Watch): Promise<number>
}

export function prepareReplay(
  resolved: Resolved,
  byContent: ReadonlyMap<string, Digested>,
  scratch: string,
  { merger, files }: { readonly merger: Merger; readonly files: FileSystem },
): Replay {
  const draft = buildTask(
    {
      resolved,
      locate: (source, tensor) => {
        const content = source === 'base' ? resolved.base?.content : at(resolved.inputs, source).candidate.content
        const found = byContent.get(content ?? '')
        invariant(found, 'every stream lies in an input that was found')
        return found.checkpoint.slice(tensor)
      },
      target: ({ name }) => ({ path: scratch, offset: 0, bytes: bytesOf(resolved, name) }),
    },
    CHUNK_BYTES,
  )
  const { tileBytes, maskBytes, workers } = planMemory(
    draft.tensors,
    new RuleFacts(resolved.strategies),
    merger.resources,
  )
  const task: MergeTask = { ...draft, seed: resolved.seed satisfies Seed, tileBytes, maskBytes, workers }
  return {
    task,
    run: (watch) => merger.merge(task, watch),
    async firstDifferingTile(tensor, slice, watch) {
      // the others too, for what a strategy measures over the whole model, but not where its bytes stay
      const aside = bytesOf(resolved, tensor)
      const tensors = task.tensors.map((one) =>
        one.name === tensor ? one : { ...one, target: { ...one.target, offset: aside } },
      )
      await merger.merge({ ...task, tensors }, watch)
      return firstDifferingChunk(files, scratch, slice)
    },
  }
}

const bytesOf = ({ alignment }: Resolved, tensor: string): number => {
  const found = alignment?.tensors.find(({ name }) => name === tensor)
  invariant(found, `${tensor} is in the output`)
  return tensorBytesOf(found)
}

const firstDifferingChunk = (files: FileSystem, scratch: string, { path, offset, bytes }: TensorSlice) =>
  withFile(files, scratch, (replayed) =>
    withFile(files, path, async (written) => {
      const a = new Uint8Array(CHUNK_BYTES)
      const b = new Uint8Array(CHUNK_BYTES)
      for (let done = 0; done < bytes; done += CHUNK_BYTES) {
        const count = Math.min(CHUNK_BYTES, bytes - done)
        await replayed.read(a.subarray(0, count), done)
        await written.read(b.subarray(0, count), offset + done)
        if (!equalBytes(a.subarray(0, count), b.subarray(0, count))) return done / CHUNK_BYTES
      }
      return -1
    }),
  )
