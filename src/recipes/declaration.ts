/** Which strategy a recipe means, and what of its declaration recipes read. */
import type { TObject } from 'typebox'
import { TributaryError, isTributaryError } from '../core/errors.ts'
import { findStrategy } from '../core/prepare.ts'
import type { Needs, Strategy } from '../core/strategy.ts'
import type { StrategyChoice } from './settings.ts'

export interface Found {
  readonly strategy: Strategy
  /** What the alias fills in; a recipe's own params come after. An alias never enters a digest. */
  readonly params: Readonly<Record<string, unknown>>
  /** Parameters that have no default under the name that was used. */
  readonly requires: readonly string[]
}

export const paramsOf = (strategy: Strategy): TObject => strategy.params as TObject
export const eachParamsOf = (strategy: Strategy): TObject | undefined => strategy.perContribution as TObject | undefined
export const needsOf = (strategy: Strategy): Needs => strategy.needs as Needs

/** The strategy of this id or alias, in the version asked for. */
export function findChosen(
  strategies: readonly Strategy[],
  { id, version }: Pick<StrategyChoice, 'id' | 'version'>,
  pointer = '/strategy',
): Found {
  const { strategy, alias } = findNamed(strategies, id, pointer)
  if (version !== undefined && version !== strategy.version)
    throw new TributaryError(
      'STRATEGY_VERSION_UNKNOWN',
      `${pointer} asks for version ${version} of ${strategy.id}; this program has version ${strategy.version}`,
      { pointer, hint: 'leave the version out, or use a program that has it' },
    )
  return { strategy, params: alias?.params ?? {}, requires: alias?.requires ?? [] }
}

function findNamed(strategies: readonly Strategy[], id: string, pointer: string) {
  try {
    return findStrategy(strategies, id)
  } catch (error) {
    if (!isTributaryError(error)) throw error
    const { code, message, details, hint } = error
    throw new TributaryError(code, `${pointer}: ${message}`, {
      details,
      pointer,
      ...(hint !== undefined && { hint }),
    })
  }
}
