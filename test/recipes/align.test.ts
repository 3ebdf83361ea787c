import { describe, expect, test } from 'vitest'
import { align, type AlignRequest } from '../../src/recipes/align.ts'
import { refusalOf } from '../support/refusal.ts'
import { tensorsOf } from './world.ts'

type Sketch = Parameters<typeof tensorsOf>[1]
const model = (label: string, sketch: Sketch) => ({ label, tensors: tensorsOf(label, sketch) })
const W: Sketch = [
  ['embed', [8, 4]],
  ['w', [4, 4]],
]
const wide: Sketch = [
  ['embed', [9, 4]],
  ['w', [4, 4]],
]

const aligned = (inputs: AlignRequest['inputs'], more: Partial<AlignRequest> = {}) =>
  align({ inputs, usesBase: more.base !== undefined, mismatch: 'error', dtype: 'auto', ...more })
const ruleOf = (found: ReturnType<typeof align>, name: string) => found.tensors.find((tensor) => tensor.name === name)
const base = model('base', W)

describe('alignment', () => {
  test('[ALN-1] models of one layout make its tensors, by name', () => {
    const found = aligned([model('a', W), model('b', [...W].reverse())])
    const streams = [
      { input: 0, from: 0 },
      { input: 1, from: 1 },
    ]
    expect(found).toEqual({
      tensors: [
        { name: 'embed', shape: [8, 4], dtype: 'BF16', rule: { kind: 'merge', streams } },
        { name: 'w', shape: [4, 4], dtype: 'BF16', rule: { kind: 'merge', streams } },
      ],
      excluded: [],
      warnings: [],
    })
  })

  test('[ALN-2] error names the first tensors, who has which shape, and how many more', () => {
    const many: Sketch = Array.from({ length: 5 }, (_, i) => [`t${i}`, [2]])
    const found = refusalOf(() =>
      aligned([
        model('lab/a', [...W, ...many]),
        model('lab/b', [...wide, ...many]),
        model('lab/c', W),
        model('lab/d', W),
      ]),
    )
    expect(found.code).toBe('SHAPE_MISMATCH')
    expect(found.message).toBe(
      '6 tensors differ among the inputs: embed is [9, 4] in lab/b and [8, 4] in 3 other inputs; ' +
        't0 is [2] in lab/a, lab/b and missing in 2 other inputs; t1 is [2] in lab/a, lab/b and missing in 2 other inputs; and 3 more',
    )
    expect(found.details).toEqual({ tensors: ['embed', 't0', 't1'], more: 3 })
    const toBase = refusalOf(() => aligned([model('lab/b', wide)], { base }))
    expect(toBase.message).toContain('embed is [9, 4] in lab/b and [8, 4] in the base')
  })

  test('[ALN-3] the reference is the base, else what most inputs share, ties to the lowest digest', () => {
    const a = model('a', W)
    const b = model('b', wide)
    const c = model('c', wide)
    const left = (inputs: AlignRequest['inputs'], more: Partial<AlignRequest> = {}) =>
      aligned(inputs, { mismatch: 'exclude', ...more }).excluded.map(({ input }) => inputs[input]?.label)
    expect(left([a, b, c])).toEqual(['a'])
    expect(left([a, b, c], { base })).toEqual(['b', 'c'])
    expect(left([a, b, c], { base, usesBase: false })).toEqual(['a'])
    expect(left([a, b])).toEqual(left([b, a]))
  })

  test('[ALN-4] exclude leaves out whole inputs and says why', () => {
    const found = aligned([model('a', W), model('b', wide), model('c', W)], { mismatch: 'exclude' })
    expect(found.excluded).toEqual([{ input: 1, why: 'embed is [9, 4], not [8, 4]' }])
    for (const { rule } of found.tensors) expect(rule).toMatchObject({ streams: [{ input: 0 }, { input: 2 }] })
  })

  test('[ALN-5] base lets the base’s tensor stand for one that is missing or of another shape', () => {
    const found = aligned([model('a', W), model('b', wide), model('c', [['w', [4, 4]]])], { base, mismatch: 'base' })
    expect(ruleOf(found, 'embed')?.rule).toEqual({
      kind: 'merge',
      streams: [
        { input: 0, from: 0 },
        { input: 1, from: 'base' },
        { input: 2, from: 'base' },
      ],
    })
    expect(found.warnings).toEqual(["embed: the base's stands for b, c"])
    expect(refusalOf(() => aligned([model('a', W)], { mismatch: 'base' })).code).toBe('BASE_REQUIRED')
  })

  test('[ALN-6] skip merges a tensor over the inputs that have it in the reference’s shape', () => {
    const found = aligned([model('a', W), model('b', wide), model('c', [...W, ['extra', [2]]])], { mismatch: 'skip' })
    expect(ruleOf(found, 'embed')?.rule).toMatchObject({ streams: [{ input: 0 }, { input: 2 }] })
    expect(ruleOf(found, 'extra')?.rule).toEqual({ kind: 'merge', streams: [{ input: 2, from: 2 }] })
    expect(found.warnings).toEqual(['embed: merged without b', 'extra: merged without a, b'])
  })

  test('[ALN-6] with a base, its tensors are the output’s: others are left out, one that no input has is copied', () => {
    const found = aligned(
      [
        model('a', [
          ['embed', [8, 4]],
          ['extra', [2]],
        ]),
      ],
      { base, mismatch: 'skip' },
    )
    expect(found.tensors.map(({ name }) => name)).toEqual(['embed', 'w'])
    expect(ruleOf(found, 'w')?.rule).toEqual({ kind: 'copy', from: 'base' })
    expect(found.warnings).toEqual([
      'extra: left out of a, for the base has no such tensor',
      'w: in no input, so copied from the base',
    ])
  })

  test('[ALN-7] a tied copy that not all models store is no difference', () => {
    const tied: Sketch = [
      ['embed', [8, 4], 'BF16', 'E'],
      ['lm_head', [8, 4], 'BF16', 'E'],
    ]
    const found = aligned([model('a', tied), model('b', [['embed', [8, 4]]])])
    expect(found.tensors.map(({ name }) => name)).toEqual(['embed'])
    expect(found.warnings).toEqual(['lm_head: left out as tied: a copy of another tensor, and not in all models'])
    const untied: Sketch = [
      ['embed', [8, 4], 'BF16', 'E'],
      ['lm_head', [8, 4], 'BF16', 'other'],
    ]
    expect(refusalOf(() => aligned([model('a', untied), model('b', [['embed', [8, 4]]])])).code).toBe('SHAPE_MISMATCH')
    expect(aligned([model('a', tied), model('b', tied)]).tensors.length).toBe(2)
  })

  test('[ALN-8] integers and booleans are copied: the base’s, else what all share, else the first input’s', () => {
    const ids = (bytes: string, dtype: 'I64' | 'BOOL' = 'I64'): Sketch => [['ids', [4], dtype, bytes]]
    const same = aligned([model('a', ids('x')), model('b', ids('x'))])
    expect(same).toEqual({
      tensors: [{ name: 'ids', shape: [4], dtype: 'I64', rule: { kind: 'copy', from: 0 } }],
      excluded: [],
      warnings: [],
    })
    const differ = aligned([model('a', ids('x')), model('b', ids('y'))])
    expect(differ.tensors[0]?.rule).toEqual({ kind: 'copy', from: 0 })
    expect(differ.warnings).toEqual(['ids: I64 and not the same in all models, so copied from a'])
    const based = aligned([model('a', ids('x'))], { base: model('base', ids('y')), dtype: 'F16' })
    expect(based.tensors[0]).toMatchObject({ dtype: 'I64', rule: { kind: 'copy', from: 'base' } })
    expect(based.warnings).toEqual(['ids: I64 and not the same in all models, so copied from the base'])
    const mixed: Sketch = [['ids', [4], 'F32']]
    expect(refusalOf(() => aligned([model('a', ids('x')), model('b', mixed)])).message).toContain('without fractions')
  })

  test.each([
    ['the one all share', ['BF16', 'BF16'], undefined, 'auto', 'BF16'],
    ['F32 where they differ', ['BF16', 'F16'], undefined, 'auto', 'F32'],
    ['F32 where the base differs', ['BF16', 'BF16'], 'F32', 'auto', 'F32'],
    ['what the recipe says', ['BF16', 'F16'], 'F32', 'F8_E4M3', 'F8_E4M3'],
    ['F64 where all have it', ['F64', 'F64'], 'F64', 'auto', 'F64'],
  ] as const)('[ALN-9] the output’s dtype is %s', (_, dtypes, ofBase, dtype, wanted) => {
    const inputs = dtypes.map((each, i) => model(`m${i}`, [['w', [2], each]]))
    const found = aligned(inputs, { dtype, ...(ofBase && { base: model('base', [['w', [2], ofBase]]) }) })
    expect(found.tensors[0]?.dtype).toBe(wanted)
    expect(found.warnings).toEqual(wanted === 'F64' ? ['w: F64, so rounded to F32 on reading'] : [])
  })

  test('[ALN-10] an empty tensor is copied, a scalar merged', () => {
    const found = aligned([
      model('a', [
        ['none', [0, 4]],
        ['one', []],
      ]),
      model('b', [
        ['none', [0, 4]],
        ['one', []],
      ]),
    ])
    expect(ruleOf(found, 'none')?.rule).toEqual({ kind: 'copy', from: 0 })
    expect(ruleOf(found, 'one')?.rule.kind).toBe('merge')
  })

  test('[ALN-11] warnings are told once for all tensors they hold for', () => {
    const many: Sketch = Array.from({ length: 9 }, (_, i) => [`t${i}`, [2], 'F64'])
    expect(aligned([model('a', many)]).warnings).toEqual(['t0, t1, t2 and 6 more: F64, so rounded to F32 on reading'])
  })
})
