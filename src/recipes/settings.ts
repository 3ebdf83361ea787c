/** What a recipe sets for a strategy: parameters, gradients over the layers, and overrides for some tensors. */
import { parseWeight } from '../core/decimal.ts'
import {
  at,
  below,
  integerOf,
  invalid,
  listOf,
  numberOf,
  openRecordOf,
  optional,
  type Read,
  recordOf,
  show,
  textOf,
  unsupported,
} from './reader.ts'

/** A parameter as written; its strategy's schema says later what it must be. */
export type Setting = string | number | boolean | readonly Setting[]
export type Settings = Readonly<Record<string, Setting>>
/** A value per layer, linear between the numbers given, from the first layer to the last. */
export interface Gradient {
  readonly gradient: readonly number[]
}
export type Varying = Setting | Gradient

export interface Override {
  readonly match: string
  readonly strategy?: StrategyChoice
  readonly params: Readonly<Record<string, Varying>>
}

export interface InputOverride {
  readonly match: string
  readonly weight?: number | Gradient
  readonly params: Readonly<Record<string, Varying>>
}

export interface StrategyChoice {
  readonly id: string
  readonly version?: number
  readonly params: Settings
}

export function strategyOf(value: unknown, pointer: string): StrategyChoice {
  if (typeof value === 'string') return { id: textOf(value, pointer), params: {} }
  const it = recordOf(value, pointer, ['id', 'version', 'params'])
  const version = optional(it['version'], `${pointer}/version`, (v, where) => integerOf(v, where, 1))
  return {
    id: textOf(it['id'], `${pointer}/id`),
    ...(version !== undefined && { version }),
    params: optional(it['params'], `${pointer}/params`, settingsOf) ?? {},
  }
}

const NESTING_MAX = 4

function settingOf(value: unknown, pointer: string, depth = 0): Setting {
  if (typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number') return numberOf(value, pointer)
  if (Array.isArray(value) && depth < NESTING_MAX)
    return value.map((item: unknown, i) => settingOf(item, below(pointer, i), depth + 1))
  throw invalid(pointer, `must be a number, text, true, false or a list of these, not ${show(value)}`)
}

export const settingsOf: Read<Settings> = (value, pointer) => mapValues(value, pointer, settingOf)

function mapValues<T>(value: unknown, pointer: string, read: Read<T>): Readonly<Record<string, T>> {
  const it = openRecordOf(value, pointer)
  return Object.fromEntries(Object.entries(it).map(([key, item]) => [key, read(item, below(pointer, key))]))
}

const GRADIENT_MAX = 4096

function gradientOf(value: unknown, pointer: string): Gradient | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const list = listOf(recordOf(value, pointer, ['gradient'])['gradient'], `${pointer}/gradient`, numberOf)
  if (list.length === 0 || list.length > GRADIENT_MAX)
    throw invalid(`${pointer}/gradient`, `must hold 1 to ${GRADIENT_MAX} numbers, not ${list.length}`)
  return { gradient: list }
}

const varyingOf: Read<Varying> = (value, pointer) => gradientOf(value, pointer) ?? settingOf(value, pointer)

const MATCH_MAX = 1024

const matchOf: Read<string> = (value, pointer) => {
  const match = textOf(value, pointer)
  if (match.startsWith('re:'))
    throw unsupported(pointer, 'is a regular expression', 'use * for any text and ? for one character')
  if (match.length > MATCH_MAX) throw invalid(pointer, `is longer than ${MATCH_MAX} characters`)
  return match
}

export function overrideOf(value: unknown, pointer: string): Override {
  const it = recordOf(value, pointer, ['match', 'strategy', 'params'])
  const strategy = optional(it['strategy'], `${pointer}/strategy`, strategyOf)
  const params = optional(it['params'], `${pointer}/params`, (v, where) => mapValues(v, where, varyingOf)) ?? {}
  if (strategy === undefined && Object.keys(params).length === 0)
    throw invalid(pointer, 'changes nothing', 'give it a strategy or params')
  return { match: matchOf(it['match'], `${pointer}/match`), ...(strategy && { strategy }), params }
}

export function inputOverrideOf(value: unknown, pointer: string): InputOverride {
  const it = recordOf(value, pointer, ['match', 'weight', 'params'])
  const weight = optional(it['weight'], `${pointer}/weight`, (v, where) => gradientOf(v, where) ?? weightOf(v, where))
  const params = optional(it['params'], `${pointer}/params`, (v, where) => mapValues(v, where, varyingOf)) ?? {}
  if (weight === undefined && Object.keys(params).length === 0)
    throw invalid(pointer, 'changes nothing', 'give it a weight or params')
  return { match: matchOf(it['match'], `${pointer}/match`), ...(weight !== undefined && { weight }), params }
}

export const weightOf: Read<number> = (value, pointer) => {
  numberOf(value, pointer)
  return at(pointer, () => parseWeight(value))
}
