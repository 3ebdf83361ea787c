/** Every strategy against its equation written out in plain loops: nothing of the engine is used, and bits must agree. */
import { describe, expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import type { ContentRoot } from '../../src/core/ids.ts'
import { math } from '../../src/core/libm.ts'
import { randomWords } from '../../src/core/philox.ts'
import { findStrategy } from '../../src/core/prepare.ts'
import { randomKey } from '../../src/core/seed.ts'
import { aWorld, bytesOf } from '../contracts/strategy-contract.ts'
import { mergeWorld, numbersFrom, type World } from './world.ts'

const strategyOf = (id: string) => findStrategy(strategies, id).strategy
const SCALE = 2 ** 400

/** Σ of numbers that are multiples of 2⁻⁴⁰⁰, rounded once: Number of a bigint rounds half to even. */
function exact(terms: readonly number[]): number {
  const sum = terms.reduce((whole, term) => {
    if (!Number.isInteger(term * SCALE)) throw new Error(`${term} is too fine for this oracle`)
    return whole + BigInt(term * SCALE)
  }, 0n)
  return Number(sum) / SCALE
}

/** Eight lanes a block of 4,096, and blocks one after the other. */
function laned(length: number, of: (i: number) => number): number {
  let sum = 0
  for (let block = 0; block < length; block += 4096) {
    const lanes = [0, 0, 0, 0, 0, 0, 0, 0]
    for (let i = block; i < Math.min(block + 4096, length); i++) lanes[i % 8]! += of(i)
    const [a, b, c, d, e, f, g, h] = lanes as [number, number, number, number, number, number, number, number]
    sum += a + b + (c + d) + (e + f + (g + h))
  }
  return sum
}

/** Everything about one tensor, in plain arrays. */
interface Tensor {
  readonly name: string
  readonly x: readonly Float64Array[]
  readonly w: readonly number[]
  readonly b: Float64Array
  readonly density: readonly number[]
  readonly length: number
}
type Formula = (tensor: Tensor, world: World, all: readonly Tensor[]) => readonly number[]

function tensorsOf(world: World): readonly Tensor[] {
  return Object.keys(world.inputs[0]!.tensors).map((name) => {
    const x = world.inputs.map(({ tensors }) => tensors[name]!)
    const density = world.inputs.map(({ params }) => (params?.['density'] ?? 1) as number)
    const w = world.inputs.map(({ weight = 1 }) => Math.fround(weight))
    return { name, x, w, density, length: x[0]!.length, b: world.base?.[name] ?? new Float64Array(x[0]!.length) }
  })
}

const elements = (length: number, of: (i: number) => number): readonly number[] =>
  Array.from({ length }, (_, i) => of(i) + 0)
const flag = (world: World, name: string, otherwise: boolean) => (world.params?.[name] ?? otherwise) as boolean
const lambdaOf = (world: World) => (world.params?.['lambda'] ?? 1) as number
const orOne = (divisor: number) => (Math.abs(divisor) < 1e-8 ? 1 : divisor)
const changes = ({ x, b }: Tensor) => x.map((plane) => plane.map((value, i) => Math.fround(value - b[i]!)))

const mean: Formula = ({ x, w, length }, world) =>
  elements(length, (i) => {
    const sum = exact(x.map((plane, k) => w[k]! * plane[i]!))
    return flag(world, 'normalize', true) ? sum / exact(w) : sum
  })

const taskArithmetic: Formula = ({ x, w, b, length }, world) =>
  elements(length, (i) => {
    const total = exact(w)
    const change = exact(x.map((plane, k) => w[k]! * plane[i]!)) - b[i]! * total
    return b[i]! + (flag(world, 'normalize', false) ? change / orOne(total) : change) * lambdaOf(world)
  })

/** The largest ⌊density · n⌋ by magnitude, the lower index first among equals. */
function trimmed(change: Float64Array, density: number): Float64Array {
  const ranks = [...change.keys()].sort((a, b) => Math.abs(change[b]!) - Math.abs(change[a]!) || a - b)
  const kept = new Set(ranks.slice(0, Math.trunc(density * change.length)))
  return change.map((value, i) => (kept.has(i) ? value : 0))
}

function rescaled(kept: Float64Array, whole: Float64Array, mode: unknown, density: number): Float64Array {
  const norm = (plane: Float64Array): number =>
    mode === 'l1'
      ? laned(plane.length, (i) => Math.abs(plane[i]!))
      : mode === 'l2'
        ? math.sqrt(laned(plane.length, (i) => plane[i]! * plane[i]!))
        : plane.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  if (mode === 'none') return kept
  if (mode === 'inverse_prob') return kept.map((value) => Math.fround(value / density))
  const [before, after] = [norm(whole), norm(kept)]
  const scale = before < 1e-7 || after < 1e-7 ? 1 : before / after
  return kept.map((value) => Math.fround(value * scale))
}

const elected = (terms: readonly Float64Array[], { w, b, length }: Tensor, world: World, normalize: boolean) =>
  elements(length, (i) => {
    const z = terms.map((term, k) => w[k]! * term[i]!)
    const vote =
      world.params?.['consensus'] === 'count'
        ? z.reduce((sum, value) => sum + Math.sign(value), 0)
        : exact(z.filter((v) => v > 0)) + exact(z.filter((v) => v < 0))
    const side = vote >= 0 ? 1 : -1
    const agrees = z.map((value) => Math.sign(value) === side)
    const sum = exact(z.filter((_, k) => agrees[k]))
    const merged = flag(world, 'normalize', normalize) ? sum / orOne(exact(w.filter((_, k) => agrees[k]))) : sum
    return b[i]! + merged * lambdaOf(world)
  })

const ties: Formula = (tensor, world) => {
  const whole = changes(tensor)
  const mode = world.params?.['rescale_mode'] ?? 'none'
  const terms = whole.map((change, k) => rescaled(trimmed(change, tensor.density[k]!), change, mode, 1))
  return elected(terms, tensor, world, true)
}

/** As published: one threshold for the whole model, votes and mean without weights, the majority's sign where a vote is even. */
const tiesAsPublished: Formula = (tensor, world, all) => {
  const inOrder = all.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const cut = tensor.x.map((_, k) => {
    const flat = inOrder.flatMap((one) => [...changes(one)[k]!]).map(Math.abs)
    const nth = flat.length - Math.trunc(flat.length * tensor.density[k]!) // kthvalue counts from 1
    return flat.toSorted((a, b) => a - b)[Math.max(nth, 1) - 1]!
  })
  const keptOf = (one: Tensor) =>
    changes(one).map((change, k) => change.map((value) => (Math.abs(value) >= cut[k]! ? value : 0)))
  const voteOf = (kept: readonly Float64Array[], i: number) => Math.sign(exact(kept.map((plane) => plane[i]!)))
  let majority = 0
  for (const one of inOrder) {
    const kept = keptOf(one)
    for (let i = 0; i < one.length; i++) majority += voteOf(kept, i)
  }
  const kept = keptOf(tensor)
  return elements(tensor.length, (i) => {
    const side = (voteOf(kept, i) || Math.sign(majority)) > 0 ? 1 : -1
    const agree = kept.map((plane) => plane[i]!).filter((value) => Math.sign(value) === side)
    return tensor.b[i]! + (exact(agree) / Math.max(agree.length, 1)) * lambdaOf(world)
  })
}

function dropped(tensor: Tensor, world: World): readonly Float64Array[] {
  const mode = world.params?.['rescale_mode'] ?? 'l1'
  return changes(tensor).map((change, k) => {
    const words = new Uint32Array(change.length)
    const content = world.inputs[k]!.content as ContentRoot
    randomWords(
      randomKey({ seed: world.seed!, strategy: world.strategy.id, content, tensor: tensor.name, stream: 0 }),
      0,
      words,
    )
    const kept = change.map((value, i) => (words[i]! < tensor.density[k]! * 2 ** 32 ? value : 0))
    return rescaled(kept, change, mode, tensor.density[k]!)
  })
}

const dareLinear: Formula = (tensor, world) => {
  const terms = dropped(tensor, world)
  return elements(tensor.length, (i) => {
    const sum = exact(terms.map((term, k) => tensor.w[k]! * term[i]!))
    return tensor.b[i]! + (flag(world, 'normalize', false) ? sum / orOne(exact(tensor.w)) : sum) * lambdaOf(world)
  })
}
const dareTies: Formula = (tensor, world) => elected(dropped(tensor, world), tensor, world, false)

/** Two models, as the textbook has it: coefficients times the raw tensors. */
const slerp: Formula = ({ x: [first, second], w, length }, world) => {
  const [a, b] = world.inputs[1]!.role === 'x0' ? [second!, first!] : [first!, second!]
  const [v, u] = world.inputs[1]!.role === 'x0' ? [w[1]!, w[0]!] : [w[0]!, w[1]!]
  const t = (world.params?.['t'] ?? u / (v + u)) as number
  const dot = (p: Float64Array, q: Float64Array) => laned(length, (i) => p[i]! * q[i]!)
  const cosine = dot(a, b) / (math.sqrt(dot(a, a)) * math.sqrt(dot(b, b)))
  const angle = math.acos(cosine)
  const sine = math.sin(angle)
  const [c, d] = Math.abs(cosine) > 0.9995 ? [1 - t, t] : [math.sin((1 - t) * angle) / sine, math.sin(t * angle) / sine]
  return elements(length, (i) => exact([c * a[i]!, d * b[i]!]))
}

const cases: readonly [
  string,
  string,
  Formula,
  { readonly params: World['params'] & object; readonly density?: number }?,
][] = [
  ['the mean', 'weight_average', mean],
  ['the mean', 'linear', mean],
  ['the sum', 'linear', mean, { params: { normalize: false } }],
  ['the scaled change', 'task_arithmetic', taskArithmetic, { params: { lambda: 0.3 } }],
  ['the mean change', 'task_arithmetic', taskArithmetic, { params: { normalize: true } }],
  ['by weighted vote', 'ties', ties],
  ['by head count, unnormalised', 'ties', ties, { params: { consensus: 'count', normalize: false, lambda: 1.5 } }],
  ['matching l1', 'ties', ties, { params: { rescale_mode: 'l1' } }],
  ['matching l2', 'ties', ties, { params: { rescale_mode: 'l2' } }],
  ['as published', 'ties', tiesAsPublished, { params: { profile: 'paper', lambda: 0.7 } }],
  ['matching l1', 'dare_linear', dareLinear],
  ['matching l2, normalised', 'dare_linear', dareLinear, { params: { rescale_mode: 'l2', normalize: true } }],
  ['matching the maximum', 'dare_linear', dareLinear, { params: { rescale_mode: 'linf' } }],
  [
    'over its probability',
    'dare_linear',
    dareLinear,
    { params: { rescale_mode: 'inverse_prob', lambda: 0.5 }, density: 0.3 },
  ],
  ['as it is', 'dare_linear', dareLinear, { params: { rescale_mode: 'none' } }],
  ['matching l1', 'dare_ties', dareTies],
  [
    'over its probability, by count',
    'dare_ties',
    dareTies,
    { params: { rescale_mode: 'inverse_prob', consensus: 'count', normalize: true } },
  ],
]

describe.each(cases)('[STR-30] %s of %s equals its equation written out, bit for bit', (_, id, formula, more) => {
  test.each([1, 2, 12])('with %i contributions', (count) => {
    const plain = aWorld(strategyOf(id), count, count, { a: 4_500, b: 37, c: 1 })
    const { density = 0.5, params = {} } = more ?? {}
    const inputs = plain.inputs.map((own) => ({ ...own, ...(own.params && { params: { density } }) }))
    const world: World = { ...plain, inputs, params }
    const all = tensorsOf(world)
    const expected = all.map((tensor) => [tensor.name, Float64Array.from(formula(tensor, world, all))])
    expect(bytesOf(mergeWorld(world).tensors)).toBe(bytesOf(Object.fromEntries(expected)))
  })
})

test('[STR-31] slerp of two models equals its equation written out, whichever is x0, by t or by weights', () => {
  for (const params of [{}, { t: 0.3 }, { t: 0 }, { t: 1 }])
    for (const x0 of [0, 1]) {
      const plain = aWorld(strategyOf('slerp'), 5, 2)
      const world = {
        ...plain,
        params,
        inputs: plain.inputs.map((own, i) => (i === x0 ? { ...own, role: 'x0' } : own)),
      }
      const expected = tensorsOf(world).map((tensor) => [tensor.name, Float64Array.from(slerp(tensor, world, []))])
      expect(bytesOf(mergeWorld(world).tensors)).toBe(bytesOf(Object.fromEntries(expected)))
    }
})

test('[STR-31] slerp of one model is that model, and folding three is folding the third into the fold of two', () => {
  const world = aWorld(strategyOf('slerp'), 7, 3, { w: 37 })
  const [one, two, three] = world.inputs
  expect(mergeWorld({ ...world, inputs: [one!] }).tensors['w']).toEqual(one!.tensors['w']!)
  const pair = mergeWorld({ ...world, inputs: [one!, two!] }).tensors
  const inTwoSteps = mergeWorld({
    ...world,
    inputs: [{ tensors: pair, weight: one!.weight! + two!.weight! }, three!],
  }).tensors['w']!
  mergeWorld(world).tensors['w']!.forEach((value, i) => expect(value).toBeCloseTo(inTwoSteps[i]!, 6))
})

test('[STR-30] an even vote goes to plus; as published, to the side that most elements of the model took', () => {
  const base = { u: new Float64Array(4), v: new Float64Array(3) }
  const inputs = [
    { u: [3, 1, 1, 1], v: [-1, -1, -1] },
    { u: [-3, 1, 1, -2], v: [-1, -1, 1] },
  ].map(({ u, v }) => ({ tensors: { u: Float64Array.from(u), v: Float64Array.from(v) } }))
  const out = (profile: string, turn: 1 | -1) => {
    const turned = inputs.map(({ tensors: { u, v } }) => ({
      tensors: { u: u.map((x) => x * turn), v: v.map((x) => x * turn) },
    }))
    const { tensors } = mergeWorld({ strategy: strategyOf('ties'), params: { profile }, inputs: turned, base })
    return [...tensors['u']!, ...tensors['v']!]
  }
  expect(out('mergekit', 1)).toEqual([3, 1, 1, -2, -1, -1, 1])
  expect(out('mergekit', -1)).toEqual([3, -1, -1, 2, 1, 1, 1])
  // signs elected: 0 + + − − − 0, so minus has the majority; turned round, plus has it
  expect(out('paper', 1)).toEqual([-3, 1, 1, -2, -1, -1, -1])
  expect(out('paper', -1)).toEqual([3, -1, -1, 2, 1, 1, 1])
})

test('[STR-30] a contribution of weight zero has no vote, by sum or by count', () => {
  for (const consensus of ['sum', 'count']) {
    const world = { ...aWorld(strategyOf('ties'), 1, 4, { w: 200 }), params: { consensus } }
    const silent = world.inputs.map((own, i) => (i < 2 ? { ...own, weight: 0 } : own))
    expect(mergeWorld({ ...world, inputs: silent }).tensors).toEqual(
      mergeWorld({ ...world, inputs: world.inputs.slice(2) }).tensors,
    )
  }
})

test('[STR-31] slerp is straight from |cos| above 0.9995, and takes norms up to 1e-8 for no direction', () => {
  const out = (a: readonly number[], b: readonly number[]) =>
    mergeWorld({
      strategy: strategyOf('slerp'),
      params: { t: 0.25 },
      inputs: [
        { role: 'x0', tensors: { w: Float64Array.from(a, Math.fround) } },
        { tensors: { w: Float64Array.from(b, Math.fround) } },
      ],
    }).scalars['w']!
  const at = (cosine: number) => out([1, 0], [cosine, Math.sqrt(1 - cosine * cosine)])
  expect(at(0.9996)).toEqual([0.75, 0.25])
  expect(at(-0.9996)).toEqual([0.75, 0.25])
  expect(at(0.9994)[0]).toBeGreaterThan(0.75)
  expect(at(-0.9994)[0]).toBeGreaterThan(1)
  const quarter = [Math.cos(Math.PI / 8), Math.sin(Math.PI / 8)]
  const small = (size: number) => out([size, 0], [1, 0])
  small(0.9e-8).forEach((value, i) => expect(value).toBeCloseTo(quarter[i]!, 6))
  expect(small(1.1e-8)).toEqual([0.75, 0.25])
})

test('[STR-31] folding onto what cancelled out is finite', () => {
  const next = numbersFrom(3)
  for (let n = 0; n < 300; n++) {
    const a = Float64Array.from({ length: 9 }, () => Math.fround(next() - 0.5))
    const inputs = [a, a.map((x) => -x), a.map((x) => Math.fround(x + next() * 1e-7))].map((w) => ({ tensors: { w } }))
    expect(mergeWorld({ strategy: strategyOf('slerp'), inputs }).scalars['w']!.every(Number.isFinite)).toBe(true)
  }
})

test('[VEC-5] the worked example gives the values that NumPy gave', () => {
  const b = [1, -2, 0.5, 4, 0, -1, 3, 0.25]
  const task = [
    [0.5, -0.25, 0, 1, -0.125, 0.75, -1.5, 0.0625],
    [0.25, 0.5, -1, 0.5, 0.125, -0.25, -0.5, 0],
    [-0.75, -0.5, 0.5, 2, 0.0625, 0.25, -0.25, 0.125],
  ]
  const inputs = task.map((change, i) => ({
    tensors: { w: Float64Array.from(change, (value, e) => value + b[e]!) },
    weight: [1, 2, 1][i]!,
  }))
  const base = { w: Float64Array.from(b) }
  const out = (id: string, more: Partial<World>) => [
    ...mergeWorld({ strategy: strategyOf(id), inputs, ...more }).tensors['w']!,
  ]
  expect(out('linear', {})).toEqual([1.0625, -1.9375, 0.125, 5, 0.046875, -0.875, 2.3125, 0.296875])
  expect(out('task_arithmetic', { base, params: { lambda: 0.5 } })).toEqual([
    1.125, -1.875, -0.25, 6, 0.09375, -0.75, 1.625, 0.34375,
  ])
  expect(out('ties', { base, params: { density: 0.5 } })).toEqual([
    0.25, -1.5, -0.5, 5, 0, -0.25, 2.1666666666666665, 0.25,
  ])
  const [x1, x2] = inputs as [(typeof inputs)[0], (typeof inputs)[0]]
  const turned = out('slerp', { params: { t: 0.25 }, inputs: [{ ...x1, role: 'x0' }, x2] })
  const expected = [
    1.4529655027272312, -2.08396386014068, 0.2509155379197805, 4.928093359268696, -0.06272888447994512,
    -0.5073953447605574, 1.7712468158944539, 0.300048802125113,
  ]
  turned.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-12))
})
