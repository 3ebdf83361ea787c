/** Every registered strategy under the contract, and the contract itself under strategies that break it. */
import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { ContractError } from '../../src/core/graph.ts'
import { defineGather, defineSum, type Plane, type Strategy, Type } from '../../src/core/strategy.ts'
import { aWorld, describeContracts, LAWS, wrongAbout } from '../contracts/strategy-contract.ts'
import { mergeWorld } from './world.ts'

describeContracts(strategies)

test('[STR-1] every file is registered under its own name, in the folder of its family', () => {
  const folder = new URL('../../merge-strategies/', import.meta.url)
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => /[/\\].*[.]ts$/.test(path))
  const expected = strategies.map(({ id, family }) => `${family}/${id.replaceAll('_', '-')}.ts`)
  expect(files.map((path) => path.replaceAll('\\', '/')).sort()).toEqual(expected.sort())
  const names = strategies.flatMap(({ id, aliases = [] }) => [id, ...aliases.map((alias) => alias.id)])
  expect(new Set(names).size).toBe(names.length)
  for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
})

const laws = Object.keys(LAWS) as (keyof typeof LAWS)[]
const flipped = (strategy: Strategy, law: keyof typeof LAWS): Strategy => ({
  ...strategy,
  laws: {
    ...strategy.laws,
    [law]: law === 'order' ? (strategy.laws.order === 'free' ? 'canonical' : 'free') : !strategy.laws[law],
  },
})

describe.each(strategies.map((strategy) => [strategy.id, strategy] as const))('%s', (_, strategy) => {
  test.each(laws)('[STR-20] claiming the opposite about %s is noticed', (law) => {
    expect(wrongAbout(flipped(strategy, law), law)).toMatch(law)
  })
})

const said = {
  version: 1,
  family: 'linear',
  title: 'x',
  summary: 'x',
  references: ['x'],
  params: Type.Object({}),
  laws: { order: 'free', idempotent: true, fixesBase: true, weightScaleFree: true, bounded: true },
} as const
const needs = { base: 'none', contributions: { min: 1 }, weights: 'any' } as const

describe('[STR-3] what breaks the contract is refused when it is recorded, in its author’s frame:', () => {
  const refused = (strategy: Strategy) => {
    try {
      mergeWorld(aWorld(strategy, 1))
    } catch (error) {
      if (error instanceof ContractError) return error
      throw error
    }
    throw new Error('nothing was refused')
  }

  test('a term that looks at other contributions', () => {
    const cheat = defineSum({
      ...said,
      id: 'cheat',
      needs,
      merge({ sum, total }) {
        const mean = sum((own) => own.value.term()).over(total(() => 1))
        return sum((own) => own.value.minus(mean).term())
      },
    })
    const error = refused(cheat)
    expect(error.message).toMatch(/cheat: a term of sum looks at other contributions; a term may only look at its own/)
    expect(error.stack).toMatch(/contract\.test\.ts/)
  })

  test('a weight, and a summand of a total, that look at others', () => {
    const weight = defineSum({
      ...said,
      id: 'weight',
      needs,
      merge({ sum, total }) {
        const all = total((own) => own.weight)
        return sum((own) => own.value.term(all))
      },
    })
    expect(refused(weight).message).toMatch(/a weight of sum looks at other contributions/)
    const summand = defineSum({
      ...said,
      id: 'summand',
      needs,
      merge({ sum, total }) {
        const all = sum((own) => own.value.term()).l1()
        return sum((own) => own.value.term()).over(total(() => all))
      },
    })
    expect(refused(summand).message).toMatch(/a summand of total looks at other contributions/)
  })

  test('handles kept from another recording, numbers that are none, rows, and masks for planes', () => {
    let kept: Plane | undefined
    const keeper = defineGather({
      ...said,
      id: 'keeper',
      needs,
      merge({ contributions: [first] }) {
        kept ??= first!.value
        return first!.value.plus(kept)
      },
    })
    mergeWorld(aWorld(keeper, 1)) // one recording serves all tensors of a merge, and the next merge makes its own
    expect(refused(keeper).message).toMatch(/handle of another recording/)
    const wrong: readonly [string, (value: Plane) => Plane, RegExp][] = [
      ['nan', (value) => value.times(Number.NaN), /uses the number NaN/],
      ['rows', (value) => value.times(value.l2('row')), /by row are not built/],
      ['mask', (value) => value.plus(value.above(0) as never), /a mask is used where a plane/],
      ['plane', (value) => value.where(value as never), /a plane is used where a mask/],
      ['text', (value) => value.plus('1' as never), /a plane was expected/],
      ['nothing', () => undefined as never, /a plane was expected/],
      ['fraction', (value) => value.where(value.largest(Number.NaN)), /the fraction NaN/],
    ]
    for (const [id, formula, message] of wrong) {
      const strategy = defineGather({ ...said, id, needs, merge: ({ contributions: [own] }) => formula(own!.value) })
      expect(refused(strategy).message, id).toMatch(message)
    }
  })

  test('a Σ of planes that were not weighed', () => {
    // @ts-expect-error a plane that was not weighed can't be summed
    const unweighed = defineSum({ ...said, id: 'unweighed', needs, merge: ({ sum }) => sum((own) => own.value) })
    expect(refused(unweighed).message).toMatch(/a term was expected, and a plane was given/)
  })
})

const look = (...seen: readonly unknown[]) => seen.length

test('[STR-4] what a strategy did not say it needs, it can’t name', () => {
  const merge = defineSum({
    ...said,
    id: 'x',
    needs,
    merge({ sum, base }) {
      // @ts-expect-error no base was asked for
      look(base?.plus)
      return sum((own) => {
        // @ts-expect-error not stochastic
        look(own.random?.keep)
        // @ts-expect-error no such sidecar
        look(own.sidecars.fisher)
        // @ts-expect-error no such parameter
        look(own.params.density)
        // @ts-expect-error a formula can't see an element
        look(own.value[0])
        return own.value.term()
      })
    },
  })
  expect(mergeWorld(aWorld(merge, 1)).tensors['b']).toHaveLength(37)
})
