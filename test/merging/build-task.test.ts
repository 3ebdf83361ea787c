import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { ContentRoot, TensorRoot } from '../../src/core/ids.ts'
import { defineGather, type Strategy } from '../../src/core/strategy.ts'
import { buildTensors } from '../../src/merging/build-task.ts'
import { parseRecipe } from '../../src/recipes/recipe.ts'
import { resolve } from '../../src/recipes/resolve.ts'

const inTurn = defineGather({
  id: 'in_turn',
  version: 1,
  family: 'linear',
  title: 'In turn',
  summary: 'The first of an order.',
  references: [],
  params: Type.Object({}),
  needs: { base: 'none', contributions: { min: 1 }, weights: 'any' },
  laws: { order: 'explicit', idempotent: true, fixesBase: true, weightScaleFree: true, bounded: true },
  merge: ({ contributions }) => contributions[0]!.value,
})

const digest = (text: string) => sha256Hex(Buffer.from(text))
const world = (recipe: object, all: readonly Strategy[] = [...strategies, inTurn]) =>
  resolve({
    recipe: parseRecipe({ tributary: 1, ...recipe }, { allowPaths: true }),
    strategies: all,
    candidates: ['a', 'b', 'c'].map((ref) => ({
      ref,
      kind: 'full' as const,
      content: digest(ref) as ContentRoot,
      headers: {
        files: [],
        tensors: ['first', 'second'].map((name) => ({
          name,
          dtype: 'F32' as const,
          shape: [2, 2],
          bytes: 16,
          root: digest(ref + name) as TensorRoot,
        })),
      },
    })),
  })

const build = (recipe: object) => {
  const resolved = world(recipe)
  const tensors = buildTensors({
    resolved,
    locate: (source, tensor) => ({ path: `${source}/${tensor}`, offset: 0, bytes: 16, dtype: 'F32' }),
    target: ({ name }) => ({ path: name, offset: 0, bytes: 16 }),
  })
  const refs = tensors.map(({ rule }) =>
    rule.kind === 'copy' ? [] : rule.inputs.map(({ input }) => resolved.inputs[input]!.candidate.ref),
  )
  return { tensors, refs }
}

test('[MRG-12] what a strategy refuses for one tensor is refused by the name of that tensor', () => {
  const zero = {
    strategy: 'linear',
    weights: [
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ],
    overrides_for: [['c', [{ match: 'second', weight: -2 }]]],
  }
  expect(() => build(zero)).toThrow(
    expect.objectContaining({
      code: 'WEIGHTS_SUM_ZERO',
      message: expect.stringContaining('"second"') as string,
    }) as Error,
  )
  const fine = { ...zero, overrides_for: [['c', [{ match: 'second', weight: 3 }]]] }
  const weights = build(fine).tensors.map(
    ({ rule }) => rule.kind === 'merge' && rule.inputs.map(({ weight }) => weight),
  )
  expect(weights.map((list) => [...(list || [])].sort())).toEqual([
    [1, 1, 1],
    [1, 1, 3],
  ])
})

test('[MRG-13] an explicit order is the order of the inputs, and without one the canonical order is', () => {
  const canonical = ['a', 'b', 'c'].sort((a, b) => (digest(a) < digest(b) ? -1 : 1))
  expect(build({ strategy: 'linear' }).refs).toEqual([canonical, canonical])
  for (const order of [
    ['a', 'b', 'c'],
    ['c', 'a', 'b'],
  ])
    expect(build({ strategy: 'in_turn', order }).refs).toEqual([order, order])
})
