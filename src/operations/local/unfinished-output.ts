/** What a run that was killed left of this merge: tensors that its journal claims and whose bytes prove it. */
import { takenOver } from '../../merging/known-tensors.ts'
import type { MergeTask, TensorOutcome } from '../../merging/task.ts'
import type { LocalContext } from './local-context.ts'
import type { LocalWatch } from './local-operations.ts'

export async function takeOver(
  task: MergeTask,
  claims: readonly TensorOutcome[],
  { merger, strategies }: LocalContext,
  out: string,
  { onProgress, signal }: LocalWatch,
): Promise<readonly TensorOutcome[]> {
  const claimed = new Map(claims.map((claim) => [claim.name, claim]))
  const wanted = task.tensors.filter(({ name }) => claimed.has(name))
  if (wanted.length === 0) return []
  const total = wanted.reduce((sum, { target }) => sum + target.bytes, 0)
  const found = await merger.digest(
    { tensors: wanted.map(({ name, dtype, target }) => ({ name, slice: { ...target, dtype } })) },
    {
      ...(signal && { signal }),
      onProgress: (done) => onProgress?.({ phase: 'verifying', what: out, bytes_done: done, bytes_total: total }),
    },
  )
  const proved = found.filter(({ name, root }) => claimed.get(name)?.root === root).map(({ name }) => name)
  const taken = new Set(takenOver(task, new Set(proved), strategies))
  return claims.filter(({ name }) => taken.delete(name)) // each once
}
