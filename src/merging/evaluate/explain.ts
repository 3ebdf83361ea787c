/** What the engine knows of a strategy without reading a byte: for plans, docs and the contract tests. */
import type { TObject } from 'typebox'
import { Value } from 'typebox/value'
import type { Strategy } from '../../core/strategy.ts'
import { explainPrepared, type Explained } from './explain-prepared.ts'

/** Parameters that each contribution has may stand among `params`. */
export function explain(strategy: Strategy, params: Readonly<Record<string, unknown>>, count: number): Explained {
  const fill = (schema: TObject | undefined): unknown =>
    schema === undefined
      ? {}
      : Value.Default(schema, Object.fromEntries(Object.entries(params).filter(([name]) => name in schema.properties)))
  const own = fill(strategy.perContribution as TObject | undefined)
  return explainPrepared(strategy, fill(strategy.params as TObject), own, count)
}
