import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { layOut, placeOf, valueAt } from '../../src/recipes/gradients.ts'
import { matches } from '../../src/recipes/pattern.ts'

const valueOf = (name: string, match: string, gradient: readonly number[], names: readonly string[]) =>
  layOut(match, gradient, names)
    .filter((laid) => matches(laid.match, name))
    .at(-1)?.value

describe('gradients', () => {
  test.each([
    ['model.layers.7.mlp.up_proj.weight', { stem: 'model.layers', layer: 7 }],
    ['h.0.attn.weight', { stem: 'h', layer: 0 }],
    ['model.layers.3.block_sparse_moe.experts.5.w1.weight', { stem: 'model.layers', layer: 3 }],
    ['model.norm.weight', undefined],
    ['3.weight', undefined],
    ['scales.4', undefined],
    ['layers.007.w', undefined],
  ])('[MKY-6] the layer of %s', (name, wanted) => expect(placeOf(name)).toEqual(wanted))

  test('[MKY-6] between two numbers the value is linear', () => {
    expect([0, 0.25, 0.5, 0.75, 1].map((t) => valueAt([0, 1, 0], t))).toEqual([0, 0.5, 1, 0.5, 0])
    expect(valueAt([3], 0.7)).toBe(3)
  })

  test('[MKY-6] one layer alone is the last, and each stem counts its own', () => {
    expect(valueOf('m.layers.0.w', '*', [1, 2], ['m.layers.0.w'])).toBe(2)
    const names = ['v.blocks.0.w', 'v.blocks.1.w', 'm.layers.0.w', 'm.layers.1.w', 'm.layers.2.w', 'm.norm']
    expect(names.map((name) => valueOf(name, '*', [0, 1], names))).toEqual([0, 1, 0, 0.5, 1, 0])
  })

  test('[MKY-6] where one pattern would say too much, the names are said instead', () => {
    const names = ['m.layers.0.q', 'm.layers.1.q', 'm.layers.1.layers.1.q', 'x.layers.1.q']
    const laid = layOut('m.layers.1.q', [0, 1], names)
    expect(laid).toEqual([
      { match: 'm.layers.1.q', value: 0 },
      { match: 'm.layers.1.q', value: 1 },
    ])
  })

  test('[MKY-6] every tensor gets the value of its layer, whatever the pattern', () => {
    const part = fc.constantFrom('mlp', 'attn', 'norm', 'layers', '1', 'w')
    const name = fc
      .tuple(fc.constantFrom('m', 'v'), fc.integer({ min: 0, max: 3 }), fc.array(part, { minLength: 1, maxLength: 2 }))
      .map(([stem, layer, parts]) => `${stem}.layers.${layer}.${parts.join('.')}`)
    const match = fc.constantFrom('*', '*mlp*', '*layers.1*', '*.1.*', 'm*', '?.layers.*w', '*1')
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 12 }), match, (some, pattern) => {
        const names = [...some, 'm.norm']
        for (const each of names) {
          if (!matches(pattern, each)) continue
          const place = placeOf(each)
          const same = names.flatMap((other) => {
            const at = placeOf(other)
            return at && at.stem === place?.stem ? [at.layer] : []
          })
          const last = Math.max(...same)
          const t = place ? (last === 0 ? 1 : place.layer / last) : 0
          expect(valueOf(each, pattern, [0, 3, 1], names)).toBe(valueAt([0, 3, 1], t))
        }
        for (const each of names)
          if (!matches(pattern, each)) expect(valueOf(each, pattern, [0, 3, 1], names)).toBeUndefined()
      }),
      { seed: 1, numRuns: 500 },
    )
  })
})
