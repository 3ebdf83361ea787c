/**
 * Strict reading of a record, field by field: each is asked for by name, the first that is wrong is refused with a
 * pointer to it, and what nobody asked for is refused at the end.
 */
import { isRecord } from './canonical.ts'
import { type ErrorCode, isTributaryError, TributaryError } from './errors.ts'
import { compareUtf8 } from './bytes.ts'

/** Makes the typed value, or throws what is wrong with it. */
export type Field<T> = (value: unknown) => T

const wrong = (message: string) => new TributaryError('NOT_CANONICAL', message)

export class Fields {
  readonly #record: Readonly<Record<string, unknown>>
  readonly #asked = new Set<string>()
  readonly #code: ErrorCode
  readonly #what: string

  constructor(value: unknown, code: ErrorCode, what: string) {
    this.#code = code
    this.#what = what
    if (!isRecord(value)) throw new TributaryError(code, `${what} is not an object`)
    this.#record = value
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#record, key)
  }

  take<T>(key: string, field: Field<T>): T {
    this.#asked.add(key)
    if (!this.has(key)) throw this.refusal(`lacks "${key}"`, key)
    try {
      return field(this.#record[key])
    } catch (error) {
      if (!isTributaryError(error)) throw error
      throw this.refusal(`has a wrong "${key}": ${error.message}`, `${key}${error.pointer ?? ''}`, error)
    }
  }

  /** An object without the field where it is absent: `{ ...fields.maybe('reason', text) }`. */
  maybe<Key extends string, T>(key: Key, field: Field<T>): { readonly [K in Key]?: T } {
    return this.has(key) ? ({ [key]: this.take(key, field) } as { [K in Key]: T }) : {}
  }

  /** A field that must not be there in this kind of record. */
  refuse(key: string, why: string): void {
    if (this.has(key)) throw this.refusal(`has "${key}": ${why}`, key)
  }

  /** Fields that nobody has asked for, as they are. */
  rest(): Readonly<Record<string, unknown>> {
    return Object.fromEntries(Object.entries(this.#record).filter(([key]) => !this.#asked.has(key)))
  }

  end(): void {
    const [unknown] = Object.keys(this.rest())
    if (unknown !== undefined) throw this.refusal(`has the unknown field "${unknown.slice(0, 80)}"`, unknown)
  }

  refusal(why: string, path: string, cause?: unknown): TributaryError {
    return new TributaryError(this.#code, `${this.#what} ${why}`, { pointer: `/${path}`, cause })
  }
}

export const text: Field<string> = (value) => {
  if (typeof value !== 'string' || value === '') throw wrong('it takes text, not empty')
  return value
}

/** Text of a form that a parser of ours knows: an id, a name, a decimal. */
export const textAs =
  <T>(parse: (given: string) => T): Field<T> =>
  (value) =>
    parse(text(value))

export const integer =
  (min: number): Field<number> =>
  (value) => {
    if (!Number.isSafeInteger(value) || (value as number) < min) throw wrong(`it takes an integer of at least ${min}`)
    return value as number
  }

export const oneOf =
  <const T extends string | number>(...allowed: readonly T[]): Field<T> =>
  (value) => {
    const found = allowed.find((item) => item === value)
    if (found === undefined) throw wrong(`it takes ${allowed.join(' or ')}`)
    return found
  }

export interface ListRule {
  readonly min: number
  readonly max: number
}

/** A list that is strictly ascending by UTF-8 bytes of each item's key: sorted, and no item twice. */
export const sortedList =
  <T>(item: Field<T>, keyOf: (item: T) => string, { min, max }: ListRule): Field<readonly T[]> =>
  (value) => {
    if (!Array.isArray(value) || value.length < min || value.length > max)
      throw wrong(`it takes a list of ${min} to ${max}`)
    const items = value.map(item)
    for (let i = 1; i < items.length; i++)
      if (compareUtf8(keyOf(items[i - 1]!), keyOf(items[i]!)) >= 0) throw wrong('its items are not sorted and distinct')
    return items
  }
