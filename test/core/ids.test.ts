import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as ids from '../../src/core/ids.ts'
import { refusalOf } from '../support/refusal.ts'

const ID = '0123456789abcdef'.repeat(4)
const parsers = [
  ids.parseDigest,
  ids.parseTensorRoot,
  ids.parseContentRoot,
  ids.parseModelId,
  ids.parseContributionId,
  ids.parseOpId,
  ids.parseMergeId,
  ids.parseReplicaId,
  ids.parseFileDigest,
]

test('[ID-1] an id is 64 lowercase hex digits, and nothing else is one', () => {
  for (const parse of parsers) {
    expect(parse(ID)).toBe(ID)
    for (const bad of [
      '',
      ID.slice(1),
      `${ID}0`,
      ID.toUpperCase(),
      `${ID}\n`,
      ` ${ID}`,
      `0x${ID.slice(2)}`,
      'g'.repeat(64),
    ])
      expect(refusalOf(() => parse(bad)).code).toBe('ID_INVALID')
  }
  expect(ids.isHex64(ID)).toBe(true)
  expect(ids.isHex64(`${ID}\n`)).toBe(false)
})

test('[ID-1] a refused id says which kind was wanted, and repeats no more than a line of what it got', () => {
  const { message } = refusalOf(() => ids.parseModelId('x'.repeat(10_000)))
  expect(message).toContain('model id')
  expect(message.length).toBeLessThan(200)
})

test('[ID-2] the id of a space is the first 32 hex digits of an op id', () => {
  expect(ids.parseSpaceId(ID.slice(0, 32))).toBe(ID.slice(0, 32))
  expect(ids.isSpaceId(ID.slice(0, 32))).toBe(true)
  expect(ids.isSpaceId(ID)).toBe(false)
  expect(refusalOf(() => ids.parseSpaceId(ID)).message).toContain('32 lowercase hex digits')
})

test('[ID-3] a name is 1 to 96 of A–Z a–z 0–9 . _ -, begins with a letter or digit, and holds no two dots in a row', () => {
  for (const good of ['a', '0', 'Team-A_v1.2', 'x'.repeat(96), 'a.b.c', 'a-', 'a.'])
    expect(ids.parseName(good)).toBe(good)
  const bad = [
    '',
    '.',
    '..',
    '-a',
    '_a',
    '.a',
    'a..b',
    'x'.repeat(97),
    'a/b',
    'a b',
    'a\n',
    'é',
    'a\u0000',
    'a@b',
    'a:b',
    '%2e%2e',
  ]
  for (const name of bad) expect(refusalOf(() => ids.parseName(name)).code).toBe('NAME_INVALID')
})

test('[ID-3] whatever is a name can stand in a path and a URL without being escaped', () => {
  const texts = fc.oneof(fc.string({ maxLength: 12 }), fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/))
  fc.assert(
    fc.property(texts, (text) => {
      if (!ids.isName(text)) return
      expect(encodeURIComponent(text)).toBe(text)
      expect(new URL(`http://host/${text}/end`).pathname).toBe(`/${text}/end`)
    }),
    { seed: 3, numRuns: 2_000 },
  )
})

test('[ID-4] a word that routes use is no name, however it is capitalised', () => {
  const words = [
    'v1',
    'api',
    'docs',
    'healthz',
    'readyz',
    'metrics',
    'openapi.json',
    'merged',
    'settings',
    'well-known',
  ]
  for (const word of words) {
    for (const form of [word, word.toUpperCase(), word[0]!.toUpperCase() + word.slice(1)])
      expect(ids.isName(form)).toBe(false)
    expect(ids.isName(`${word}-1`)).toBe(true)
  }
})

test('[ID-5] a name cannot look like an id', () => {
  expect(ids.isName(ID)).toBe(false)
  expect(ids.isName(ID.slice(0, 32))).toBe(false)
  expect(ids.isName(ID.slice(0, 31))).toBe(true)
  expect(ids.isName(ID.slice(0, 33))).toBe(true)
  const { hint, message } = refusalOf(() => ids.parseName(ID, 'name of a space'))
  expect(message).toContain('name of a space')
  expect(hint).toContain('not a reserved word or an id')
})
