/** Results of tensors in maps. */
import type { ContentRoot, MergeId } from '../../core/ids.ts'
import type { TensorResult, TensorResultRepository } from '../tensor-result-repository.ts'
import type { Journal } from './journal.ts'

export function createMemoryTensorResultRepository(journal: Journal): TensorResultRepository {
  const results = journal.map<string, { readonly result: TensorResult; readonly merge: MergeId }>()
  const sources = journal.map<MergeId, readonly ContentRoot[]>()

  function forget(unwanted: (row: { readonly result: TensorResult; readonly merge: MergeId }) => boolean): void {
    const touched = new Set<MergeId>()
    for (const [key, row] of results.entries())
      if (unwanted(row)) {
        results.delete(key)
        touched.add(row.merge)
      }
    const left = new Set(results.values().map(({ merge }) => merge))
    for (const merge of touched) if (!left.has(merge)) sources.delete(merge)
  }

  return {
    put({ merge, contents }, added) {
      for (const result of added) {
        if (results.has(result.key)) continue
        results.set(result.key, { result, merge })
        sources.set(merge, [...new Set([...(sources.get(merge) ?? []), ...contents])])
      }
    },
    find: (key) => results.get(key)?.result,
    forgetRoot(root) {
      forget(({ result }) => result.root === root)
    },
    forgetContent(content) {
      forget(({ merge }) => sources.get(merge)?.includes(content) === true)
    },
    count: () => results.size,
  }
}
