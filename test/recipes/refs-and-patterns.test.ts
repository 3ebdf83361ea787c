import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { matches } from '../../src/recipes/pattern.ts'
import { parseRef, printRef } from '../../src/recipes/refs.ts'
import { refusalOf } from '../support/refusal.ts'

const HEX = 'ab'.repeat(32)

describe('references', () => {
  test.each([
    ['lab/north', { kind: 'slot', space: 'lab', name: 'north' }],
    [`${'0f'.repeat(16)}/north`, { kind: 'slot', space: '0f'.repeat(16), name: 'north' }],
    ['lab/north@12ab', { kind: 'slot', space: 'lab', name: 'north', idPrefix: '12ab' }],
    [`model:${HEX}`, { kind: 'model', model: HEX }],
  ])('[REC-1] %s is read, and printed back as it was', (text, wanted) => {
    const ref = parseRef(text, { allowPaths: false })
    expect(ref).toEqual(wanted)
    expect(printRef(ref)).toBe(text)
  })

  test.each(['./a', '../a', '/a', '~/a', 'C:\\a', 'a/b/c', 'a\\b'])(
    '[REC-1] the path %s is refused where none is allowed',
    (path) => expect(refusalOf(() => parseRef(path, { allowPaths: false })).code).toBe('REFERENCE_NOT_ALLOWED'),
  )

  test('[REC-1] where paths are allowed, all but model: is a path', () => {
    for (const path of ['lab/north', './a', 'x', 'a/b/c@12ab'])
      expect(parseRef(path, { allowPaths: true })).toEqual({ kind: 'path', path })
    expect(parseRef(`model:${HEX}`, { allowPaths: true }).kind).toBe('model')
  })

  test.each([
    '',
    'a\nb',
    'lab/',
    '/',
    'lab/.hidden',
    'lab/v1',
    'lab/a@12',
    'lab/a@12ab@12ab',
    'model:',
    `model:${HEX.toUpperCase()}`,
  ])('[REC-1] %j names nothing', (text) =>
    expect(['RECIPE_INVALID', 'REFERENCE_NOT_ALLOWED']).toContain(
      refusalOf(() => parseRef(text, { allowPaths: false })).code,
    ),
  )
})

describe('patterns', () => {
  test.each([
    ['*', '', true],
    ['*', 'anything', true],
    ['', '', true],
    ['', 'a', false],
    ['a', 'a', true],
    ['a', 'ab', false],
    ['b', 'ab', false],
    ['*b', 'ab', true],
    ['?', 'é', true],
    ['?', '😀', true],
    ['?', '', false],
    ['*.mlp.*', 'layers.0.mlp.up', true],
    ['*.mlp.*', 'layers.0.mlp', false],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
    ['layers.?.q', 'layers.3.q', true],
    ['layers.?.q', 'layers.13.q', false],
    ['[ab]+', 'a', false],
    ['[ab]+', '[ab]+', true],
  ])('[REC-4] %j against %j: %s', (pattern, name, wanted) => expect(matches(pattern, name)).toBe(wanted))

  test('[REC-4] agrees with a regular expression on short texts', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 9 })
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 7 })
    fc.assert(
      fc.property(pattern, text, (wanted, name) => {
        const regex = new RegExp(`^${wanted.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')}$`, 's')
        expect(matches(wanted, name)).toBe(regex.test(name))
      }),
      { seed: 1, numRuns: 2000 },
    )
  })

  test('[REC-4] a pattern made to backtrack takes no longer than its length times the name', () =>
    expect(matches(`${'a*'.repeat(500)}b`, 'a'.repeat(500))).toBe(false))
})
