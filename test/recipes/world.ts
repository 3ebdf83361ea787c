/** Builders for tests of recipes: strategies without arithmetic, candidates without bytes. */
import { Type } from 'typebox'
import { sha256Hex } from '../../src/core/digest.ts'
import { utf8 } from '../../src/core/bytes.ts'
import type { ContentRoot, FileDigest, TensorRoot } from '../../src/core/ids.ts'
import { defineGather, defineSum, type Strategy } from '../../src/core/strategy.ts'
import type { Candidate, Headers } from '../../src/recipes/candidate.ts'
import { parseRecipe } from '../../src/recipes/recipe.ts'
import { type Resolved, type ResolveRequest, resolve } from '../../src/recipes/resolve.ts'
import type { Dtype } from '../../src/tensors/dtypes.ts'
import type { ManifestTensor } from '../../src/tensors/manifest.ts'

const law = { idempotent: true, fixesBase: true, weightScaleFree: true, bounded: true } as const
const about = { version: 1, family: 'linear', title: 'T', summary: 'S', references: [] } as const
const lambda = Type.Number({ default: 1, description: 'Scale.' })
const density = Type.Number({ default: 1, minimum: 0, maximum: 1, description: 'Kept.' })

export const STRATEGIES: readonly Strategy[] = [
  defineSum({
    ...about,
    id: 'weight_average',
    aliases: [{ id: 'linear', params: {} }],
    params: Type.Object({ normalize: Type.Boolean({ default: true, description: 'Divide.' }) }),
    needs: { base: 'none', contributions: { min: 1 }, weights: 'any' },
    laws: { ...law, order: 'free' },
    check: ({ inputs }) =>
      inputs.reduce((sum, { weight }) => sum + weight, 0) === 0
        ? { code: 'WEIGHTS_SUM_ZERO', message: 'the weights add up to zero', pointer: '/inputs/0/weight' }
        : undefined,
    merge: ({ sum }) => sum((own) => own.value.term(own.weight)),
  }),
  defineSum({
    ...about,
    id: 'task_arithmetic',
    params: Type.Object({ lambda, normalize: Type.Boolean({ default: false, description: 'Divide.' }) }),
    needs: { base: 'required', contributions: { min: 1 }, weights: 'any' },
    laws: { ...law, order: 'free' },
    merge: ({ sum }) => sum((own) => own.value.term(own.weight)),
  }),
  defineSum({
    ...about,
    id: 'ties',
    version: 3,
    params: Type.Object({
      lambda,
      rounds: Type.Integer({ default: 2, minimum: 1, description: 'How often.' }),
      consensus: Type.Union([Type.Literal('sum'), Type.Literal('count')], { default: 'sum', description: 'Vote.' }),
      normalize: Type.Boolean({ default: true, description: 'Divide.' }),
      levels: Type.Optional(Type.Array(Type.Number(), { description: 'Levels.' })),
    }),
    perContribution: Type.Object({ density }),
    needs: { base: 'required', contributions: { min: 1 }, weights: 'any' },
    laws: { ...law, order: 'free' },
    merge: ({ sum }) => sum((own) => own.value.term(own.weight)),
  }),
  ...(['dare_linear', 'dare_ties'] as const).map((id) =>
    defineSum({
      ...about,
      id,
      aliases:
        id === 'dare_linear' ? [{ id: 'dare', params: { rescale_mode: 'inverse_prob' }, requires: ['density'] }] : [],
      params: Type.Object({
        lambda,
        normalize: Type.Boolean({ default: false, description: 'Divide.' }),
        rescale_mode: Type.Union([Type.Literal('l1'), Type.Literal('inverse_prob'), Type.Literal('none')], {
          default: 'l1',
          description: 'Rescale.',
        }),
      }),
      perContribution: Type.Object({ density }),
      needs: { base: 'required', contributions: { min: 1 }, weights: 'any', stochastic: true },
      laws: { ...law, order: 'free' },
      merge: ({ sum }) => sum((own) => own.value.term(own.weight)),
    }),
  ),
  defineGather({
    ...about,
    id: 'slerp',
    params: Type.Object({ t: Type.Optional(Type.Number({ minimum: 0, maximum: 1, description: 'Place.' })) }),
    needs: { base: 'none', contributions: { min: 1 }, weights: 'positive', roles: ['x0'], reduce: 'fold' },
    laws: { ...law, order: 'canonical' },
    merge: ({ contributions }) => contributions[0]!.value,
  }),
  defineGather({
    ...about,
    id: 'in_turn',
    params: Type.Object({}),
    needs: { base: 'none', contributions: { min: 1 }, weights: 'any' },
    laws: { ...law, order: 'explicit' },
    merge: ({ contributions }) => contributions[0]!.value,
  }),
  defineSum({
    ...about,
    id: 'fisher',
    params: Type.Object({}),
    needs: {
      base: 'none',
      contributions: { min: 1 },
      weights: 'any',
      sidecars: { fisher: { summary: 'Importance.', missing: 'refuse' } },
    },
    laws: { ...law, order: 'free' },
    merge: ({ sum }) => sum((own) => own.value.term(own.weight)),
  }),
]

export const contentOf = (seed: string): ContentRoot => sha256Hex(utf8(seed)) as ContentRoot
const rootOf = (seed: string): TensorRoot => sha256Hex(utf8(seed)) as TensorRoot

type TensorSketch = readonly [name: string, shape: readonly number[], dtype?: Dtype, bytes?: string]

/** The root of a tensor follows from its last word, else from the model's name and its own. */
export const tensorsOf = (model: string, sketch: readonly TensorSketch[]): readonly ManifestTensor[] =>
  sketch.map(([name, shape, dtype = 'BF16', bytes = `${model} ${name}`]) => ({
    name,
    dtype,
    shape,
    bytes: shape.reduce((a, b) => a * b, 2),
    root: rootOf(bytes),
  }))

export const layers = (count: number): readonly TensorSketch[] => [
  ['model.embed_tokens.weight', [8, 4]],
  ...Array.from({ length: count }, (_, i): TensorSketch[] => [
    [`model.layers.${i}.self_attn.q_proj.weight`, [4, 4]],
    [`model.layers.${i}.mlp.up_proj.weight`, [4, 4]],
    [`model.layers.${i}.input_layernorm.weight`, [4]],
  ]).flat(),
  ['model.norm.weight', [4]],
]

export const headersOf = (
  model: string,
  sketch: readonly TensorSketch[] = layers(2),
  files: readonly string[] = ['config.json'],
): Headers => ({
  tensors: tensorsOf(model, sketch),
  files: files.map((path) => ({ path, bytes: 2, sha256: sha256Hex(utf8(`${model} ${path}`)) as FileDigest })),
})

export const aCandidate = (name: string, more: Partial<Candidate> = {}): Candidate => ({
  ref: `lab/${name}`,
  name,
  content: contentOf(name),
  kind: 'full',
  headers: headersOf(name),
  ...more,
})

export const aBase = (name = 'base', headers = headersOf(name)) => ({
  ref: `lab/${name}`,
  content: contentOf(name),
  headers,
})

export type Asked = Partial<Omit<ResolveRequest, 'recipe'>> & { readonly allowPaths?: boolean }

export function resolved(document: unknown, { allowPaths = false, ...more }: Asked = {}): Resolved {
  return resolve({
    recipe: parseRecipe(document, { allowPaths }),
    strategies: STRATEGIES,
    candidates: [aCandidate('a'), aCandidate('b'), aCandidate('c')],
    ...more,
  })
}
