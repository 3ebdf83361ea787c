import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hex, utf8 } from '../../src/core/bytes.ts'
import * as canonical from '../../src/core/canonical.ts'
import { golden } from '../support/golden.ts'
import { refusalOf } from '../support/refusal.ts'

const key = fc.stringMatching(/^[a-z][a-z0-9_]{0,63}$/)
const text = fc.string({ unit: 'binary', maxLength: 16 }).map((any) => any.normalize('NFC'))
const integer = fc.maxSafeInteger().map((n) => (n === 0 ? 0 : n))
const { value: anyValue } = fc.letrec<{ value: canonical.Canonical }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 8, withCrossShrink: true },
    text,
    integer,
    fc.boolean(),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 6, noNullPrototype: true }),
  ),
}))

const parse = (json: string | Uint8Array) =>
  canonical.parseCanonical(typeof json === 'string' ? utf8(json) : json, canonical.SIZE_LIMITS.op)
const nested = (lists: number): canonical.Canonical => (lists === 0 ? [] : [nested(lists - 1)])

test('[CAN-1] the canonical form is that of RFC 8785 for every value of the profile', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      expect(canonical.canonicalText(value)).toBe(canonicalize(value))
    }),
    { seed: 8785, numRuns: 2_000 },
  )
})

test('[CAN-1] the canonical form is the one Python makes of the same values', () => {
  const { canonical: rows } = golden<{ canonical: { value: canonical.Canonical; base64url: string }[] }>('identity')
  for (const { value, base64url } of rows)
    expect(Buffer.from(canonical.canonicalBytes(value)).toString('base64url')).toBe(base64url)
})

test('[CAN-1] the order in which a record was filled leaves no trace', () => {
  expect(canonical.canonicalText({ b: 1, a: { d: [2, 1], c: true } })).toBe('{"a":{"c":true,"d":[2,1]},"b":1}')
})

test('[CAN-1] a record may have no prototype', () => {
  const bare = Object.assign(Object.create(null) as Record<string, string>, { b: 'x', a: 'y' })
  expect(canonical.canonicalText({ bare })).toBe('{"bare":{"a":"y","b":"x"}}')
})

test('[CAN-6] what was written is read back as the same value from the same bytes', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const bytes = canonical.canonicalBytes(value)
      const again = canonical.parseCanonical(bytes, canonical.SIZE_LIMITS.manifest)
      expect(again).toEqual(value)
      expect(hex(canonical.canonicalBytes(again))).toBe(hex(bytes))
    }),
    { seed: 6, numRuns: 500 },
  )
})

class Boxed {
  readonly v = 1
}
const outside: [what: string, value: unknown, says: string][] = [
  ['a fraction', 0.5, 'not a safe integer'],
  ['minus zero', -0, 'not a safe integer'],
  ['NaN', NaN, 'not a safe integer'],
  ['infinity', Infinity, 'not a safe integer'],
  ['an integer that f64 cannot tell from its neighbour', 2 ** 53, 'not a safe integer'],
  ['null', null, 'null'],
  ['undefined', undefined, 'undefined'],
  ['a bigint', 1n, 'a bigint'],
  ['a function', () => 1, 'a function'],
  ['a symbol', Symbol('x'), 'a symbol'],
  ['a date', new Date(0), 'not a plain record'],
  ['a map', new Map(), 'not a plain record'],
  ['empty bytes', new Uint8Array(0), 'not a plain record'],
  ['an instance', new Boxed(), 'not a plain record'],
  ['a boxed number', Object(1), 'not a plain record'],
  ['a list with a hole', new Array(1), 'undefined'],
]
test.each(outside)('[CAN-2] %s is refused, with the place where it stands', (_, value, says) => {
  const error = refusalOf(() => canonical.checkCanonical({ list: ['fine', value] }))
  expect(error.code).toBe('NOT_CANONICAL')
  expect(error.message).toContain(says)
  expect(error.pointer).toMatch(/^\/list\/1/)
})

test('[CAN-2] the whole integers from −(2⁵³−1) to 2⁵³−1 are allowed', () => {
  for (const n of [0, 1, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])
    expect(canonical.canonicalText([n])).toBe(`[${n}]`)
})

const texts: [string, string][] = [
  ['a lone high surrogate', '\ud83d'],
  ['a lone low surrogate', 'x\ude00'],
  ['surrogates the wrong way round', '\ude00\ud83d'],
  ['a letter and its accent apart', 'e\u0301'],
  ['Hangul in pieces', '\u1100\u1161'],
  ['the ohm sign, whose NFC is omega', '\u2126'],
]
test.each(texts)('[CAN-3] %s is refused', (_, value) => {
  expect(refusalOf(() => canonical.canonicalBytes({ v: value })).code).toBe('NOT_CANONICAL')
  if (value.isWellFormed()) expect(refusalOf(() => parse(JSON.stringify({ v: value }))).code).toBe('NOT_CANONICAL')
})

const keys = ['', 'A', 'camelCase', '1a', '_a', 'a-b', 'a b', 'é', 'a.b', '__proto__', 'a\n', 'x'.repeat(65)]
test.each(keys)('[CAN-4] the key %j is refused', (bad) => {
  expect(refusalOf(() => parse(`{${JSON.stringify(bad)}:1}`)).message).toContain('snake_case')
})

test('[CAN-4] keys are snake_case of up to 64 characters, and words that JavaScript knows are plain keys', () => {
  const record = Object.fromEntries(['a', 'a1_b', 'x'.repeat(64), 'constructor', 'valueof'].map((name) => [name, 1]))
  expect(parse(canonical.canonicalBytes(record))).toEqual(record)
})

test('[CAN-5] twelve levels are allowed and a thirteenth is refused, on writing and on reading', () => {
  expect(parse(canonical.canonicalBytes(nested(11)))).toEqual(nested(11)) // twelve lists, one in another
  expect(refusalOf(() => canonical.canonicalBytes(nested(12))).message).toContain('deeper than 12')
  expect(refusalOf(() => parse('['.repeat(13) + ']'.repeat(13))).message).toContain('deeper than 12')
  expect(refusalOf(() => parse('['.repeat(2_000) + ']'.repeat(2_000))).code).toBe('NOT_CANONICAL')
})

test('[CAN-5] a plain value counts as a level of its own', () => {
  const around = (lists: number): canonical.Canonical => (lists === 0 ? 1 : [around(lists - 1)])
  expect(canonical.canonicalText(around(11))).toContain('1')
  expect(refusalOf(() => canonical.canonicalText(around(12))).message).toContain('deeper than 12')
})

test('[CAN-5] a value that holds itself is refused', () => {
  const circle: Record<string, unknown> = {}
  circle['again'] = circle
  expect(refusalOf(() => canonical.checkCanonical(circle)).code).toBe('NOT_CANONICAL')
})

const spellings: [string, string][] = [
  ['white space', '{"a": 1}'],
  ['a line end behind', '{"a":1}\n'],
  ['another order of keys', '{"b":1,"a":2}'],
  ['a key twice', '{"a":1,"a":1}'],
  ['a key twice, the first of another kind', '{"a":{"a":1},"a":1}'],
  ['an exponent', '{"a":1e2}'],
  ['a fraction of nothing', '{"a":1.0}'],
  ['minus zero', '{"a":-0}'],
  ['a number that rounds', '{"a":9007199254740993}'],
  ['a number too large', '{"a":1e999}'],
  ['null', '{"a":null}'],
  ['an escape that is not needed', '{"a":"\\u0041"}'],
  ['an escaped slash', '{"a":"\\/"}'],
  ['an upper-case escape', '{"a":"\\u001F"}'],
  ['an escaped lone surrogate', '{"a":"\\ud800"}'],
  ['an escaped key', '{"\\u0061":1}'],
  ['a mark of byte order', '\ufeff{"a":1}'],
  ['two values', '{"a":1}{"a":1}'],
  ['half a value', '{"a":1'],
  ['nothing', ''],
  ['JavaScript', '{a:1}'],
]
test.each(spellings)('[CAN-6] bytes with %s are refused', (_, json) => {
  expect(refusalOf(() => parse(json)).code).toBe('NOT_CANONICAL')
})

test('[CAN-6] no single changed byte of a canonical form leaves it readable as the same value', () => {
  const bytes = canonical.canonicalBytes({ a: [1, true, 'text'], b: { c: '' } })
  const value = parse(bytes)
  const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }))
  fc.assert(
    fc.property(change, ([place, flip]) => {
      const changed = bytes.slice()
      changed[place]! ^= flip
      let read: unknown
      try {
        read = parse(changed)
      } catch {
        return
      }
      expect(read).not.toEqual(value)
    }),
    { seed: 6, numRuns: 1_000 },
  )
})

test('[CAN-7] each kind of document has a size in bytes that it may not pass', () => {
  expect(canonical.SIZE_LIMITS).toEqual({
    op: 4_096,
    evidence: 16_384,
    recipe: 262_144,
    receipt: 16_777_216,
    manifest: 67_108_864,
  })
  const fits = canonical.canonicalBytes('x'.repeat(4_094))
  expect(parse(fits)).toBe('x'.repeat(4_094))
  expect(refusalOf(() => parse(canonical.canonicalBytes('x'.repeat(4_095)))).message).toContain('4097 bytes')
})

test('[CAN-2] a field that is absent is left out', () => {
  const record = canonical.without({ a: 1, b: undefined, c: false })
  expect(canonical.canonicalText(record)).toBe('{"a":1,"c":false}')
  expect(canonical.isRecord(record)).toBe(true)
  expect([null, [], 'x', undefined].map(canonical.isRecord)).toEqual([false, false, false, false])
})
