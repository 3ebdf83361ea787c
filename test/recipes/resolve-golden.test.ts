import { describe, expect, test } from 'vitest'
import type { CanonicalRecord } from '../../src/core/canonical.ts'
import { aBase, aCandidate, contentOf, resolved } from './world.ts'
import { golden } from '../support/golden.ts'

interface Case {
  name: string
  document: unknown
  candidates: { name: string; content?: string; weight?: string | number }[]
  base?: string
  recipe: CanonicalRecord
  inputs: CanonicalRecord[]
  recipe_id: string
  merge_id: string
  seed: string
}

const { cases } = golden<{ cases: Case[] }>('recipes_merge')

describe('records and ids equal those that Python worked out', () => {
  test.each(cases)('[RES-1] [RES-2] [RES-3] $name', ({ document, candidates, base, ...wanted }) => {
    const found = resolved(document, {
      candidates: candidates.map(({ name, content, weight }) =>
        aCandidate(name, { ...(content && { content: contentOf(content) }), ...(weight !== undefined && { weight }) }),
      ),
      ...(base !== undefined && { base: aBase(base) }),
    })
    expect(found.recipe).toEqual(wanted.recipe)
    expect(found.inputs.map(({ record }) => record)).toEqual(wanted.inputs)
    expect(found.recipeId).toBe(wanted.recipe_id)
    expect(found.merge).toBe(wanted.merge_id)
    expect(found.seed).toBe(wanted.seed)
  })
})
