/** What each strategy says about itself, as data: from this follow forms, help and docs. */
import { findStrategy } from '../core/prepare.ts'
import type { Needs, Strategy } from '../core/strategy.ts'
import { explain } from '../merging/evaluate/explain.ts'
import type { StrategyView } from './operations.ts'

/** Contributions a strategy is explained for: enough that a fold shows. */
const COUNT = 3

export function strategyView(strategy: Strategy): StrategyView {
  const { id, version, family, shape, title, summary, references, aliases = [], laws } = strategy
  const needs = strategy.needs as Needs
  const { incremental, passes } = explain(strategy, {}, Math.min(COUNT, needs.contributions.max ?? COUNT))
  const params: unknown = strategy.params
  const perContribution: unknown = strategy.perContribution
  return {
    id,
    version,
    family,
    shape,
    title,
    summary,
    references,
    aliases,
    params,
    ...(perContribution !== undefined && { per_contribution: perContribution }),
    needs,
    // a function of the count goes out as what it tolerates of 3, 5 and 9 contributions
    laws: { ...laws, ...(laws.tolerates && { tolerates: [3, 5, 9].map((count) => [count, laws.tolerates?.(count)]) }) },
    incremental,
    passes,
  }
}

export const strategyNamed = (strategies: readonly Strategy[], id: string): StrategyView =>
  strategyView(findStrategy(strategies, id).strategy)
