import { describe, expect, test } from 'vitest'
import { loadRecipe } from '../../src/recipes/load.ts'
import { allRefs, inputRefs, parseRecipe } from '../../src/recipes/recipe.ts'
import { printRef } from '../../src/recipes/refs.ts'
import { refusalOf } from '../support/refusal.ts'

const WHOLE = `
tributary: 1
strategy: {id: ties, version: 3, params: {density: "0.4", lambda: 1}}
base: lab/base
roles: [[x0, lab/a]]
order: [lab/a, lab/b]
select: {names: ["a*"], tags: [approved], authors: [k], contributions: [lab/a, lab/b], at: ${'0a'.repeat(32)}}
weights: {by: samples, clip: [0.1, 3], decay: "0.5"}
params_for: [[lab/a, {density: 0.2}]]
overrides:
  - {match: "*.mlp.*", params: {lambda: {gradient: [0, 0.5, 1]}}}
  - {match: "*norm*", strategy: weight_average}
overrides_for: [[lab/b, [{match: "*", weight: 2}]]]
pre: []
post: []
mismatch: skip
duplicates: once
reduce: fold
seed: 7
out: {dtype: bf16, shard_bytes: 5GB, files_from: lab/c}
`

const options = { allowPaths: false }

describe('native recipes', () => {
  test('[REC-2] every field of version 1 is read', () => {
    const { recipe, form, notes } = loadRecipe(WHOLE, options)
    expect({ form, notes }).toEqual({ form: 'native', notes: [] })
    expect(recipe).toMatchObject({
      strategy: { id: 'ties', version: 3, params: { density: '0.4', lambda: 1 } },
      base: { kind: 'slot', space: 'lab', name: 'base' },
      roles: [['x0', { name: 'a' }]],
      order: [{ name: 'a' }, { name: 'b' }],
      select: { names: ['a*'], tags: ['approved'], authors: ['k'], contributions: [{ name: 'a' }, { name: 'b' }] },
      weights: { by: 'samples', clip: [0.1, 3], decay: 0.5 },
      paramsFor: [[{ name: 'a' }, { density: 0.2 }]],
      overrides: [
        { match: '*.mlp.*', params: { lambda: { gradient: [0, 0.5, 1] } } },
        { match: '*norm*', strategy: { id: 'weight_average', params: {} } },
      ],
      overridesFor: [[{ name: 'b' }, [{ match: '*', weight: 2 }]]],
      mismatch: 'skip',
      duplicates: 'once',
      reduce: 'fold',
      seed: 7,
      out: { dtype: 'BF16', shardBytes: 5e9, filesFrom: { name: 'c' } },
    })
    expect(allRefs(recipe).map(printRef).sort()).toEqual(['lab/a', 'lab/b', 'lab/base', 'lab/c'])
  })

  test('[REC-2] an empty recipe has every default', () =>
    expect(parseRecipe({}, options)).toEqual({
      roles: [],
      select: {},
      paramsFor: [],
      overrides: [],
      overridesFor: [],
      mismatch: 'error',
      duplicates: 'count',
      seed: 'inputs',
      out: { dtype: 'auto', shardBytes: 5e9 },
    }))

  test('[REC-5] a file says tributary: 1; a recipe in a request need not', () => {
    expect(refusalOf(() => loadRecipe('strategy: ties', options)).message).toMatch(/tributary: 1/)
    expect(parseRecipe({ strategy: 'ties' }, options).strategy?.id).toBe('ties')
    expect(parseRecipe({ tributary: 1, strategy: 'ties' }, options).strategy?.id).toBe('ties')
  })

  test('[REC-5] JSON is read as YAML is', () => {
    const json = JSON.stringify({ tributary: 1, seed: 7, weights: [['lab/a', 0.5]] }, null, '\t')
    expect(loadRecipe(json, options).recipe).toEqual(parseRecipe(JSON.parse(json), options))
    expect(refusalOf(() => loadRecipe('{"tributary": 1,\n "seed": 1,\n "seed": 2}', options)).message).toMatch(
      /^recipe:3:2: /,
    )
  })

  test('[REC-3] a file above 256 KiB is refused before it is read', () =>
    expect(refusalOf(() => loadRecipe(`tributary: 1\n#${'x'.repeat(256 * 1024)}`, options)).message).toMatch(/262144/))

  test('[REC-3] a place can be asked for later', () => {
    const { locate } = loadRecipe('tributary: 1\nweights:\n  - [lab/a, 1]\n  - [lab/b, 2]\n', options)
    expect(locate('/weights/1/1')).toEqual({ line: 4, column: 13 })
    expect(locate('/weights/7/1')).toEqual({ line: 2, column: 1 })
    expect(locate('/nowhere')).toEqual({ line: 1, column: 1 })
  })

  test.each([
    ['numbers', 0.5, 0.5],
    ['decimal strings', '0.5', 0.5],
    ['exponents', '5e-1', 0.5],
    ['what an f32 rounds', 0.1, Math.fround(0.1)],
  ])('[REC-6] %s are taken as weights', (_, given, wanted) =>
    expect(parseRecipe({ weights: [['lab/a', given]] }, options).weights).toEqual([
      [{ kind: 'slot', space: 'lab', name: 'a' }, wanted],
    ]),
  )

  test.each([' 1', '1 ', '+1', '1,5', '.5', '1.', '01', 'NaN', 'Infinity', true, [1], {}])(
    '[REC-6] %j is no number',
    (given) =>
      expect(refusalOf(() => parseRecipe({ weights: [['lab/a', given]] }, options)).pointer).toBe('/weights/0/1'),
  )

  test('[REC-7] a local recipe merges what it selects, else what it gives weights to', () => {
    const paths = { allowPaths: true }
    const names = (document: unknown) => inputRefs(parseRecipe(document, paths)).map(printRef)
    const weights = [
      ['./a', 1],
      ['b', 2],
    ]
    expect(names({ weights })).toEqual(['./a', 'b'])
    expect(names({ weights, select: { contributions: ['c'] } })).toEqual(['c'])
    expect(names({ weights: { by: 'equal' } })).toEqual([])
  })

  test('[REC-2] names like __proto__ are unknown fields, not traps', () => {
    expect(refusalOf(() => parseRecipe(JSON.parse('{"__proto__": 1}'), options)).pointer).toBe('/__proto__')
    expect(refusalOf(() => loadRecipe('tributary: 1\nconstructor: 1', options)).pointer).toBe('/constructor')
    expect(refusalOf(() => parseRecipe({ 'a/b~c': 1 }, options)).pointer).toBe('/a~1b~0c')
  })
})
