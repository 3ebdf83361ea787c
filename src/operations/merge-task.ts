/** The task of a merge over stored models: every stream is a blob, every output a file that the caller made. */
import type { ModelId } from '../core/ids.ts'
import { at, invariant } from '../core/invariant.ts'
import { buildTask, type TaskRequest } from '../merging/build-task.ts'
import { planMemory, RuleFacts } from '../merging/memory.ts'
import type { MergeTask, TensorSlice } from '../merging/task.ts'
import type { Source } from '../recipes/align.ts'
import type { Context } from './context.ts'
import { findManifest } from './models.ts'
import type { Selected } from './selection.ts'

export function mergeTaskOf(
  context: Context,
  { resolved, modelOf, base }: Selected,
  target: TaskRequest['target'],
  pathOf: (root: string) => string,
): MergeTask {
  const tables = new Map<string, ReadonlyMap<string, TensorSlice>>()
  const tableOf = (model: ModelId): ReadonlyMap<string, TensorSlice> => {
    let table = tables.get(model)
    if (table === undefined) {
      const manifest = findManifest(context, model)
      invariant(manifest, 'a model of the task is here')
      table = new Map(
        manifest.tensors.map(({ name, root, bytes, dtype }) => [
          name,
          { path: pathOf(root), offset: 0, bytes, dtype, root },
        ]),
      )
      tables.set(model, table)
    }
    return table
  }
  const modelAt = (source: Source): ModelId => {
    const model = source === 'base' ? base : modelOf.get(at(resolved.inputs, source).candidate.content)
    invariant(model, 'every stream of the task comes from a stored model')
    return model
  }
  const task = buildTask(
    {
      resolved,
      locate: (source, tensor) => {
        const slice = tableOf(modelAt(source)).get(tensor)
        invariant(slice, `${tensor} is in the model that is aligned to have it`)
        return slice
      },
      target,
    },
    context.limits.tileBytes,
  )
  const { tileBytes, maskBytes, workers } = planMemory(
    task.tensors,
    new RuleFacts(context.strategies),
    context.merger.resources,
  )
  return { ...task, tileBytes: Math.min(task.tileBytes, tileBytes), maskBytes, workers }
}
