/**
 * One byte form for each value: fast-json-stable-stringify under a strict profile, checked by author and reader alike.
 * Under the profile it equals RFC 8785 (a differential test holds that), so any language can check our hashes.
 */
import stringify from 'fast-json-stable-stringify'
import { fromUtf8, utf8 } from './bytes.ts'
import { TributaryError } from './errors.ts'

export type Canonical = string | number | boolean | readonly Canonical[] | { readonly [key: string]: Canonical }
export type CanonicalRecord = { readonly [key: string]: Canonical }

/** Bytes a document of each kind may take. */
export const SIZE_LIMITS = {
  op: 4 * 1024,
  evidence: 16 * 1024,
  recipe: 256 * 1024,
  receipt: 16 * 1024 * 1024,
  manifest: 64 * 1024 * 1024,
} as const

const KEY = /^[a-z][a-z0-9_]{0,63}$/
const DEPTH_MAX = 12

/** Steps from the top down: receipts have many thousands of values, and a pointer is written for the one that is refused. */
type Path = (string | number)[]

function refuse(why: string, path: Path): TributaryError {
  const pointer = path.map((step) => `/${step}`).join('')
  return new TributaryError('NOT_CANONICAL', `${why} at ${pointer || 'the top'}`, { pointer })
}

const ASCII = /^[\0-\x7f]*$/

function check(value: unknown, path: Path): void {
  if (path.length >= DEPTH_MAX) throw refuse(`nested deeper than ${DEPTH_MAX}`, path)
  if (typeof value === 'string') {
    if (ASCII.test(value)) return
    if (!value.isWellFormed()) throw refuse('a lone surrogate', path)
    if (value.normalize('NFC') !== value) throw refuse('text that is not NFC', path)
  } else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw refuse('a number that is not a safe integer', path)
  } else if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) checkAt(i, value[i], path)
  } else if (isPlain(value)) {
    for (const key of Object.keys(value)) {
      if (!KEY.test(key)) throw refuse(`the key ${JSON.stringify(key.slice(0, 80))}, which is not snake_case,`, path)
      checkAt(key, value[key], path)
    }
  } else if (typeof value === 'object' && value !== null) throw refuse('an object that is not a plain record', path)
  else if (typeof value !== 'boolean')
    throw refuse(value === null || value === undefined ? String(value) : `a ${typeof value}`, path)
}

function checkAt(step: string | number, value: unknown, path: Path): void {
  path.push(step)
  check(value, path)
  path.pop()
}

/** Dates, maps and instances would be written as something else than what they are. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Throws unless the value is inside the profile. */
export function checkCanonical(value: unknown): asserts value is Canonical {
  check(value, [])
}

export const canonicalText = (value: Canonical): string => {
  checkCanonical(value)
  return stringify(value)
}

export const canonicalBytes = (value: Canonical): Uint8Array => utf8(canonicalText(value))

/** The value these bytes are the canonical form of; anything else (spaces, other order, repeated keys) is refused. */
export function parseCanonical(bytes: Uint8Array, limit: number): Canonical {
  if (bytes.length > limit)
    throw new TributaryError('NOT_CANONICAL', `${bytes.length} bytes, where at most ${limit} are allowed`)
  const text = fromUtf8(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new TributaryError('NOT_CANONICAL', 'this is not JSON', { cause })
  }
  checkCanonical(value)
  if (stringify(value) !== text) throw new TributaryError('NOT_CANONICAL', 'this JSON is not in canonical form')
  return value
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The same record without the fields that are undefined: an absent field is left out, never null. */
export function without<T extends Record<string, unknown>>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as never
}
