/** What every strategy owes. It reads only the declaration, so a new file is tested by being there. */
import { describe, expect, test } from 'vitest'
import { record } from '../../src/core/record.ts'
import { seedFromInteger } from '../../src/core/seed.ts'
import type { Laws, Needs, Strategy } from '../../src/core/strategy.ts'
import { explain } from '../../src/merging/evaluate/explain.ts'
import { Summing } from '../merge-strategies/summing.ts'
import {
  contentOf,
  mergeWorld,
  numbersFrom,
  type Offered,
  type Tensors,
  type World,
} from '../merge-strategies/world.ts'

/** One spans several blocks, the others are smaller than one. */
export const SHAPES = { a: 9_000, b: 37, c: 1 }
const SMALL = { w: 24 }
const SEEDS = [1, 2, 3, 4, 5, 6]

/** Numbers over eight octaves; weights of every kind the strategy takes; a density of one half where there is one. */
export function aWorld(
  strategy: Strategy,
  seed: number,
  count = 5,
  shapes: Readonly<Record<string, number>> = SHAPES,
): World {
  const next = numbersFrom(seed)
  const { base, weights, sidecars } = strategy.needs as Needs
  const number = () => Math.fround((next() - 0.5) * 2 ** Math.floor(next() * 8 - 4))
  const tensors = (f = number): Tensors =>
    Object.fromEntries(Object.entries(shapes).map(([name, length]) => [name, Float64Array.from({ length }, f)]))
  const inputs = Array.from({ length: count }, (_, i): Offered => {
    // where negative weights are taken, some worlds have one
    const sign = weights === 'any' && i === 1 && seed % 2 === 0 ? -1 : 1
    const weight = sign * Math.fround(0.25 + next())
    return {
      content: contentOf(i * 7 + seed),
      weight,
      tensors: tensors(),
      ...(strategy.perContribution?.properties['density'] !== undefined && { params: { density: 0.5 } }),
      ...(sidecars && {
        sidecars: Object.fromEntries(Object.keys(sidecars).map((name) => [name, tensors(() => Math.fround(next()))])),
      }),
    }
  })
  return { strategy, inputs, seed: seedFromInteger(seed), ...(base !== 'none' && { base: tensors() }) }
}

export const bytesOf = (tensors: Tensors): string =>
  Object.entries(tensors)
    .map(
      ([name, { buffer, byteOffset, byteLength }]) =>
        `${name} ${Buffer.from(buffer, byteOffset, byteLength).toString('base64')}`,
    )
    .join('\n')
const run = (world: World): Tensors => mergeWorld(world).tensors
const near = (a: Float64Array, b: Float64Array, slack: number): boolean =>
  a.every((value, i) => Math.abs(value - b[i]!) <= slack * Math.max(1, Math.abs(b[i]!)))

type Law = (strategy: Strategy, seed: number) => boolean

/** Each claim of a declaration as something that can be tried in one world. */
export const LAWS: Readonly<Record<Exclude<keyof Laws, 'tolerates'>, Law>> = {
  /** Turning the contributions round leaves no trace: not a bit where Σ is exact, next to none where it is not. */
  order(strategy, seed) {
    const world = aWorld(strategy, seed, 5, SMALL)
    const [there, back] = [run(world), run({ ...world, inputs: world.inputs.toReversed() })]
    return strategy.shape === 'sum' ? bytesOf(there) === bytesOf(back) : near(there['w']!, back['w']!, 1e-9)
  },
  idempotent(strategy, seed) {
    const world = aWorld(strategy, seed, 5, SMALL)
    const [{ tensors }] = world.inputs as [Offered]
    return near(run({ ...world, inputs: world.inputs.map((own) => ({ ...own, tensors })) })['w']!, tensors['w']!, 1e-6)
  },
  fixesBase(strategy, seed) {
    const world = aWorld(strategy, seed, 5, SMALL)
    const tensors = world.base ?? world.inputs[0]!.tensors
    return near(run({ ...world, inputs: world.inputs.map((own) => ({ ...own, tensors })) })['w']!, tensors['w']!, 1e-6)
  },
  weightScaleFree(strategy, seed) {
    const world = aWorld(strategy, seed, 5, SMALL)
    const doubled = world.inputs.map((own) => ({ ...own, weight: own.weight! * 2 }))
    return bytesOf(run(world)) === bytesOf(run({ ...world, inputs: doubled }))
  },
  bounded(strategy, seed) {
    const world = aWorld(strategy, seed, 5, SMALL)
    const planes = [...world.inputs.map(({ tensors }) => tensors['w']!), ...(world.base ? [world.base['w']!] : [])]
    return run(world)['w']!.every((value, i) => {
      const column = planes.map((plane) => plane[i]!)
      const slack = 1e-12 * Math.max(...column.map(Math.abs))
      return value >= Math.min(...column) - slack && value <= Math.max(...column) + slack
    })
  },
}

/** Undefined where a claim stands; else what is wrong with it. A claim of false must be refuted in some world. */
export function wrongAbout(strategy: Strategy, law: keyof typeof LAWS): string | undefined {
  const claim = law === 'order' ? strategy.laws.order === 'free' : strategy.laws[law]
  const against = SEEDS.filter((seed) => !LAWS[law](strategy, seed))
  if (claim) return against.length === 0 ? undefined : `${law} is claimed and fails in worlds ${against.join(', ')}`
  return against.length > 0 ? undefined : `${law} is denied and nothing refutes it`
}

export function describeStrategyContract(strategy: Strategy): void {
  const needs = strategy.needs as Needs

  test('[STR-2] every parameter is described, and has a default or is optional', () => {
    for (const schema of [strategy.params, strategy.perContribution]) {
      const required = (schema?.required ?? []) as readonly string[]
      for (const [name, property] of Object.entries((schema?.properties ?? {}) as Record<string, object>)) {
        expect(property, name).toHaveProperty('description')
        expect('default' in property || !required.includes(name), `${name} has a default or is optional`).toBe(true)
      }
    }
    expect(strategy.version).toBeGreaterThanOrEqual(1)
    expect([strategy.title, strategy.summary, strategy.references].map(({ length }) => length > 0)).toEqual([
      true,
      true,
      true,
    ])
    expect(strategy.summary.length).toBeLessThan(120)
  })

  test('[STR-5] recording it twice writes down the same', () => {
    const occasion = {
      params: aParams(strategy),
      hasBase: needs.base !== 'none',
      contributions: [1, 2, 3].map((weight) => ({ weight, params: aParams(strategy, 'perContribution') })),
    }
    const [first, second] = [record(strategy, occasion), record(strategy, occasion)]
    expect(first.nodes.map(({ kind }) => kind)).toEqual(second.nodes.map(({ kind }) => kind))
    expect(first.reductions.length).toBe(second.reductions.length)
    expect(first.nodes.length).toBeGreaterThan(1)
  })

  test('[STR-10] how the bytes come in does not change a bit', () => {
    const world = aWorld(strategy, 11)
    const whole = bytesOf(run({ ...world, tile: 1 << 20 }))
    for (const tile of [4096, 8192]) expect(bytesOf(run({ ...world, tile }))).toBe(whole)
  })

  test('[STR-11] its order law holds, or is refuted where it is denied', () => {
    expect(wrongAbout(strategy, 'order')).toBeUndefined()
  })

  // only a sum can be added to and taken from
  test.runIf(strategy.shape === 'sum')(
    '[STR-12] adding, taking out and combining partial sums equal a recompute',
    () => {
      for (const seed of SEEDS.slice(0, 3)) {
        const world = aWorld(strategy, seed, 6, SMALL)
        const kept = world.inputs.slice(0, 4)
        const expected = bytesOf(run({ ...world, inputs: kept }))
        const summing = new Summing(world)
        for (const own of world.inputs.toReversed()) summing.add(own)
        for (const own of world.inputs.slice(4)) summing.remove(own)
        expect(bytesOf(summing.finish())).toBe(expected)
        const halves = [new Summing(world), new Summing(world)] as const
        kept.forEach((own, i) => halves[i % 2 === 0 ? 0 : 1].add(own))
        halves[0].merge(halves[1])
        expect(bytesOf(halves[0].finish())).toBe(expected)
      }
    },
  )

  test('[STR-13] idempotence holds, or is refuted where it is denied', () => {
    expect(wrongAbout(strategy, 'idempotent')).toBeUndefined()
  })

  test('[STR-14] fixing the base holds, or is refuted where it is denied', () => {
    expect(wrongAbout(strategy, 'fixesBase')).toBeUndefined()
  })

  test('[STR-15] freedom from the scale of weights holds, or is refuted where it is denied', () => {
    expect(wrongAbout(strategy, 'weightScaleFree')).toBeUndefined()
  })

  test('[STR-16] staying within the inputs holds, or is refuted where it is denied', () => {
    expect(wrongAbout(strategy, 'bounded')).toBeUndefined()
  })

  // only where the strategy claims it
  test.runIf(strategy.laws.tolerates)(
    '[STR-17] hostile contributions do not move it out of the span of the others',
    () => {
      for (const seed of SEEDS)
        for (const count of [3, 4, 5, 8]) {
          const hostile = strategy.laws.tolerates!(count)
          const world = aWorld(strategy, seed, count, SMALL)
          const inputs = world.inputs.map((own, i) =>
            i < hostile ? { ...own, tensors: { w: own.tensors['w']!.map(() => (i % 2 === 0 ? 1e30 : -1e30)) } } : own,
          )
          const honest = inputs.slice(hostile).map(({ tensors }) => tensors['w']!)
          run({ ...world, inputs })['w']!.forEach((value, i) => {
            const column = honest.map((plane) => plane[i]!)
            expect(value).toBeGreaterThanOrEqual(Math.min(...column))
            expect(value).toBeLessThanOrEqual(Math.max(...column))
          })
        }
    },
  )

  test('[STR-18] what the engine knows of it without reading', () => {
    expect(
      explain(strategy, strategy.perContribution?.properties['density'] === undefined ? {} : { density: 0.5 }, 5),
    ).toMatchSnapshot()
  })

  test('[STR-19] it reads only what it needs, in the passes it announces, and evaluates twice to the same bits', () => {
    const world = aWorld(strategy, 3, 3, { w: 5_000 })
    const explained = explain(strategy, { ...world.inputs[0]!.params }, 3)
    let strips = 0
    const [first, second] = [run(world), run({ ...world, onRead: () => (strips += 1) })]
    expect(bytesOf(first)).toBe(bytesOf(second))
    expect(strips).toBeLessThanOrEqual(explained.passes * explained.streams * 2)
    expect(strips).toBeGreaterThanOrEqual(explained.streams * 2)
  })
}

/** The defaults, and one half for a density. */
function aParams(strategy: Strategy, of: 'params' | 'perContribution' = 'params'): Readonly<Record<string, unknown>> {
  const properties = (strategy[of]?.properties ?? {}) as Record<string, { readonly default?: unknown }>
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, property]) =>
      name === 'density' ? [[name, 0.5]] : 'default' in property ? [[name, property.default]] : [],
    ),
  )
}

/** For suites that look at a strategy from outside. */
export const describeContracts = (strategies: readonly Strategy[]): void => {
  for (const strategy of strategies) describe(strategy.id, () => describeStrategyContract(strategy))
}
