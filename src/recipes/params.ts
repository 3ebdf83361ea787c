/**
 * A strategy's parameters: read against its schema with every default filled, and printed for hashing: a number as a
 * decimal string, an integer as itself. Reading what was printed gives the same values.
 */
import type { TObject, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import type { Canonical, CanonicalRecord } from '../core/canonical.ts'
import { parseDecimal, printDecimal } from '../core/decimal.ts'
import { TributaryError } from '../core/errors.ts'
import { suggest } from '../core/closest.ts'
import type { Strategy } from '../core/strategy.ts'
import { eachParamsOf, paramsOf } from './declaration.ts'
import { below, show } from './reader.ts'

export type ParamValue = string | number | boolean | readonly ParamValue[]
export type Params = Readonly<Record<string, ParamValue>>

/** The few words of JSON Schema that parameters are declared with. */
interface Schema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly default?: unknown
}

const invalid = (pointer: string, what: string, hint?: string) =>
  new TributaryError('STRATEGY_PARAMS_INVALID', `${pointer} ${what}`, {
    pointer,
    ...(hint !== undefined && { hint }),
  })

export const namesOf = (schema: TObject | undefined): readonly string[] => Object.keys(schema?.properties ?? {})
const propertyOf = (schema: TObject, name: string): Schema => schema.properties[name] as Schema

/** The values given, each read by its schema; nothing is filled in. */
export function readSome(schema: TObject, given: Readonly<Record<string, unknown>>, pointer: string): Params {
  const read: Record<string, ParamValue> = {}
  for (const name of namesOf(schema)) {
    if (!Object.hasOwn(given, name)) continue
    const property = propertyOf(schema, name)
    const where = below(pointer, name)
    const value = readValue(property, given[name])
    const [problem] = value === undefined ? [] : Value.Errors(property as TSchema, value)
    if (value === undefined || problem !== undefined)
      throw invalid(where, `is ${show(given[name])}, and ${say(property, problem)}`)
    read[name] = value
  }
  return read
}

/** All of them: those given, else the defaults; one without either must be optional. */
export function fill(schema: TObject | undefined, given: Params, pointer: string): Params {
  if (schema === undefined) return {}
  const filled: Record<string, ParamValue> = {}
  const required = schema.required as readonly string[] | undefined
  for (const name of namesOf(schema)) {
    const value = given[name] ?? readValue(propertyOf(schema, name), propertyOf(schema, name).default)
    if (value !== undefined) filled[name] = value
    else if (required?.includes(name) === true)
      throw invalid(below(pointer, name), 'is missing, and it has no default', 'say it in params')
  }
  return filled
}

/** Refuses a name that neither schema knows. */
export function checkNames(
  given: Readonly<Record<string, unknown>>,
  known: readonly string[],
  id: string,
  pointer: string,
): void {
  for (const name of Object.keys(given))
    if (!known.includes(name))
      throw invalid(
        below(pointer, name),
        `is no parameter of ${id}`,
        known.length === 0 ? `${id} takes none here` : suggest(name, known),
      )
}

/** Those of the whole merge, and those each contribution has. */
export function split(strategy: Strategy, given: Readonly<Record<string, unknown>>, pointer: string) {
  const params = paramsOf(strategy)
  const perContribution = eachParamsOf(strategy)
  checkNames(given, [...namesOf(params), ...namesOf(perContribution)], strategy.id, pointer)
  return {
    whole: readSome(params, given, pointer),
    each: perContribution === undefined ? {} : readSome(perContribution, given, pointer),
  }
}

function readValue(schema: Schema, given: unknown): ParamValue | undefined {
  if (given === undefined || given === null) return undefined
  if (schema.anyOf !== undefined) {
    const literal = schema.anyOf.find((branch) => branch.const !== undefined && branch.const === given)
    if (literal !== undefined) return given as ParamValue
    for (const branch of schema.anyOf) {
      const value = branch.const === undefined ? readValue(branch, given) : undefined
      if (value !== undefined) return value
    }
    return undefined
  }
  if (schema.const !== undefined) return schema.const === given ? (given as ParamValue) : undefined
  if (schema.enum !== undefined) return schema.enum.includes(given) ? (given as ParamValue) : undefined
  switch (schema.type ?? '') {
    case 'number':
      return numeric(given)
    case 'integer': {
      const value = numeric(given)
      return Number.isSafeInteger(value) ? value : undefined
    }
    case 'boolean':
      return typeof given === 'boolean' ? given : undefined
    case 'string':
      return typeof given === 'string' ? given : undefined
    case 'array': {
      if (!Array.isArray(given)) return undefined
      const items = given.map((item: unknown) => readValue(schema.items ?? {}, item))
      return items.every((item) => item !== undefined) ? items : undefined
    }
    default:
      return undefined
  }
}

function numeric(given: unknown): number | undefined {
  try {
    return parseDecimal(given)
  } catch {
    return undefined
  }
}

function say(schema: Schema, problem: { readonly message: string } | undefined): string {
  const choices = schema.enum ?? schema.anyOf?.map((branch) => branch.const).filter((value) => value !== undefined)
  if (choices !== undefined && choices.length > 0) return `must be one of ${choices.map(String).join(', ')}`
  return (
    problem?.message ?? `must be ${schema.type === 'array' ? 'a list' : `a value of type ${schema.type ?? 'unknown'}`}`
  )
}

export function print(schema: TObject | undefined, values: Params): CanonicalRecord {
  if (schema === undefined) return {}
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, printValue(propertyOf(schema, name), value)]),
  )
}

function printValue(schema: Schema, value: ParamValue): Canonical {
  if (schema.anyOf !== undefined) {
    const branch = schema.anyOf.find((candidate) => Value.Check(candidate as TSchema, value))
    return printValue(branch ?? {}, value)
  }
  if (typeof value === 'number') return schema.type === 'integer' ? value : printDecimal(value)
  if (typeof value === 'object') return value.map((item) => printValue(schema.items ?? {}, item))
  return value
}
