/** What a task has left to do where some of its outcomes are known already. */
import type { Strategy } from '../core/strategy.ts'
import { RuleFacts } from './memory.ts'
import type { MergeTask } from './task.ts'

/**
 * Of the tensors whose outcomes are known, those that may be taken over: tensors that are measured together, over the whole
 * model, are all known, or all computed.
 */
export function takenOver(
  { tensors }: Pick<MergeTask, 'tensors'>,
  known: ReadonlySet<string>,
  strategies: readonly Strategy[],
): ReadonlySet<string> {
  const facts = new RuleFacts(strategies)
  const together = new Map(
    tensors.flatMap(({ name, rule }) =>
      rule.kind === 'merge' && facts.of(rule).wholeModel ? [[name, rule.strategy] as const] : [],
    ),
  )
  const open = new Set([...together].flatMap(([name, strategy]) => (known.has(name) ? [] : [strategy])))
  return new Set([...known].filter((name) => !open.has(together.get(name) ?? '')))
}
