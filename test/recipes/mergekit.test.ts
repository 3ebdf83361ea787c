import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { strategies } from '../../merge-strategies/index.ts'
import { importMergekit } from '../../src/recipes/mergekit.ts'
import { loadRecipe } from '../../src/recipes/load.ts'
import { METHODS, METHODS_NOT_OFFERED } from '../../src/recipes/mergekit-methods.ts'
import { type Resolved, resolve } from '../../src/recipes/resolve.ts'
import { refusalOf } from '../support/refusal.ts'
import { aBase, aCandidate, headersOf, layers, STRATEGIES } from './world.ts'

const nativeOf = (text: string) => importMergekit(parse(text), { allowPaths: false })

function resolvedOf(text: string, count = 5): Resolved {
  const headers = headersOf('x', layers(count))
  const { recipe } = loadRecipe(text, { allowPaths: false })
  return resolve({
    recipe,
    strategies: STRATEGIES,
    candidates: ['a', 'b', 'x'].map((name) => aCandidate(name, { headers })).filter(({ ref }) => text.includes(ref)),
    base: aBase('x', headers),
  })
}

describe('import of mergekit recipes', () => {
  test('[MKY-1] linear with weights', () => {
    const { native, notes } = nativeOf(`
merge_method: linear
models:
  - {model: lab/a, parameters: {weight: 1.0}}
  - {model: lab/b, parameters: {weight: 0.3}}
parameters: {normalize: false}
dtype: float16
`)
    expect(native).toEqual({
      tributary: 1,
      strategy: { id: 'linear', params: { normalize: false } },
      select: { contributions: ['lab/a', 'lab/b'] },
      weights: [
        ['lab/a', 1],
        ['lab/b', 0.3],
      ],
      out: { dtype: 'float16', files_from: 'lab/a' },
    })
    expect(notes).toEqual([
      'dtype "float16" is taken as the type of the output; the arithmetic is exact whatever it says',
    ])
  })

  test('[MKY-1] ties leaves the listed base out of the inputs, and int8_mask without effect', () => {
    const { native, notes } = nativeOf(`
merge_method: ties
base_model: lab/x
models:
  - {model: lab/x}
  - {model: lab/a, parameters: {weight: 0.5, density: 0.4}}
  - {model: lab/b, parameters: {weight: 0.3}}
parameters: {normalize: true, int8_mask: true, density: 0.9}
dtype: float32
out_dtype: bfloat16
`)
    expect(native).toEqual({
      tributary: 1,
      strategy: { id: 'ties', params: { normalize: true } },
      base: 'lab/x',
      select: { contributions: ['lab/a', 'lab/b'] },
      weights: [
        ['lab/a', 0.5],
        ['lab/b', 0.3],
      ],
      params_for: [
        ['lab/a', { density: 0.4 }],
        ['lab/b', { density: 0.9 }],
      ],
      out: { dtype: 'bfloat16' },
    })
    expect(notes).toEqual([
      'dtype "float32" has no effect: the arithmetic is exact, and out_dtype gives the type of the output',
    ])
  })

  test('[MKY-1] rescale is rescale_mode, and what a method does not read is noted', () => {
    const { native, notes } = nativeOf(`
merge_method: dare_ties
base_model: lab/x
models: [{model: lab/a, parameters: {weight: 1, density: 0.5}}]
parameters: {rescale: false, lambda: 0.7, epsilon: 0.1}
`)
    expect(native).toMatchObject({ strategy: { id: 'dare_ties', params: { rescale_mode: 'none', lambda: 0.7 } } })
    expect(notes).toEqual(['epsilon has no meaning for dare_ties and was left out'])
  })

  test('[MKY-3] slerp begins at base_model, listed or not', () => {
    for (const models of ['[{model: lab/x}, {model: lab/b}]', '[{model: lab/b}]']) {
      const found = resolvedOf(`merge_method: slerp\nbase_model: lab/x\nmodels: ${models}\nparameters: {t: 0.25}`)
      expect(found.strategy.id).toBe('slerp')
      expect(found.base).toBeUndefined()
      const roles = found.inputs.map(({ candidate, role }) => [candidate.ref, role]).sort()
      expect(roles).toEqual([
        ['lab/b', undefined],
        ['lab/x', 'x0'],
      ])
      expect(found.paramsFor('any').params).toEqual({ t: 0.25 })
    }
  })

  test('[MKY-4] the first filter that matches counts, then gradients run over the layers', () => {
    const found = resolvedOf(`
merge_method: slerp
base_model: lab/x
models: [{model: lab/x}, {model: lab/b}]
parameters:
  t:
    - {filter: self_attn, value: [0, 0.5, 1]}
    - {filter: layers.1, value: 0.9}
    - {filter: mlp, value: [1, 0]}
    - value: 0.25
`)
    const t = (name: string) => found.paramsFor(name).params['t']
    const at = (layer: number, what: string) => t(`model.layers.${layer}.${what}.weight`)
    expect([0, 1, 2, 3, 4].map((layer) => at(layer, 'self_attn.q_proj'))).toEqual([0, 0.25, 0.5, 0.75, 1])
    expect([0, 1, 2, 3, 4].map((layer) => at(layer, 'mlp.up_proj'))).toEqual([1, 0.9, 0.5, 0.25, 0])
    expect([0, 1, 2].map((layer) => at(layer, 'input_layernorm'))).toEqual([0.25, 0.9, 0.25])
    expect(t('model.norm.weight')).toBe(0.25)
  })

  test('[MKY-4] a model’s own setting comes first and falls through to the global one', () => {
    const found = resolvedOf(`
merge_method: ties
base_model: lab/x
models:
  - model: lab/a
    parameters: {weight: [{filter: mlp, value: 5}], density: [0.2, 1]}
  - {model: lab/b, parameters: {weight: 2}}
parameters:
  weight: [{filter: self_attn, value: 3}, {filter: mlp, value: 4}, {value: 1}]
  density: [{filter: embed, value: 0.5}]
`)
    const index = found.inputs.findIndex(({ candidate }) => candidate.ref === 'lab/a')
    const of = (name: string, i: number) => {
      const { weight, params } = found.paramsFor(name).perInput[i]!
      return [weight, params['density']]
    }
    expect(of('model.layers.0.mlp.up_proj.weight', index)).toEqual([5, 0.2])
    expect(of('model.layers.2.self_attn.q_proj.weight', index)).toEqual([3, 0.5 * 0.2 + 0.5 * 1])
    expect(of('model.layers.4.input_layernorm.weight', index)).toEqual([1, 1])
    expect(of('model.embed_tokens.weight', index)).toEqual([1, 0.2])
    expect(of('model.layers.0.mlp.up_proj.weight', 1 - index)).toEqual([2, 1])
    expect(of('model.embed_tokens.weight', 1 - index)).toEqual([2, 0.5])
  })

  test('[MKY-4] weights may run over the layers too', () => {
    const found = resolvedOf(`
merge_method: linear
models:
  - {model: lab/a, parameters: {weight: [1, 0.1]}}
  - {model: lab/b, parameters: {weight: 1}}
`)
    const a = found.inputs.find(({ candidate }) => candidate.ref === 'lab/a')
    expect(a?.record).toMatchObject({
      weight: '1',
      overrides: [
        ['*', { weight: '1' }],
        ['model.layers.1.*', { weight: '0.775' }],
        ['model.layers.2.*', { weight: '0.55' }],
        ['model.layers.3.*', { weight: '0.325' }],
        ['model.layers.4.*', { weight: '0.1' }],
      ],
    })
  })

  test.each(Object.keys(METHODS))('[MKY-1] what is imported for %s, the strategies that ship take', (method) => {
    const { whole, each } = METHODS[method]!
    const value = { t: 0.5, lambda: 0.5, normalize: true, rescale: true, weight: 0.5, density: 0.5 }
    const said = (names: readonly string[]) =>
      Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)))
    const document = {
      merge_method: method,
      base_model: 'lab/x',
      models: ['a', 'b']
        .slice(method === 'slerp' ? 1 : 0)
        .map((name) => ({ model: `lab/${name}`, parameters: said(each) })),
      parameters: said(whole),
    }
    const { recipe } = importMergekit(document, { allowPaths: false })
    const candidates = ['a', 'b', 'x'].map((name) => aCandidate(name))
    const found = resolve({ recipe, strategies, candidates, base: aBase('x') })
    expect(found.strategy.id).toBe(method)
    expect(found.inputs.length).toBe(2)
    const printed = JSON.stringify([found.recipe, found.inputs.map(({ record }) => record)])
    for (const name of [...whole, ...each]) expect(printed).toContain(name)
  })

  test('[MKY-5] config and tokenizer come from the model mergekit would take them from', () => {
    const files = (more: string) =>
      nativeOf(`merge_method: linear\nbase_model: lab/x\nmodels: [{model: lab/a, parameters: {weight: 1}}]\n${more}`)
        .native['out']
    expect(files('')).toEqual({ files_from: 'lab/x' })
    expect(files('tokenizer_source: base')).toEqual({ files_from: 'lab/x' })
    expect(files('tokenizer_source: lab/a')).toEqual({ files_from: 'lab/a' })
    expect(files('tokenizer: {source: lab/a}')).toEqual({ files_from: 'lab/a' })
  })

  test('[MKY-2] each method of mergekit is offered or refused by name', () => {
    for (const method of METHODS_NOT_OFFERED) {
      const refusal = refusalOf(() =>
        loadRecipe(`merge_method: ${method}\nmodels: [{model: lab/a}]`, { allowPaths: false }),
      )
      expect(refusal.code).toBe('RECIPE_UNSUPPORTED')
      expect(refusal.message).toContain(method)
    }
    expect(Object.keys(METHODS)).toEqual(['linear', 'slerp', 'task_arithmetic', 'ties', 'dare_linear', 'dare_ties'])
  })

  test('[MKY-1] models may be records with a path, and nulls are absences', () => {
    const { native } = nativeOf(`
merge_method: linear
base_model: null
models: [{model: {model: {path: lab/a}}, parameters: {weight: 1}}]
out_dtype:
`)
    expect(native['select']).toEqual({ contributions: ['lab/a'] })
    expect(native['out']).toEqual({ files_from: 'lab/a' })
  })
})
