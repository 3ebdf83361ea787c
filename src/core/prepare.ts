/**
 * Between a recipe and a formula: finds the strategy, fills in defaults, and refuses by name whatever the declaration
 * does not allow, before a byte is read. Pointers lead into {params, inputs}.
 */
import type { TObject } from 'typebox'
import { Value } from 'typebox/value'
import { closest, suggest } from './closest.ts'
import { type ErrorExtras, TributaryError } from './errors.ts'
import type { Alias, Needs, Strategy } from './strategy.ts'

export interface Found {
  readonly strategy: Strategy
  /** What it was called, where that was not its id. */
  readonly alias?: Alias
}

/** The strategy of this id or alias. */
export function findStrategy(strategies: readonly Strategy[], name: string): Found {
  for (const strategy of strategies) {
    if (strategy.id === name) return { strategy }
    const alias = strategy.aliases?.find(({ id }) => id === name)
    if (alias) return { strategy, alias }
  }
  const known = strategies.flatMap(({ id, aliases = [] }) => [id, ...aliases.map((alias) => alias.id)])
  throw new TributaryError('STRATEGY_NOT_FOUND', `${JSON.stringify(name.slice(0, 80))} is no strategy`, {
    hint: suggest(name, known),
    details: { strategy: name.slice(0, 80) },
  })
}

export type Given = Readonly<Record<string, unknown>>

export interface Asked extends Found {
  /** Those of the whole merge. A parameter that each input has may stand here too: it is every input's, unless its own says else. */
  readonly params?: Given
  readonly inputs: readonly { readonly weight: number; readonly params?: Given; readonly role?: string }[]
  readonly hasBase: boolean
}

export interface Prepared {
  readonly strategy: Strategy
  readonly params: Given
  readonly inputs: readonly { readonly weight: number; readonly params: Given; readonly role?: string }[]
}

/** Everything filled in and checked; the formula can be recorded with this. */
export function prepareStrategy({ strategy, alias, params = {}, inputs, hasBase }: Asked): Prepared {
  const name = alias?.id ?? strategy.id
  const whole = strategy.params as TObject
  const each = strategy.perContribution as TObject | undefined
  const needs = strategy.needs as Needs
  checkNames(params, [...namesOf(whole), ...namesOf(each)], name, '/params')
  const called = { ...alias?.params, ...params }
  checkArity(needs, inputs.length, name)
  if (needs.base === 'required' && !hasBase)
    throw new TributaryError('BASE_REQUIRED', `${name} works on changes to a base, and none was named`, {
      hint: 'name the model that the contributions were trained from: base, or the base of the space',
    })
  const prepared: Prepared = {
    strategy,
    params: fill(whole, only(called, whole), alias, name, '/params'),
    inputs: inputs.map(({ weight, params: own = {}, role }, i) => {
      const at = `/inputs/${i}`
      checkNames(own, namesOf(each), name, `${at}/params`, namesOf(whole))
      return {
        weight: checkWeight(weight, needs, name, `${at}/weight`),
        params: each === undefined ? {} : fill(each, { ...only(called, each), ...own }, alias, name, `${at}/params`),
        ...(role !== undefined && { role }),
      }
    }),
  }
  checkRoles(prepared, needs, name)
  const refusal = strategy.check?.(prepared)
  if (refusal) {
    const { code, message, ...extras } = refusal
    throw new TributaryError(code, `${name}: ${message}`, extras)
  }
  return prepared
}

const namesOf = (schema: TObject | undefined): readonly string[] => Object.keys(schema?.properties ?? {})
const only = (given: Given, schema: TObject): Given =>
  Object.fromEntries(Object.entries(given).filter(([name]) => Object.hasOwn(schema.properties, name)))

const invalid = (pointer: string, what: string, extras: ErrorExtras = {}) =>
  new TributaryError('STRATEGY_PARAMS_INVALID', what, { pointer, ...extras })

function checkNames(
  given: Given,
  known: readonly string[],
  name: string,
  pointer: string,
  elsewhere: readonly string[] = [],
) {
  for (const param of Object.keys(given)) {
    if (known.includes(param)) continue
    const shown = JSON.stringify(param.slice(0, 80))
    const hint = elsewhere.includes(param)
      ? `${param} is one for the whole merge: move it to params`
      : suggest(param, known)
    throw invalid(
      below(pointer, param),
      `${name} has no parameter ${shown}${elsewhere.length > 0 ? ' for an input' : ''}`,
      { hint },
    )
  }
}

const below = (pointer: string, name: string): string =>
  `${pointer}/${name.slice(0, 80).replaceAll('~', '~0').replaceAll('/', '~1')}`

function fill(schema: TObject, given: Given, alias: Alias | undefined, name: string, pointer: string): Given {
  for (const required of alias?.requires ?? [])
    if (Object.hasOwn(schema.properties, required) && given[required] === undefined)
      throw invalid(below(pointer, required), `${name} needs ${required}, which has no default`, {
        hint: `say ${required} in params`,
      })
  const filled = Value.Default(schema, Value.Clone(said(given))) as Given
  const [problem] = Value.Errors(schema, filled)
  if (problem === undefined) return filled
  const missing = (problem.params as { readonly requiredProperties?: readonly string[] }).requiredProperties?.[0]
  if (missing !== undefined)
    throw invalid(below(pointer, missing), `${name} needs ${missing}`, { hint: `say ${missing} in params` })
  const param = problem.instancePath.split('/')[1] ?? ''
  const value = JSON.stringify(filled[param] ?? null).slice(0, 80)
  const choices = choicesOf(schema, param)
  if (choices.length === 0)
    throw invalid(`${pointer}${problem.instancePath}`, `${name}: ${param} is ${value}, and ${problem.message}`)
  const near = typeof filled[param] === 'string' ? closest(filled[param], choices) : undefined
  throw invalid(below(pointer, param), `${name}: ${param} is ${value}, and must be one of ${choices.join(', ')}`, {
    ...(near !== undefined && { hint: `did you mean ${near}?` }),
  })
}

/** A field given as undefined is a field left out. */
const said = (given: Given): Given =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))

function choicesOf(schema: TObject, param: string): readonly string[] {
  const branches = (
    schema.properties[param] as { readonly anyOf?: readonly { readonly const?: unknown }[] } | undefined
  )?.anyOf
  return (branches ?? []).map((branch) => branch.const).filter((value) => typeof value === 'string')
}

function checkArity({ contributions: { min, max } }: Needs, count: number, name: string) {
  if (count >= min && (max === undefined || count <= max)) return
  const wanted = max === undefined ? `at least ${min}` : min === max ? `exactly ${min}` : `${min} to ${max}`
  throw new TributaryError(
    'WRONG_NUMBER_OF_CONTRIBUTIONS',
    `${name} takes ${wanted} contribution${wanted.endsWith(' 1') ? '' : 's'}, and ${count} ${count === 1 ? 'was' : 'were'} selected`,
    {
      hint: count < min ? 'select more contributions' : 'select fewer contributions, or another strategy',
      details: { count, min, ...(max !== undefined && { max }) },
    },
  )
}

function checkWeight(weight: number, { weights }: Needs, name: string, pointer: string): number {
  const rounded = Math.fround(weight)
  const allowed =
    Number.isFinite(rounded) && (weights === 'positive' ? rounded > 0 : weights === 'nonNegative' ? rounded >= 0 : true)
  if (allowed) return rounded === 0 ? 0 : rounded
  const wanted = weights === 'positive' ? 'above zero' : weights === 'nonNegative' ? 'zero or more' : 'finite'
  throw invalid(pointer, `${name} takes weights ${wanted}, and this one is ${weight}`)
}

function checkRoles({ inputs }: Prepared, { roles = [] }: Needs, name: string) {
  const held = new Set<string>()
  inputs.forEach(({ role }, i) => {
    if (role === undefined) return
    const pointer = `/inputs/${i}/role`
    if (!roles.includes(role))
      throw invalid(pointer, `${name} has no role ${JSON.stringify(role.slice(0, 80))}`, { hint: suggest(role, roles) })
    if (held.has(role)) throw invalid(pointer, `two inputs are ${role}, and one may be`)
    held.add(role)
  })
}
