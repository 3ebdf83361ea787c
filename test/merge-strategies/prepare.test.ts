/** Between a recipe and a formula: what is found, filled in and refused before a byte is read. */
import { describe, expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { closest, slipsBetween } from '../../src/core/closest.ts'
import { type Asked, findStrategy, prepareStrategy } from '../../src/core/prepare.ts'
import { refusalOf } from '../support/refusal.ts'

type Said = Partial<Omit<Asked, 'strategy' | 'alias'>>
const asked = (name: string, more: Said = {}): Asked => ({
  ...findStrategy(strategies, name),
  inputs: [{ weight: 1 }, { weight: 2 }],
  hasBase: true,
  ...more,
})
const prepared = (name: string, more?: Said) => prepareStrategy(asked(name, more))
const refused = (name: string, more?: Said) => refusalOf(() => prepared(name, more))

describe('[STR-40] a strategy is found by id or alias;', () => {
  test('an alias leads to the strategy, and says what it fills in', () => {
    const { strategy, alias } = findStrategy(strategies, 'dare')
    expect(strategy.id).toBe('dare_linear')
    expect(alias).toMatchObject({ id: 'dare', params: { rescale_mode: 'inverse_prob' } })
    expect(findStrategy(strategies, 'ties')).not.toHaveProperty('alias')
  })

  test.each([
    ['tise', 'ties'],
    ['weigth_average', 'weight_average'],
    ['weight-average', 'weight_average'],
    ['Task_Arithmetic', 'task_arithmetic'],
    ['slrp', 'slerp'],
    ['darre', 'dare'],
  ])('%s is answered with: did you mean %s?', (wrong, right) => {
    const refusal = refusalOf(() => findStrategy(strategies, wrong))
    expect(refusal.code).toBe('STRATEGY_NOT_FOUND')
    expect(refusal.hint).toBe(`did you mean ${right}?`)
  })

  test('what is near nothing is answered with the list', () => {
    expect(refusalOf(() => findStrategy(strategies, 'frankenmerge')).hint).toMatch(/use one of .*ties, weight_average/)
    expect(refusalOf(() => findStrategy(strategies, 'x'.repeat(10_000))).message.length).toBeLessThan(200)
  })

  test('a slip is an insertion, a deletion, a substitution or a swap', () => {
    expect(['ties', 'tie', 'tiess', 'tixs', 'tise', 'itse'].map((word) => slipsBetween(word, 'ties'))).toEqual([
      0, 1, 1, 1, 1, 2,
    ])
    expect(closest('ab', ['ties', 'abc', 'xy'])).toBe('abc')
    expect(closest('qq', ['ties'])).toBeUndefined()
  })
})

describe('[STR-41] every default is filled in;', () => {
  test('for the whole and for each input', () => {
    expect(prepared('ties', { inputs: [{ weight: 1, params: { density: 0.3 } }, { weight: 0.1 }] })).toMatchObject({
      params: { lambda: 1, normalize: true, consensus: 'sum', rescale_mode: 'none', profile: 'mergekit' },
      inputs: [
        { weight: 1, params: { density: 0.3 } },
        { weight: Math.fround(0.1), params: { density: 1 } },
      ],
    })
  })

  test('what each input has may be said once for all, and each input’s own word stands', () => {
    const { params, inputs } = prepared('ties', {
      params: { density: 0.2, lambda: 2 },
      inputs: [{ weight: 1 }, { weight: 1, params: { density: 0.9 } }],
    })
    expect(params).not.toHaveProperty('density')
    expect(inputs.map((own) => own.params)).toEqual([{ density: 0.2 }, { density: 0.9 }])
  })

  test('an alias fills in before the recipe speaks, and leaves a density to be given', () => {
    expect(prepared('dare', { params: { density: 0.1 } }).params).toMatchObject({ rescale_mode: 'inverse_prob' })
    expect(prepared('dare', { params: { density: 0.1, rescale_mode: 'l2' } }).params).toMatchObject({
      rescale_mode: 'l2',
    })
    expect(prepared('dare_linear').params).toMatchObject({ rescale_mode: 'l1' })
    const refusal = refused('dare')
    expect(refusal).toMatchObject({ code: 'STRATEGY_PARAMS_INVALID', pointer: '/inputs/0/params/density' })
    expect(refusal.message).toBe('dare needs density, which has no default')
  })

  test('what is optional stays away, and nothing given is changed', () => {
    const params = { t: undefined }
    const inputs = [{ weight: 1 }]
    expect(prepared('slerp', { params, inputs }).params).toEqual({})
    expect(params).toEqual({ t: undefined })
    expect(inputs).toEqual([{ weight: 1 }])
  })
})

describe('[STR-42] what a declaration does not allow is refused with a pointer to it:', () => {
  test.each<[string, string, Said, string, RegExp, RegExp | undefined]>([
    [
      'an unknown parameter',
      'ties',
      { params: { lamda: 1 } },
      '/params/lamda',
      /ties has no parameter "lamda"/,
      /did you mean lambda\?/,
    ],
    [
      'one of another input',
      'ties',
      { inputs: [{ weight: 1 }, { weight: 1, params: { densty: 1 } }] },
      '/inputs/1/params/densty',
      /for an input/,
      /density/,
    ],
    [
      'one for the whole',
      'ties',
      { inputs: [{ weight: 1, params: { lambda: 1 } }] },
      '/inputs/0/params/lambda',
      /for an input/,
      /move it to params/,
    ],
    [
      'one where there are none',
      'weight_average',
      { params: { a: 1 } },
      '/params/a',
      /has no parameter "a"/,
      /leave it out/,
    ],
    [
      'a value of another type',
      'ties',
      { params: { normalize: 'yes' } },
      '/params/normalize',
      /normalize is "yes", and must be boolean/,
      undefined,
    ],
    [
      'a value out of range',
      'ties',
      { params: { density: 1.5 } },
      '/inputs/0/params/density',
      /density is 1\.5, and must be <= 1/,
      undefined,
    ],
    [
      'a density of nothing',
      'dare_ties',
      { inputs: [{ weight: 1, params: { density: 0 } }] },
      '/inputs/0/params/density',
      /must be > 0/,
      undefined,
    ],
    [
      'an unknown choice',
      'ties',
      { params: { consensus: 'cuont' } },
      '/params/consensus',
      /must be one of sum, count/,
      /did you mean count\?/,
    ],
    [
      'choices that exclude each other',
      'ties',
      { params: { profile: 'paper', consensus: 'count' } },
      '/params/profile',
      /published method elects by sum/,
      /leave out/,
    ],
    [
      'a weight that is none',
      'ties',
      { inputs: [{ weight: Number.NaN }] },
      '/inputs/0/weight',
      /takes weights finite/,
      undefined,
    ],
    ['a weight beyond f32', 'ties', { inputs: [{ weight: 1e39 }] }, '/inputs/0/weight', /1e\+39/, undefined],
    [
      'a negative weight',
      'weight_average',
      { inputs: [{ weight: 1 }, { weight: -1 }] },
      '/inputs/1/weight',
      /zero or more/,
      undefined,
    ],
    [
      'a weight of zero',
      'slerp',
      { inputs: [{ weight: 1 }, { weight: 0 }] },
      '/inputs/1/weight',
      /above zero/,
      undefined,
    ],
    [
      'an unknown role',
      'slerp',
      { inputs: [{ weight: 1, role: 'x1' }, { weight: 1 }] },
      '/inputs/0/role',
      /no role "x1"/,
      /did you mean x0\?/,
    ],
    [
      'a role where there are none',
      'ties',
      { inputs: [{ weight: 1, role: 'x0' }] },
      '/inputs/0/role',
      /no role "x0"/,
      /leave it out/,
    ],
    [
      'a role twice',
      'slerp',
      {
        inputs: [
          { weight: 1, role: 'x0' },
          { weight: 1, role: 'x0' },
        ],
      },
      '/inputs/1/role',
      /two inputs are x0/,
      undefined,
    ],
  ])('%s', (_, name, more, pointer, message, hint) => {
    const refusal = refused(name, more)
    expect(refusal).toMatchObject({ code: 'STRATEGY_PARAMS_INVALID', pointer })
    expect(refusal.message).toMatch(message)
    if (hint) expect(refusal.hint).toMatch(hint)
  })

  test('a name that would break a pointer is written as RFC 6901 wants it', () => {
    expect(refused('ties', { params: { 'a/b~c': 1 } }).pointer).toBe('/params/a~1b~0c')
  })
})

describe('[STR-43] count, base and roles:', () => {
  test('too few', () => {
    const refusal = refused('ties', { inputs: [] })
    expect(refusal.code).toBe('WRONG_NUMBER_OF_CONTRIBUTIONS')
    expect(refusal.message).toBe('ties takes at least 1 contribution, and 0 were selected')
  })

  test('no base where one is needed, and one too many ignored', () => {
    expect(refused('task_arithmetic', { hasBase: false }).code).toBe('BASE_REQUIRED')
    expect(prepared('weight_average', { hasBase: true }).strategy.id).toBe('weight_average')
  })

  test('slerp takes t between two, from the one in the role x0', () => {
    const x0 = { weight: 1, role: 'x0' }
    expect(prepared('slerp', { params: { t: 0.5 }, inputs: [{ weight: 1 }, x0] }).inputs[1]).toMatchObject({
      role: 'x0',
    })
    expect(refused('slerp', { params: { t: 0.5 } }).code).toBe('ROLE_REQUIRED')
    expect(refused('slerp', { params: { t: 0.5 }, inputs: [x0, { weight: 1 }, { weight: 1 }] }).code).toBe(
      'WRONG_NUMBER_OF_CONTRIBUTIONS',
    )
    expect(prepared('slerp', { inputs: [{ weight: 1 }, { weight: 1 }, { weight: 1 }] }).inputs).toHaveLength(3)
  })

  test('weights without a mean', () => {
    expect(refused('weight_average', { inputs: [{ weight: 0 }, { weight: 0 }] }).code).toBe('WEIGHTS_SUM_ZERO')
    const even = { inputs: [{ weight: 1 }, { weight: -1 }] }
    expect(refused('linear', even).code).toBe('WEIGHTS_SUM_ZERO')
    expect(prepared('linear', { ...even, params: { normalize: false } }).inputs).toHaveLength(2)
    expect(prepared('task_arithmetic', { ...even, params: { normalize: true } }).inputs).toHaveLength(2)
  })
})
