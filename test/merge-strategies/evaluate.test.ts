/** Every word a formula may say, evaluated; what is refused while evaluating; and what evaluation holds on to. */
import { describe, expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { ContractError } from '../../src/core/graph.ts'
import { findStrategy } from '../../src/core/prepare.ts'
import {
  at,
  defineGather,
  defineSum,
  type GatherContext,
  type Needs,
  type Plane,
  type Strategy,
  Type,
} from '../../src/core/strategy.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { Evaluator } from '../../src/merging/evaluate/evaluator.ts'
import { explain } from '../../src/merging/evaluate/explain.ts'
import { aWorld, bytesOf } from '../contracts/strategy-contract.ts'
import { refusalOf } from '../support/refusal.ts'
import { evaluationOf, mergeWorld, type World } from './world.ts'

const strategyOf = (id: string) => findStrategy(strategies, id).strategy
const said = {
  version: 1,
  family: 'linear',
  title: 'x',
  summary: 'x',
  references: ['x'],
  params: Type.Object({}),
  laws: { order: 'canonical', idempotent: false, fixesBase: false, weightScaleFree: false, bounded: false },
} as const
const needs = { base: 'required', contributions: { min: 1 }, weights: 'any', stochastic: true } as const

type Gather = GatherContext<typeof needs, unknown>
const gather = (merge: (context: Gather) => Plane): Strategy => defineGather({ ...said, id: 'probe', needs, merge })
const SHAPES = { a: 4_500, b: 37 }
const worldFor = (strategy: Strategy, count = 3): World => aWorld(strategy, 4, count, SHAPES)
const columns = (world: World, name: string) => world.inputs.map(({ tensors }) => tensors[name]!)

/** The formula, and one tensor of it in plain loops. */
function agrees(
  formula: (context: Gather) => Plane,
  loops: (x: readonly Float64Array[], b: Float64Array, i: number) => number,
  count = 3,
) {
  const world = worldFor(gather(formula), count)
  const { tensors } = mergeWorld(world)
  for (const name of Object.keys(SHAPES)) {
    const x = columns(world, name)
    const expected = x[0]!.map((_, i) => loops(x, world.base![name]!, i) + 0)
    expect(tensors[name]).toEqual(expected)
  }
}
/** A number of each tensor, in plain loops. */
function measures(formula: (context: Gather) => Plane, loops: (x: readonly Float64Array[], b: Float64Array) => number) {
  const world = worldFor(gather(formula))
  const { tensors } = mergeWorld(world)
  for (const name of Object.keys(SHAPES)) {
    const expected = loops(columns(world, name), world.base![name]!)
    expect(Math.abs(tensors[name]![0]! - expected)).toBeLessThanOrEqual(1e-12 * Math.abs(expected))
    expect(new Set(tensors[name]).size).toBe(1)
  }
}
const own = ({ contributions }: Gather, i: number): Plane => at(contributions, i).value
const everywhere = (context: Gather, value: ReturnType<Plane['sum']>): Plane => own(context, 0).times(0).plus(value)
const sum = (values: ArrayLike<number>, of: (value: number, i: number) => number): number =>
  Array.from(values).reduce((total, value, i) => total + of(value, i), 0)

describe('[STR-32] every word of a formula means what it says:', () => {
  test('arithmetic, one operation of IEEE 754 each', () => {
    agrees(
      (c) => own(c, 0).plus(own(c, 1)).minus(c.base).times(own(c, 2)).over(3).min(1).max(own(c, 1)).abs().sqrt().f32(),
      (x, b, i) =>
        Math.fround(
          Math.sqrt(Math.abs(Math.max(Math.min(((x[0]![i]! + x[1]![i]! - b[i]!) * x[2]![i]!) / 3, 1), x[1]![i]!))),
        ),
    )
    agrees(
      (c) =>
        own(c, 0)
          .sign()
          .plus(own(c, 1).minus(own(c, 1)).sign()),
      (x, _, i) => Math.sign(x[0]![i]!),
    )
  })

  test('the two zeros, which are not one number', () => {
    const side = (plane: Plane, zero: number) => plane.over(zero).min(1).max(-1)
    agrees(
      (c) =>
        side(own(c, 0), 0)
          .times(2)
          .plus(side(own(c, 0), -0)),
      (x, _, i) => Math.sign(x[0]![i]!),
    )
  })

  test('comparisons and masks', () => {
    agrees(
      (c) => {
        const [a, b] = [own(c, 0), own(c, 1)]
        return a.where(a.above(b).and(b.atLeast(0)).or(c.base.above(1).not()), b.times(2))
      },
      (x, base, i) => ((x[0]![i]! > x[1]![i]! && x[1]![i]! >= 0) || !(base[i]! > 1) ? x[0]![i]! : x[1]![i]! * 2),
    )
    agrees(
      (c) => own(c, 0).where(own(c, 0).above(0)),
      (x, _, i) => Math.max(x[0]![i]!, 0),
    )
  })

  test('sorting: the median, and the spread of the others', () => {
    agrees(
      (c) => {
        const sorted = c.sort(c.contributions.map(({ value }) => value))
        return at(sorted, 2).plus(at(sorted, 4).minus(at(sorted, 0)))
      },
      (x, _, i) => {
        const [least, , median, , most] = x.map((plane) => plane[i]!).sort((a, b) => a - b) as [
          number,
          number,
          number,
          number,
          number,
        ]
        return median + (most - least)
      },
      5,
    )
  })

  test('reductions of one plane and of two', () => {
    measures(
      (c) => everywhere(c, own(c, 0).sum()),
      ([x]) => sum(x!, (v) => v),
    )
    measures(
      (c) => everywhere(c, own(c, 0).l1()),
      ([x]) => sum(x!, Math.abs),
    )
    measures(
      (c) => everywhere(c, own(c, 0).l2()),
      ([x]) => Math.sqrt(sum(x!, (v) => v * v)),
    )
    measures(
      (c) => everywhere(c, own(c, 0).linf()),
      ([x]) => Math.max(...x!.map(Math.abs)),
    )
    measures(
      (c) => everywhere(c, own(c, 0).dot(own(c, 1))),
      ([x, y]) => sum(x!, (v, i) => v * y![i]!),
    )
  })

  test('a reduction of what depended on reductions, and values put together', () => {
    measures(
      (c) => {
        const centred = own(c, 0).minus(
          own(c, 0)
            .sum()
            .map((s) => s / 8),
        )
        const both = centred.l1().with(own(c, 1).l1())
        return everywhere(
          c,
          both.map(([a, b]) => a / b),
        )
      },
      ([x, y]) => {
        const mean = sum(x!, (v) => v) / 8
        return sum(x!, (v) => Math.abs(v - mean)) / sum(y!, Math.abs)
      },
    )
  })

  test('Gram matrices and squared distances', () => {
    const values = (c: Gather) => c.contributions.map(({ value }) => value)
    measures(
      (c) =>
        everywhere(
          c,
          c
            .gram(values(c))
            .map((g) => at(at(g, 0), 2) + at(at(g, 1), 1) * (at(at(g, 2), 0) === at(at(g, 0), 2) ? 1 : 0)),
        ),
      ([x, y, z]) => sum(x!, (v, i) => v * z![i]!) + sum(y!, (v) => v * v),
    )
    measures(
      (c) =>
        everywhere(
          c,
          c.squaredDistances(values(c)).map((d) => at(at(d, 2), 1) + at(at(d, 0), 0)),
        ),
      ([, y, z]) => sum(y!, (v, i) => (v - z![i]!) ** 2),
    )
  })

  test('blending with numbers, leaving out what has the coefficient 0', () => {
    agrees(
      ({ contributions, blend }) =>
        blend(
          contributions.map(({ value }) => value),
          [0.5, 0, -2],
        ),
      (x, _, i) => 0.5 * x[0]![i]! + -2 * x[2]![i]!,
    )
  })

  test('the largest by magnitude, in a tensor and in the whole model; the equals of the last', () => {
    const steps = {
      a: Float64Array.from({ length: 5_000 }, (_, i) => (i % 100) - 50),
      b: Float64Array.from([7, -60, 7, 7]),
    }
    const kept = (formula: (value: Plane) => Plane) => {
      const world = { ...worldFor(gather((c) => formula(own(c, 0)))), inputs: [{ tensors: steps }], base: steps }
      const { tensors } = mergeWorld(world)
      return [tensors['a']!, tensors['b']!].map((plane) => plane.filter((value) => value !== 0).length)
    }
    expect(kept((value) => value.where(value.largest(0.5)))).toEqual([2_500, 2])
    expect(kept((value) => value.where(value.largest(0)))).toEqual([0, 0])
    expect(kept((value) => value.where(value.largest(1)))).toEqual([4_950, 4])
    // of 5,004: 60 comes first, then 50 of −50, then 100 of ±49; a comes before b
    expect(kept((value) => value.where(value.largest(60 / 5_004, 'model')))).toEqual([59, 1])
    expect(kept((value) => value.where(value.largestWithEquals(60 / 5_004, 'model')))).toEqual([150, 1])
    expect(kept((value) => value.where(value.largestWithEquals(0.25)))).toEqual([1_350, 4]) // the 1,251st is one of 100 times ±37
  })

  test('measures of the whole model, in byte order of tensors’ names', () => {
    const world = worldFor(gather((c) => everywhere(c, own(c, 0).l2('model'))))
    const { tensors } = mergeWorld(world)
    const [a, b] = Object.keys(SHAPES).map((name) => columns(world, name)[0]!) as [Float64Array, Float64Array]
    const expected = Math.sqrt(sum(a, (v) => v * v) + sum(b, (v) => v * v))
    for (const plane of Object.values(tensors)) expect(plane[0]).toBeCloseTo(expected, 9)
    const turned = {
      ...world,
      inputs: world.inputs.map((it) => ({ ...it, tensors: { b: it.tensors['b']!, a: it.tensors['a']! } })),
    }
    expect(mergeWorld(turned).tensors['a']).toEqual(tensors['a'])
  })

  test('randomness: the probability asked for, one stream apart from the other, twice the same', () => {
    const kept = (stream: number) =>
      gather(({ contributions: [first] }) => first!.value.times(0).plus(1).where(first!.random.keep(0.25, stream)))
    const world = worldFor(kept(0))
    const [zero, one] = [mergeWorld(world).tensors['a']!, mergeWorld({ ...world, strategy: kept(1) }).tensors['a']!]
    expect(sum(zero, (v) => v) / 4_500).toBeGreaterThan(0.22)
    expect(sum(zero, (v) => v) / 4_500).toBeLessThan(0.28)
    expect(zero).not.toEqual(one)
    expect(mergeWorld(world).tensors['a']).toEqual(zero)
  })
})

describe('[STR-33] every Σ is exact, with weights that are numbers, planes or known later:', () => {
  const sumNeeds = { base: 'none', contributions: { min: 1 }, weights: 'any' } as const
  const counts = [2, 3, 12]

  test.each(counts)('a weighted mean by importance, of %i', (count) => {
    const fisher = defineSum({
      ...said,
      id: 'probe',
      needs: { ...sumNeeds, sidecars: { fisher: { summary: 'x', missing: 1 } } },
      merge({ sum }) {
        const importance = (plane: Plane) => plane.plus(1).times(plane.l2('model').map((norm) => 4 / norm))
        const weighted = sum((it) => it.value.term(importance(it.sidecars.fisher)))
        return weighted.over(sum((it) => importance(it.sidecars.fisher).term()))
      },
    })
    const world = worldFor(fisher, count)
    const norms = world.inputs.map(({ sidecars }) =>
      Math.sqrt(sum(sidecars!['fisher']!['a']!, (v) => v * v) + sum(sidecars!['fisher']!['b']!, (v) => v * v)),
    )
    const { tensors } = mergeWorld(world)
    for (const name of Object.keys(SHAPES))
      tensors[name]!.forEach((value, i) => {
        const weights = world.inputs.map(({ sidecars }, k) => (sidecars!['fisher']![name]![i]! + 1) * (4 / norms[k]!))
        const expected =
          sum(
            columns(world, name).map((plane) => plane[i]!),
            (v, k) => v * weights[k]!,
          ) / sum(weights, (w) => w)
        expect(Math.abs(value - expected)).toBeLessThan(1e-6)
      })
  })

  test.each(counts)('votes weighted by planes, of %i', (count) => {
    const formula = defineSum({
      ...said,
      id: 'probe',
      needs: { ...sumNeeds, base: 'required' },
      merge({ votes, base }) {
        const cast = votes((it) => it.value.minus(base).f32().term(base))
        return cast.positive
          .plus(cast.negative)
          .plus(cast.positiveWeight.times(3).minus(cast.negativeWeight))
          .plus(cast.positiveCount.times(7).minus(cast.negativeCount.times(5)))
      },
    })
    const world = worldFor(formula, count)
    const { tensors } = mergeWorld(world)
    for (const name of Object.keys(SHAPES))
      tensors[name]!.forEach((value, i) => {
        const b = world.base![name]![i]!
        const z = columns(world, name).map((plane) => Math.fround(plane[i]! - b) * b)
        const expected = sum(z, (v) => v + (v > 0 ? 3 * b + 7 : v < 0 ? -b - 5 : 0))
        expect(Math.abs(value - expected)).toBeLessThan(1e-9 * count * 100)
      })
  })

  test.each(counts)('heads counted, and the value of greatest magnitude, of %i', (count) => {
    const formula = defineSum({
      ...said,
      id: 'probe',
      needs: sumNeeds,
      merge({ count: heads, largest }) {
        return heads((it) => it.value.above(0))
          .times(1000)
          .plus(largest((it) => it.value))
      },
    })
    const world = worldFor(formula, count)
    const { tensors } = mergeWorld(world)
    for (const name of Object.keys(SHAPES)) {
      const x = columns(world, name)
      const expected = x[0]!.map((_, i) => {
        const column = x.map((plane) => plane[i]!).sort((a, b) => Math.abs(b) - Math.abs(a) || b - a)
        return column.filter((v) => v > 0).length * 1000 + column[0]!
      })
      expect(tensors[name]).toEqual(expected)
    }
    const even = { ...world, inputs: [3, -3].map((v) => ({ tensors: { a: Float64Array.of(v) } })) }
    expect(mergeWorld(even).tensors['a']).toEqual(Float64Array.of(1003))
    expect(mergeWorld({ ...even, inputs: even.inputs.toReversed() }).tensors['a']).toEqual(Float64Array.of(1003))
  })

  test('a sum keeps what plain f64 addition loses, in any order', () => {
    const values = [2 ** 100, 1, -(2 ** 100), 2 ** -60]
    const inputs = values.map((value) => ({ tensors: { w: Float64Array.of(value) } }))
    for (const turned of [inputs, inputs.toReversed()])
      expect(
        mergeWorld({ strategy: strategyOf('linear'), params: { normalize: false }, inputs: turned }).tensors['w'],
      ).toEqual(Float64Array.of(1 + 2 ** -60))
  })
})

describe('[STR-34] what is not finite is refused by name:', () => {
  const plane = (length: number, value: number, place: number, odd: number) =>
    Float64Array.from({ length }, (_, i) => (i === place ? odd : value))
  const offered = (place: number, odd: number, label: string) => ({
    label,
    tensors: { w: plane(5_000, 1, place, odd) },
  })

  test.each([Number.NaN, Infinity, -Infinity])('%d in an input, even where it would be dropped', (odd) => {
    for (const id of ['weight_average', 'slerp', 'ties', 'dare_linear']) {
      const world = {
        strategy: strategyOf(id),
        inputs: [offered(0, 1, 'first'), offered(4_321, odd, 'second')],
        base: { w: plane(5_000, 1, 0, 1) },
      }
      const params = id.startsWith('dare') ? { density: 1e-9, rescale_mode: 'none' } : {}
      const refusal = refusalOf(() => mergeWorld({ ...world, params }))
      expect(refusal.code).toBe('TENSOR_NOT_FINITE')
      expect(refusal.message).toMatch(/w of second has NaN or infinity at element 4321/)
      expect(refusal.details).toMatchObject({ tensor: 'w', element: 4321 })
    }
  })

  test('one in the base', () => {
    const world = {
      strategy: strategyOf('ties'),
      inputs: [offered(0, 1, 'first')],
      base: { w: plane(5_000, 1, 17, Number.NaN) },
    }
    expect(refusalOf(() => mergeWorld(world)).message).toMatch(/w of the base has NaN or infinity at element 17/)
  })

  test.each([2, 3, 12])('a change that no f32 holds, among %i', (count) => {
    const inputs = Array.from({ length: count }, (_, i) => offered(4_100, i === 1 ? 3e38 : 1, `number ${i}`))
    const world = { inputs, base: { w: plane(5_000, 1, 4_100, -3e38) } }
    for (const id of ['ties', 'dare_linear']) {
      const refusal = refusalOf(() => mergeWorld({ ...world, strategy: strategyOf(id) }))
      expect(refusal.code).toBe('MERGE_NOT_FINITE')
      expect(refusal.message).toMatch(/what number 1 contributes is too large for f32 at element 4100/)
    }
    // task arithmetic forms no change, so nothing overflows
    expect(mergeWorld({ ...world, strategy: strategyOf('task_arithmetic') }).tensors['w']).toHaveLength(5_000)
  })

  test('an output beyond f64, and a coefficient', () => {
    const world = {
      strategy: strategyOf('ties'),
      inputs: [offered(99, 1e30, 'first')],
      base: { w: plane(5_000, 1, 0, 1) },
      params: { lambda: 1e300 },
    }
    expect(refusalOf(() => mergeWorld(world)).message).toMatch(
      /ties, tensor w: the merged value is not finite at element 99/,
    )
    const odd = gather((c) =>
      own(c, 0).times(
        own(c, 0)
          .l1()
          .map((n) => n / 0),
      ),
    )
    expect(refusalOf(() => mergeWorld(worldFor(odd))).message).toMatch(/a coefficient is not finite/)
    const heavy = defineSum({
      ...said,
      id: 'probe',
      needs,
      merge: ({ sum: all }) => all((it) => it.value.term(it.value.l1().map(() => 1e39))),
    })
    expect(refusalOf(() => mergeWorld(worldFor(heavy))).message).toMatch(/a coefficient is not finite|no f32 holds/)
  })
})

test('[STR-35] memory grows with the formula and never with a tensor', () => {
  const allocated = (length: number) => {
    let bytes = 0
    const counted = <T extends Float64Array>(plane: T): T => {
      bytes += plane.byteLength
      return plane
    }
    const kernels = { ...referenceKernels, allocate: (n: number) => counted(new Float64Array(n)) }
    const calls = { without: 0 }
    const watched = new Proxy(kernels, {
      get: (target, name: keyof typeof kernels) => {
        const kernel = Reflect.get(target, name) as (...args: unknown[]) => unknown
        return (...args: unknown[]) => {
          // an operation that makes a plane is given the one to write into
          const makes =
            name === 'binary' ? 4 : name === 'unary' || name === 'weightedSum' ? 3 : name === 'choose' ? 4 : 0
          if (makes > 0 && args.length < makes) calls.without += 1
          return kernel(...args)
        }
      },
    })
    for (const id of ['weight_average', 'ties', 'slerp', 'dare_ties'])
      mergeWorld({ ...aWorld(strategyOf(id), 1, 3, { w: length }), kernels: watched })
    expect(calls.without).toBe(0)
    return bytes
  }
  expect(allocated(100_000)).toBe(allocated(10_000))
  const { stripBytes } = explain(strategyOf('ties'), { density: 0.5 }, 3)
  expect(stripBytes).toBeLessThan(1 << 20)
  expect(explain(strategyOf('weight_average'), {}, 100).stripBytes).toBeLessThan(12 * 4096 * 8)
})

test('[STR-36] each tensor has its own parameters, weights, inputs and strategy', () => {
  const world = aWorld(strategyOf('weight_average'), 9, 3, { a: 10, b: 10, c: 0 })
  const { evaluation, read } = evaluationOf(world)
  const [a, b, c] = evaluation.tensors
  const varied = {
    ...evaluation,
    tensors: [
      { ...a!, strategy: strategyOf('linear'), params: { normalize: false } },
      { ...b!, inputs: [b!.inputs[2]!, { ...b!.inputs[0]!, weight: b!.inputs[2]!.weight }] },
      c!,
    ],
  }
  const evaluator = new Evaluator(varied, referenceKernels, read)
  const outputs = varied.tensors.map((_, i) => {
    const strips: [number, number[]][] = []
    const { scalars } = evaluator.evaluate(i, (first, plane) => strips.push([first, [...plane]]))
    return { scalars, strips }
  })
  const x = world.inputs.map(({ tensors }) => tensors)
  const weights = world.inputs.map(({ weight }) => weight!)
  outputs[0]!.strips[0]![1].forEach((value, i) =>
    expect(value).toBeCloseTo(
      weights.reduce((total, w, k) => total + w * x[k]!['a']![i]!, 0),
      12,
    ),
  )
  expect(outputs[0]!.scalars).toEqual([])
  outputs[1]!.strips[0]![1].forEach((value, i) =>
    expect(value).toBeCloseTo((x[0]!['b']![i]! + x[2]!['b']![i]!) / 2, 12),
  )
  expect(outputs[1]!.scalars).toEqual([weights[2]! * 2])
  expect(outputs[2]!.strips).toEqual([])
})

test('[STR-36] a weight is an f32, however it was given', () => {
  const world = { ...aWorld(strategyOf('linear'), 9, 2, { a: 50 }) }
  const { evaluation, read } = evaluationOf(world)
  const out = (weight: number) => {
    const [a] = evaluation.tensors
    const tensors = [{ ...a!, inputs: a!.inputs.map((it, i) => ({ ...it, weight: weight * (i + 1) })) }]
    const plane: number[] = []
    new Evaluator({ ...evaluation, tensors }, referenceKernels, read).evaluate(0, (_, strip) => plane.push(...strip))
    return plane
  }
  expect(out(0.1)).toEqual(out(Math.fround(0.1)))
})

test('[STR-36] tensors that measure the whole model must measure the same', () => {
  const world = { ...aWorld(strategyOf('ties'), 9, 3, { a: 10, b: 10 }), params: { profile: 'paper' } }
  const { evaluation, read } = evaluationOf(world)
  const [a, b] = evaluation.tensors
  const other = { ...b!, inputs: b!.inputs.map((it) => ({ ...it, params: { density: 0.1 } })) }
  const evaluator = new Evaluator({ ...evaluation, tensors: [a!, other] }, referenceKernels, read)
  const refusal = refusalOf(() => evaluator.evaluate(0, () => undefined))
  expect(refusal.code).toBe('STRATEGY_PARAMS_INVALID')
  expect(refusal.message).toMatch(/b asks for another measure than a/)
})

test('[STR-37] the scalars are the numbers that entered the output, in the order the formula wrote them', () => {
  const world = aWorld(strategyOf('dare_linear'), 2, 3, { w: 50 })
  const { scalars } = mergeWorld({ ...world, params: { normalize: true } })
  expect(scalars['w']).toHaveLength(4)
  expect(scalars['w']!.at(-1)).toBeCloseTo(
    world.inputs.reduce((total, { weight }) => total + weight!, 0),
    6,
  )
  expect(mergeWorld({ ...world, params: { rescale_mode: 'none' } }).scalars['w']).toEqual([])
  const pair = aWorld(strategyOf('slerp'), 2, 2, { w: 50 })
  expect(mergeWorld(pair).scalars['w']).toHaveLength(2)
})

test('[STR-38] a mask belongs to seed, content and tensor, and to nothing else', () => {
  const world = aWorld(strategyOf('dare_linear'), 2, 3, { w: 500 })
  const out = (more: Partial<World>) => bytesOf(mergeWorld({ ...world, ...more }).tensors)
  const plain = out({})
  expect(out({ inputs: world.inputs.map((it) => ({ ...it, label: 'another name' })) })).toBe(plain)
  expect(out({ inputs: world.inputs.map((it, i) => ({ ...it, content: `${i}`.repeat(64) })) })).not.toBe(plain)
  expect(out({ seed: aWorld(strategyOf('dare_linear'), 3).seed! })).not.toBe(plain)
  const alone = mergeWorld({ ...world, inputs: [world.inputs[1]!] }).tensors['w']!
  const zeroed = world.inputs.map((it, i) => (i === 1 ? it : { ...it, weight: 0 }))
  expect(mergeWorld({ ...world, inputs: zeroed }).tensors['w']).toEqual(alone)
})

test('[STR-39] a base that is only welcome may be missing', () => {
  const optional = defineSum({
    ...said,
    id: 'probe',
    needs: { ...needs, base: 'optional' } satisfies Needs,
    merge({ sum: all, base }) {
      const whole = all((it) => it.value.term())
      return base ? whole.minus(base) : whole
    },
  })
  const world = worldFor(optional, 1)
  const { base, ...without } = world
  expect(mergeWorld(without).tensors['b']).toEqual(world.inputs[0]!.tensors['b']!)
  expect(mergeWorld(world).tensors['b']).toEqual(world.inputs[0]!.tensors['b']!.map((v, i) => v - base!['b']![i]!))
})

test('[STR-18] what is known without reading follows from parameters: nothing to trim, nothing to measure', () => {
  expect(explain(strategyOf('ties'), {}, 3).passes).toBe(1)
  expect(explain(strategyOf('ties'), { density: 0.2 }, 3).passes).toBe(6)
  const published = explain(strategyOf('ties'), { density: 0.2, profile: 'paper' }, 3)
  expect(published).toMatchObject({
    wholeModel: true,
    passes: 7,
    channels: ['0.negative', '0.negativeWeight', '0.positive', '0.positiveWeight'],
  })
  expect(ContractError.name).toBe('ContractError')
})
