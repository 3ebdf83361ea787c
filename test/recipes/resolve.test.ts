import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ContentRoot } from '../../src/core/ids.ts'
import type { Candidate } from '../../src/recipes/candidate.ts'
import { paramsBy } from '../../src/recipes/records.ts'
import { parseRecipe } from '../../src/recipes/recipe.ts'
import { resolve } from '../../src/recipes/resolve.ts'
import { refusalOf } from '../support/refusal.ts'
import { aBase, aCandidate, contentOf, headersOf, layers, resolved, STRATEGIES } from './world.ts'

const a = aCandidate('a')
const b = aCandidate('b')
const c = aCandidate('c')
const weightOf = (found: ReturnType<typeof resolved>, ref: string) =>
  found.inputs.find(({ candidate }) => candidate.ref === ref)?.record['weight']
const refusal = (document: unknown, asked: Parameters<typeof resolved>[1] = {}) =>
  refusalOf(() => resolved(document, asked))

describe('identity of a merge', () => {
  const document = {
    strategy: { id: 'dare_ties', params: { density: 0.5 } },
    overrides: [{ match: '*mlp*', params: { density: { gradient: [0.1, 0.9] } } }],
  }
  const weights = fc.array(fc.constantFrom(1, 2, -1, 0.1), { minLength: 1, maxLength: 6 })

  test('[RES-4] order, names, slots, authors and sharding of the inputs do not change an id', () => {
    fc.assert(
      fc.property(weights, fc.infiniteStream(fc.nat()), fc.infiniteStream(fc.boolean()), (list, keys, flags) => {
        const candidates = list.map((weight, i) => aCandidate(`m${i % 4}`, { ref: `lab/m${i}`, weight }))
        const stray = candidates
          .map((candidate) => ({ candidate, key: keys.next().value }))
          .sort((x, y) => x.key - y.key)
          .map(({ candidate }, i): Candidate => {
            const tensors = [...(candidate.headers?.tensors ?? [])]
            if (flags.next().value) tensors.reverse()
            const files = candidate.headers?.files ?? []
            return {
              ...candidate,
              ref: `else/other-${i}`,
              name: `other-${i}`,
              author: `k${i}`,
              headers: { tensors, files },
            }
          })
        const one = resolved(document, { candidates, base: aBase() })
        const two = resolved(document, { candidates: stray, base: aBase() })
        expect(two.merge).toBe(one.merge)
        expect(two.recipeId).toBe(one.recipeId)
        expect(two.seed).toBe(one.seed)
        expect(two.inputs.map(({ record }) => record)).toEqual(one.inputs.map(({ record }) => record))
      }),
      { seed: 1, numRuns: 40 },
    )
  })

  test('[RES-2] inputs of one content and weight are sorted by their records', () => {
    const twins = ['p', 'q', 'r'].map((name) => aCandidate(name, { content: a.content, headers: headersOf('a') }))
    const document = {
      strategy: 'ties',
      params_for: [
        ['lab/q', { density: 0.5 }],
        ['lab/p', { density: 0.75 }],
      ],
    }
    for (const candidates of [twins, [...twins].reverse(), [twins[1]!, twins[2]!, twins[0]!]]) {
      const found = resolved(document, { candidates, base: aBase() })
      expect(found.inputs.map(({ record }) => record['params'])).toEqual([
        { density: '0.5' },
        { density: '0.75' },
        { density: '1' },
      ])
    }
  })

  test('[RES-4] a default written out, an alias and a spelling are the same recipe', () => {
    const ids = [
      { strategy: 'weight_average' },
      { strategy: 'linear' },
      {
        strategy: { id: 'weight_average', version: 1, params: { normalize: true } },
        mismatch: 'error',
        seed: 'inputs',
      },
      { weights: { by: 'equal' }, out: { shard_bytes: '5GB' }, tributary: 1 },
      { weights: [['lab/a', '1.00']], params_for: [], overrides: [], out: { dtype: 'auto', shard_bytes: 5000000000 } },
    ].map((each) => resolved(each).merge)
    expect(new Set(ids).size).toBe(1)
  })

  test('[RES-4] whatever changes the output changes the id', () => {
    const variants: unknown[] = [
      { strategy: 'ties' },
      { strategy: 'task_arithmetic' },
      { strategy: { id: 'ties', params: { lambda: 2 } } },
      { strategy: { id: 'ties', params: { density: 0.5 } } },
      { strategy: 'ties', params_for: [['lab/a', { density: 0.5 }]] },
      { strategy: 'ties', weights: [['lab/a', 2]] },
      { strategy: 'ties', overrides: [{ match: '*', params: { lambda: 2 } }] },
      { strategy: 'ties', overrides_for: [['lab/a', [{ match: '*', weight: 2 }]]] },
      { strategy: 'ties', seed: 0 },
      { strategy: 'ties', seed: 1 },
      { strategy: 'ties', mismatch: 'skip' },
      { strategy: 'ties', out: { dtype: 'F32' } },
      { strategy: 'ties', out: { shard_bytes: 1 } },
      { strategy: 'ties', out: { files_from: 'lab/a' } },
      { strategy: 'ties', select: { names: ['a', 'b'] } },
    ]
    const ids = variants.map((each) => resolved(each, { base: aBase() }).merge)
    const otherBase = resolved({ strategy: 'ties' }, { base: { ...aBase('other'), headers: headersOf('base') } }).merge
    expect(new Set([...ids, otherBase]).size).toBe(variants.length + 1)
  })

  test('[RES-5] a base enters only where a strategy uses it', () => {
    expect(resolved({ strategy: 'linear' }, { base: aBase() }).merge).toBe(resolved({ strategy: 'linear' }).merge)
    expect(resolved({ strategy: 'ties' }, { base: aBase() }).base?.content).toBe(contentOf('base'))
    const mixed = { strategy: 'linear', overrides: [{ match: '*mlp*', strategy: 'ties' }] }
    expect(resolved(mixed, { base: aBase() }).base?.content).toBe(contentOf('base'))
    expect(refusal(mixed).code).toBe('BASE_REQUIRED')
  })

  test('[RES-5] without a strategy it is task_arithmetic where there is a base, else weight_average', () => {
    expect(resolved({}).strategy.id).toBe('weight_average')
    expect(resolved({}, { base: aBase() }).strategy.id).toBe('task_arithmetic')
  })

  test('[RES-6] a contribution of the base’s content is left out where the base is used', () => {
    const candidates = [a, aCandidate('copy', { content: contentOf('base') })]
    const found = resolved({ strategy: 'ties' }, { candidates, base: aBase() })
    expect(found.inputs.map(({ candidate }) => candidate.ref)).toEqual(['lab/a'])
    expect(found.leftOut).toEqual([{ ref: 'lab/copy', why: 'it is the base itself' }])
    expect(resolved({ strategy: 'linear' }, { candidates, base: aBase() }).inputs.length).toBe(2)
    expect(refusal({ strategy: 'ties' }, { candidates: candidates.slice(1), base: aBase() }).code).toBe(
      'NOTHING_SELECTED',
    )
  })
})

describe('weights', () => {
  const candidates = [
    aCandidate('a', { weight: '0.25', samples: 100, age: 0 }),
    aCandidate('b', { samples: 4000, age: 3 }),
    aCandidate('c', { weight: 3, samples: 7, age: 1 }),
  ]
  const all = (weights: unknown) =>
    ['lab/a', 'lab/b', 'lab/c'].map((ref) =>
      weightOf(resolved(weights === undefined ? {} : { weights }, { candidates }), ref),
    )

  test.each([
    ['the contribution’s, else 1', undefined, ['0.25', '1', '3']],
    ['the recipe’s own entry before it', [['lab/a', 9]], ['9', '1', '3']],
    ['by contribution', { by: 'contribution' }, ['0.25', '1', '3']],
    ['equal', { by: 'equal' }, ['1', '1', '1']],
    ['by samples', { by: 'samples' }, ['100', '4000', '7']],
    ['clipped', { by: 'samples', clip: [10, 1000] }, ['100', '1000', '10']],
    ['decayed by age, then clipped', { by: 'samples', decay: 0.5, clip: [4, 1000] }, ['100', '500', '4']],
  ])('[RES-7] %s', (_, weights, wanted) => expect(all(weights)).toEqual(wanted))

  test('[RES-7] a rule that lacks what it counts by is refused, naming the input', () => {
    expect(refusal({ weights: { by: 'samples' } }).message).toContain('lab/a')
    expect(refusal({ weights: { by: 'equal', decay: 0.5 } }).pointer).toBe('/weights/decay')
  })

  test('[RES-7] weights that sum to zero are refused by the strategy’s own check', () => {
    const found = refusal({ weights: [['lab/a', -2]] })
    expect(found.code).toBe('WEIGHTS_SUM_ZERO')
    expect(found.details['input']).toMatch(/^lab\//)
  })
})

describe('params', () => {
  const of = (document: Record<string, unknown>, name: string, ref = 'lab/a') => {
    const found = resolved(document, { base: aBase() })
    const { strategy, params, perInput } = found.paramsFor(name)
    const index = found.inputs.findIndex(({ candidate }) => candidate.ref === ref)
    return { strategy, params, own: perInput[index] }
  }
  const mlp = 'model.layers.0.mlp.up_proj.weight'
  const norm = 'model.norm.weight'

  test('[RES-8] what comes later counts: strategy, input, override, override of an input', () => {
    const document = {
      strategy: { id: 'ties', params: { lambda: 2, density: 0.1 } },
      params_for: [['lab/a', { density: 0.2 }]],
      overrides: [
        { match: '*mlp*', params: { density: 0.3, lambda: 3 } },
        { match: '*up*', params: { lambda: 4 } },
      ],
      overrides_for: [['lab/a', [{ match: '*mlp*', weight: 5, params: { density: 0.4 } }]]],
    }
    expect(of(document, norm)).toMatchObject({ params: { lambda: 2 }, own: { weight: 1, params: { density: 0.2 } } })
    expect(of(document, norm, 'lab/b').own?.params).toEqual({ density: 0.1 })
    expect(of(document, mlp)).toMatchObject({ params: { lambda: 4 }, own: { weight: 5, params: { density: 0.4 } } })
    expect(of(document, mlp, 'lab/b').own).toEqual({ weight: 1, params: { density: 0.3 } })
  })

  test('[RES-8] an override that names a strategy starts over with that strategy’s params', () => {
    const document = {
      strategy: { id: 'ties', params: { lambda: 2, density: 0.1 } },
      overrides: [
        { match: '*mlp*', strategy: { id: 'dare_ties', params: { density: 0.6 } } },
        { match: '*norm*', strategy: 'linear' },
        { match: '*', params: { normalize: false } },
      ],
      overrides_for: [['lab/a', [{ match: '*', params: { density: 0.9 } }]]],
    }
    expect(of(document, mlp)).toEqual({
      strategy: 'dare_ties',
      params: { lambda: 1, normalize: false, rescale_mode: 'l1' },
      own: { weight: 1, params: { density: 0.9 } },
    })
    expect(of(document, mlp, 'lab/b').own?.params).toEqual({ density: 0.6 })
    expect(of(document, norm)).toEqual({
      strategy: 'weight_average',
      params: { normalize: false },
      own: { weight: 1, params: {} },
    })
  })

  test('[RES-8] the hashed records alone say what a tensor is merged with', () => {
    const found = resolved(
      {
        strategy: { id: 'ties', params: { density: 1 / 3, levels: [0.1, 2] } },
        overrides: [{ match: '*mlp*', params: { density: { gradient: [0.1, 0.7] } } }],
        weights: [['lab/b', 0.7]],
      },
      { base: aBase() },
    )
    const stored = JSON.parse(
      JSON.stringify({ recipe: found.recipe, inputs: found.inputs.map(({ record }) => record) }),
    )
    const again = paramsBy(stored, STRATEGIES)
    for (const { name } of found.alignment?.tensors ?? []) expect(again(name)).toEqual(found.paramsFor(name))
    expect(again(norm).params['levels']).toEqual([0.1, 2])
    expect(again(norm).perInput[0]?.params['density']).toBe(1 / 3)
  })

  test('[RES-9] an alias fills in params, and may take a default away', () => {
    const { strategy, params } = of({ strategy: { id: 'dare', params: { density: 0.1 } } }, norm)
    expect({ strategy, params }).toMatchObject({ strategy: 'dare_linear', params: { rescale_mode: 'inverse_prob' } })
    expect(
      of({ strategy: { id: 'dare', params: { density: 1, rescale_mode: 'none' } } }, norm).params['rescale_mode'],
    ).toBe('none')
    expect(refusal({ strategy: 'dare' }, { base: aBase() }).code).toBe('STRATEGY_PARAMS_INVALID')
  })

  test.each([
    [{ strategy: 'teis' }, 'STRATEGY_NOT_FOUND', '/strategy', 'did you mean ties?'],
    [{ strategy: { id: 'ties', version: 9 } }, 'STRATEGY_VERSION_UNKNOWN', '/strategy', ''],
    [
      { strategy: { id: 'ties', params: { lamda: 1 } } },
      'STRATEGY_PARAMS_INVALID',
      '/strategy/params/lamda',
      'did you mean lambda?',
    ],
    [{ strategy: { id: 'ties', params: { density: 1.5 } } }, 'STRATEGY_PARAMS_INVALID', '/strategy/params/density', ''],
    [{ strategy: { id: 'ties', params: { rounds: 1.5 } } }, 'STRATEGY_PARAMS_INVALID', '/strategy/params/rounds', ''],
    [
      { strategy: { id: 'ties', params: { normalize: 'true' } } },
      'STRATEGY_PARAMS_INVALID',
      '/strategy/params/normalize',
      '',
    ],
    [
      { strategy: { id: 'ties', params: { consensus: 'max' } } },
      'STRATEGY_PARAMS_INVALID',
      '/strategy/params/consensus',
      '',
    ],
    [
      { strategy: 'ties', params_for: [['lab/a', { lambda: 1 }]] },
      'STRATEGY_PARAMS_INVALID',
      '/params_for/0/1/lambda',
      '',
    ],
    [{ strategy: 'ties', params_for: [['lab/z', { density: 1 }]] }, 'REFERENCE_NOT_FOUND', '/params_for/0/0', ''],
    [{ strategy: 'ties', weights: [['lab/z', 1]] }, 'REFERENCE_NOT_FOUND', '/weights/0/0', ''],
    [
      { strategy: 'ties', overrides_for: [['lab/z', [{ match: '*', weight: 1 }]]] },
      'REFERENCE_NOT_FOUND',
      '/overrides_for/0/0',
      '',
    ],
    [
      { strategy: 'ties', overrides_for: [['lab/a', [{ match: '*', params: { lambda: 1 } }]]] },
      'STRATEGY_PARAMS_INVALID',
      '/overrides_for/0/1/0/params/lambda',
      '',
    ],
    [
      { strategy: 'ties', overrides: [{ match: '*', params: { t: 1 } }] },
      'STRATEGY_PARAMS_INVALID',
      '/overrides/0/params/t',
      '',
    ],
    [
      { strategy: 'ties', overrides: [{ match: '*', strategy: 'nope' }] },
      'STRATEGY_NOT_FOUND',
      '/overrides/0/strategy',
      '',
    ],
    [{ strategy: 'ties', order: ['lab/a'] }, 'RECIPE_INVALID', '/order', ''],
    [{ strategy: 'ties', reduce: 'fold' }, 'RECIPE_INVALID', '/reduce', ''],
    [{ strategy: 'ties', roles: [['x0', 'lab/a']] }, 'RECIPE_INVALID', '/roles/0/0', ''],
    [{ strategy: 'ties', out: { files_from: 'lab/z' } }, 'REFERENCE_NOT_FOUND', '/out/files_from', ''],
    [{ strategy: 'ties', select: { contributions: ['lab/z'] } }, 'REFERENCE_NOT_FOUND', '/select/contributions/0', ''],
    [{ strategy: 'ties', select: { tags: ['approved'] } }, 'NOTHING_SELECTED', '/select', ''],
  ])('[RES-10] %j is refused as %s', (document, code, pointer, hint) => {
    const found = refusal(document, { base: aBase() })
    expect({ code: found.code, pointer: found.pointer }).toEqual({ code, pointer })
    if (hint !== '') expect(found.hint).toBe(hint)
  })

  test('[RES-10] a strategy that needs a base, a sidecar or another kind says so', () => {
    expect(refusal({ strategy: 'ties' }).code).toBe('BASE_REQUIRED')
    expect(refusal({ strategy: 'fisher' }).code).toBe('SIDECAR_REQUIRED')
    expect(refusal({}, { candidates: [aCandidate('a', { kind: 'adapter' })] }).code).toBe('KIND_UNSUPPORTED')
    expect(refusal({}, { candidates: [] }).code).toBe('NOTHING_SELECTED')
  })
})

describe('inputs', () => {
  test('[RES-11] within a field of select any will do, between fields all must hold', () => {
    const candidates = [
      aCandidate('ab', { tags: ['x'], author: 'k1' }),
      aCandidate('ac', { tags: ['y', 'z'], author: 'k1' }),
      aCandidate('bc', { tags: ['x'], author: 'k2', contribution: 'ab12cd' }),
    ]
    const names = (select: unknown) =>
      resolved({ select }, { candidates })
        .inputs.map(({ candidate }) => candidate.name)
        .sort()
    expect(names({ names: ['a*'] })).toEqual(['ab', 'ac'])
    expect(names({ names: ['a?', 'bc'], tags: ['x'] })).toEqual(['ab', 'bc'])
    expect(names({ tags: ['x', 'z'], authors: ['k1'] })).toEqual(['ab', 'ac'])
    expect(names({ contributions: ['lab/bc@ab12', 'lab/ab'] })).toEqual(['ab', 'bc'])
    expect(refusal({ select: { contributions: ['lab/bc@ff00'] } }, { candidates }).code).toBe('REFERENCE_NOT_FOUND')
  })

  test('[RES-11] a slot that holds two contributions is a conflict until one is meant', () => {
    const candidates = [
      aCandidate('a', { contribution: '11'.repeat(32) }),
      aCandidate('a', { contribution: '22'.repeat(32), content: contentOf('second') }),
    ]
    const found = refusal({ weights: [['lab/a', 1]] }, { candidates })
    expect(found.code).toBe('SLOT_CONFLICT')
    expect(found.details['ids']).toEqual(['11'.repeat(32), '22'.repeat(32)])
    expect(resolved({}, { candidates }).inputs.length).toBe(2)
    expect(resolved({ select: { contributions: ['lab/a@2222'] } }, { candidates }).inputs.length).toBe(1)
  })

  test('[RES-12] two contributions of one content both count, or once where the recipe says so', () => {
    const candidates = [a, aCandidate('twin', { content: a.content, weight: 2 }), b]
    const counted = resolved({}, { candidates })
    expect(counted.inputs.length).toBe(3)
    expect(counted.warnings.join()).toContain('lab/a and lab/twin')
    const once = resolved({ duplicates: 'once' }, { candidates })
    expect(once.inputs.length).toBe(2)
    expect(weightOf(once, 'lab/a')).toBe('1')
    expect(once.leftOut).toEqual([{ ref: 'lab/twin', why: 'another input has its content' }])
    expect(once.merge).toBe(resolved({}, { candidates: [a, b] }).merge)
  })

  test('[RES-12] the input that plays a role is the one that stays', () => {
    const candidates = [a, aCandidate('twin', { content: a.content, weight: 2 }), b]
    const found = resolved({ strategy: 'slerp', roles: [['x0', 'lab/twin']], duplicates: 'once' }, { candidates })
    expect(found.inputs.map(({ candidate, role }) => [candidate.ref, role])).toContainEqual(['lab/twin', 'x0'])
    expect(found.inputs.length).toBe(2)
  })

  test('[RES-13] an explicit order is contents in the recipe, naming every input once', () => {
    const order = ['lab/c', 'lab/a', 'lab/b']
    expect(resolved({ strategy: 'in_turn', order }).recipe['order']).toEqual([c.content, a.content, b.content])
    expect(refusal({ strategy: 'in_turn' }).pointer).toBe('/order')
    expect(refusal({ strategy: 'in_turn', order: order.slice(1) }).pointer).toBe('/order')
  })

  test('[RES-14] only the sidecars that a strategy reads enter the record, sorted', () => {
    const sidecars: [string, ContentRoot][] = [
      ['gram', contentOf('g')],
      ['fisher', contentOf('f')],
    ]
    const candidates = [aCandidate('a', { sidecars })]
    expect(resolved({ strategy: 'fisher' }, { candidates }).inputs[0]?.record['sidecars']).toEqual([
      ['fisher', contentOf('f')],
    ])
    expect(resolved({}, { candidates }).inputs[0]?.record).not.toHaveProperty('sidecars')
  })
})

describe('headers', () => {
  const bare = (candidate: Candidate): Candidate => {
    const { headers, ...rest } = candidate
    expect(headers).toBeDefined()
    return rest
  }

  test('[RES-15] files are those asked for, else the base’s, else those of the first input that has any', () => {
    const files = (document: unknown, asked: Parameters<typeof resolved>[1]) =>
      (resolved(document, asked).recipe['out'] as { files: unknown[][] }).files.map(([path]) => path)
    const odd = [
      'tokenizer.json',
      'README.md',
      'receipt.json',
      'model.safetensors.index.json',
      'Config.json',
      '.gitattributes',
    ]
    const candidates = [
      aCandidate('a', { headers: headersOf('a', layers(1), odd) }),
      aCandidate('b', { headers: headersOf('b', layers(1), []) }),
    ]
    expect(files({}, { candidates })).toEqual(['Config.json', 'tokenizer.json'])
    expect(files({ out: { files_from: 'lab/b' } }, { candidates })).toEqual([])
    expect(
      files({ strategy: 'ties' }, { candidates, base: aBase('base', headersOf('base', layers(1), ['base.json'])) }),
    ).toEqual(['base.json'])
    expect(files({ strategy: 'ties' }, { candidates, base: aBase('base', headersOf('base', layers(1), [])) })).toEqual([
      'Config.json',
      'tokenizer.json',
    ])
  })

  test('[RES-16] exclude is decided before ids: the same as if the misfits had never been there', () => {
    const misfit = aCandidate('odd', { headers: headersOf('odd', layers(3)) })
    const found = resolved({ mismatch: 'exclude' }, { candidates: [a, misfit, b] })
    expect(found.merge).toBe(resolved({ mismatch: 'exclude' }, { candidates: [a, b] }).merge)
    expect(found.leftOut).toEqual([{ ref: 'lab/odd', why: expect.stringContaining('model.layers.2.') as string }])
    expect(found.alignment?.excluded).toEqual([])
    expect(refusal({ strategy: 'ties', mismatch: 'exclude' }, { candidates: [misfit], base: aBase() }).code).toBe(
      'NOTHING_SELECTED',
    )
  })

  test('[RES-16] where ids depend on headers that have not arrived, the models are named', () => {
    const candidates = [a, bare(aCandidate('b', { model: 'b0'.repeat(32) }))]
    const lacking = (document: unknown, asked = {}) => refusal(document, { candidates, ...asked })
    expect(lacking({ mismatch: 'exclude' })).toMatchObject({
      code: 'MANIFEST_MISSING',
      details: { models: ['b0'.repeat(32)] },
    })
    expect(
      lacking({ strategy: 'linear', overrides_for: [['lab/a', [{ match: '*', weight: { gradient: [0, 1] } }]]] }).code,
    ).toBe('MANIFEST_MISSING')
    const found = resolved({ strategy: 'ties' }, { candidates, base: aBase() })
    expect(found.alignment).toBeUndefined()
    expect(found.merge).toBe(resolved({ strategy: 'ties' }, { candidates: [a, b], base: aBase() }).merge)
  })

  test('[RES-17] an input trained from another base is warned of', () => {
    const candidates = [
      aCandidate('a', { trainedFrom: contentOf('base') }),
      aCandidate('b', { trainedFrom: contentOf('else') }),
    ]
    const { warnings } = resolved({ strategy: 'ties' }, { candidates, base: aBase() })
    expect(warnings.length).toBe(1)
    expect(warnings[0]).toContain('lab/b')
  })

  test('[RES-18] a recipe that is too large once its gradients are laid out is refused', () => {
    const many = Array.from({ length: 400 }, (_, i) => ({ match: `*${i}*`, params: { lambda: { gradient: [0, 1] } } }))
    const headers = headersOf('x', layers(40))
    const found = refusal(
      { strategy: 'ties', overrides: many.map((it) => ({ ...it, match: `*${'w'.repeat(900)}*` })) },
      { base: aBase('base', headers), candidates: [aCandidate('a', { headers })] },
    )
    expect(found.message).toContain('262144')
  })

  test('[RES-4] a merge of local paths and of a space’s slots is one merge', () => {
    const local = resolve({
      recipe: parseRecipe(
        {
          strategy: 'ties',
          weights: [
            ['./a', 2],
            ['./b', 1],
          ],
        },
        { allowPaths: true },
      ),
      strategies: STRATEGIES,
      candidates: [aCandidate('a', { ref: './a' }), aCandidate('b', { ref: './b' })],
      base: aBase(),
    })
    expect(local.merge).toBe(
      resolved({ strategy: 'ties', weights: [['lab/a', 2]] }, { candidates: [b, a], base: aBase() }).merge,
    )
  })
})
