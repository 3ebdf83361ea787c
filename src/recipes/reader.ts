/** Reading a document of unknown form, field by field. What is refused is refused with the pointer to its place. */
import { isRecord } from '../core/canonical.ts'
import { parseDecimal } from '../core/decimal.ts'
import { TributaryError, isTributaryError } from '../core/errors.ts'
import { suggest } from '../core/closest.ts'

export const invalid = (pointer: string, what: string, hint?: string) =>
  new TributaryError('RECIPE_INVALID', `${pointer === '' ? 'the recipe' : pointer} ${what}`, {
    pointer,
    ...(hint !== undefined && { hint }),
  })

export const unsupported = (pointer: string, what: string, hint: string) =>
  new TributaryError('RECIPE_UNSUPPORTED', `${pointer === '' ? 'the recipe' : pointer} ${what}`, { pointer, hint })

/** One step down: RFC 6901 escapes. */
export const below = (pointer: string, key: string | number): string =>
  `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`

export const show = (value: unknown): string => {
  if (value === undefined) return 'nothing'
  if (typeof value === 'number') return String(value) // NaN and infinities have no JSON
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}

/** A record with no key outside the list. */
export function recordOf(value: unknown, pointer: string, keys: readonly string[]): Record<string, unknown> {
  if (!isRecord(value)) throw invalid(pointer, `must be a record of fields, not ${show(value)}`)
  for (const key of Object.keys(value))
    if (!keys.includes(key)) throw invalid(below(pointer, key), 'is an unknown field', suggest(key, keys))
  return value
}

/** A record whose keys are not known here. */
export function openRecordOf(value: unknown, pointer: string): Record<string, unknown> {
  if (!isRecord(value)) throw invalid(pointer, `must be a record of fields, not ${show(value)}`)
  return value
}

export function listOf<T>(value: unknown, pointer: string, read: (item: unknown, pointer: string) => T): readonly T[] {
  if (!Array.isArray(value)) throw invalid(pointer, `must be a list, not ${show(value)}`)
  return value.map((item: unknown, i) => read(item, below(pointer, i)))
}

export function pairOf<A, B>(
  value: unknown,
  pointer: string,
  first: (item: unknown, pointer: string) => A,
  second: (item: unknown, pointer: string) => B,
): readonly [A, B] {
  if (!Array.isArray(value) || value.length !== 2)
    throw invalid(pointer, `must be a list of two, [what, value], not ${show(value)}`)
  return [first(value[0], below(pointer, 0)), second(value[1], below(pointer, 1))]
}

export function textOf(value: unknown, pointer: string): string {
  if (typeof value !== 'string' || value === '') throw invalid(pointer, `must be text, not ${show(value)}`)
  if (!value.isWellFormed() || value.normalize('NFC') !== value)
    throw invalid(pointer, 'must be Unicode in the composed form, NFC')
  return value
}

/** A number or a decimal string. */
export function numberOf(value: unknown, pointer: string): number {
  try {
    return parseDecimal(value)
  } catch {
    throw invalid(pointer, `must be a finite number, not ${show(value)}`, 'write it like 0.25, 3 or 1e-4')
  }
}

export function integerOf(value: unknown, pointer: string, least = 0): number {
  const number = numberOf(value, pointer)
  if (!Number.isSafeInteger(number) || number < least)
    throw invalid(pointer, `must be a whole number from ${least} below 2⁵³, not ${show(value)}`)
  return number
}

export function oneOf<T extends string>(value: unknown, pointer: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value)
  if (found === undefined)
    throw invalid(
      pointer,
      `must be one of ${choices.join(', ')}, not ${show(value)}`,
      typeof value === 'string' ? suggest(value, choices) : undefined,
    )
  return found
}

/** What another module refuses, with the pointer it could not know. */
export function at<T>(pointer: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!isTributaryError(error) || error.pointer !== undefined) throw error
    const { code, message, details, hint } = error
    throw new TributaryError(code, `${pointer}: ${message}`, {
      details,
      pointer,
      cause: error,
      ...(hint !== undefined && { hint }),
    })
  }
}

/** How a value at a place of a document is read. */
export type Read<T> = (value: unknown, pointer: string) => T
export const optional = <T>(value: unknown, pointer: string, read: Read<T>): T | undefined =>
  value === undefined ? undefined : read(value, pointer)
