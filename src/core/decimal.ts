/**
 * Numbers in hashed records are strings: ECMAScript's String(x), never "-0", so each f64 has one spelling. A weight is an
 * f32 and is spelled by the fewest significant digits (1 to 9) that round back to it.
 */
import { TributaryError } from './errors.ts'

declare const decimal: unique symbol
/** The one spelling of a finite f64. */
export type Decimal = string & { readonly [decimal]: true }

const FORM = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/

/** What was given, if it is short and can be said; else what kind of thing it is. */
const shown = (given: unknown): string =>
  typeof given === 'string'
    ? JSON.stringify(given.slice(0, 80))
    : typeof given === 'object' && given !== null
      ? `this ${Array.isArray(given) ? 'list' : 'record'}`
      : String(given)

const invalid = (given: unknown) =>
  new TributaryError('DECIMAL_INVALID', `${shown(given)} is not a finite decimal number`, {
    hint: 'write it like 0.25, 3 or 1e-4',
  })

/** A number, or its text in JSON's form, as an f64. */
export function parseDecimal(given: unknown): number {
  const value = typeof given === 'string' && given.length <= 64 && FORM.test(given) ? Number(given) : given
  if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(given)
  return value === 0 ? 0 : value
}

export function printDecimal(value: number): Decimal {
  if (!Number.isFinite(value)) throw invalid(value)
  return String(value === 0 ? 0 : value) as Decimal
}

/** Text that is its own one spelling, as it must be in a hashed record. */
export function checkDecimal(text: string): number {
  const value = parseDecimal(text)
  if (printDecimal(value) !== text)
    throw new TributaryError('NOT_CANONICAL', `the decimal ${JSON.stringify(text)} is spelled ${printDecimal(value)}`)
  return value
}

/** A weight: parsed as f64, then rounded once to f32. */
export function parseWeight(given: unknown): number {
  const weight = Math.fround(parseDecimal(given))
  if (!Number.isFinite(weight))
    throw new TributaryError('DECIMAL_INVALID', `the weight ${String(given)} is beyond what an f32 holds`)
  return weight === 0 ? 0 : weight
}

export function printWeight(weight: number): Decimal {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(weight.toPrecision(digits))
    if (Math.fround(short) === weight) return printDecimal(short)
  }
  throw invalid(weight) // nine digits always suffice for an f32
}

export function checkWeight(text: string): number {
  const weight = parseWeight(text)
  if (printWeight(weight) !== text)
    throw new TributaryError('NOT_CANONICAL', `the weight ${JSON.stringify(text)} is spelled ${printWeight(weight)}`)
  return weight
}
