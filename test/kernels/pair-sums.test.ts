import { expect, test } from 'vitest'
import { BLOCK, type BlockSum } from '../../src/kernels/measures.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import type { StripProgram } from '../../src/kernels/strip-program.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { numbersFrom } from '../merge-strategies/world.ts'

const wasm = createWasmKernels()
type Pair = readonly [number, number]
const everyPair = (count: number): Pair[] =>
  Array.from({ length: count }, (_, i) => Array.from({ length: count - i }, (_, j): Pair => [i, i + j])).flat()

/** How planes come to be: read as f64, as f32 or in another order, or made of what was read. */
type Made = 'read' | 'narrow' | 'turned' | 'computed'
const BYTES = { F32: 4, BF16: 2, F16: 2 } as const

/** Some planes of f32 values, and what is added up over pairs of them before and behind `totals`. */
function measured(
  op: BlockSum,
  count: number,
  length: number,
  pairs: readonly Pair[],
  made: Made = 'read',
  dtypeOf: (stream: number) => keyof typeof BYTES = () => 'F32',
) {
  const narrow = made === 'narrow'
  const next = numbersFrom(count)
  const values = Array.from({ length: count }, () =>
    Float64Array.from({ length }, () => Math.fround((next() - 0.5) * 2 ** Math.floor(15 * next()))),
  )
  const streams = values.map((own, i) => {
    const bytes = wasm.allocateBytes(BYTES[dtypeOf(i)] * length)
    referenceKernels.encode(dtypeOf(i), own, bytes)
    referenceKernels.decode(dtypeOf(i), bytes, own)
    return bytes
  })
  const totals = Float64Array.from(pairs, (_, i) => i / 3)
  const planes = streams.map((_, i) => i)
  const program = (tellBlocks?: (sums: Float64Array) => void): StripProgram => ({
    steps: [
      ...planes.map((i) => ({ do: 'read', stream: i, narrow, out: made === 'turned' ? (i + 1) % count : i }) as const),
      ...(made === 'computed' ? planes : []).map((a) => ({ do: 'unary', op: 'abs', a, out: a }) as const),
      {
        do: 'measure',
        measure: { measure: 'sums', op, pairs, totals, ...(tellBlocks && { tellBlocks }) },
        planes,
        narrow,
      },
    ],
    constants: [],
    buffers: count,
    streams: planes.map(dtypeOf),
    dtype: undefined,
  })
  const rightBlocks: number[] = []
  const right = pairs.map((pair, n) => {
    const [a, b] = pair.map((i) => {
      const plane = values[made === 'turned' ? (i + count - 1) % count : i]!
      return made === 'computed' ? plane.map(Math.abs) : plane
    })
    let total = n / 3
    for (let at = 0; at < length; at += BLOCK) {
      const sum = referenceKernels.reduce(op, a!.subarray(at, at + BLOCK), b!.subarray(at, at + BLOCK))
      total += sum
      rightBlocks[n + (at / BLOCK) * pairs.length] = sum
    }
    return total
  })
  const ended = wasm.compile(program())!(streams, 0, length)
  const blocks: number[] = []
  wasm.compile(program((sums) => blocks.push(...sums)))!(streams, 0, length)
  wasm.reset()
  return { ended, right, totals: [...totals], blocks, rightBlocks }
}

test.each(['dot', 'squaredDistance'] as const)(
  '[KRN-95] %s of every pair of planes is what each pair gives alone',
  (op) => {
    for (const count of [2, 3, 15, 16, 17, 18, 19, 30])
      for (const length of [1, 7, 8, 15, 16, 17, 511, 512, 513, 1000, BLOCK - 1, BLOCK, BLOCK + 33, 3 * BLOCK + 530]) {
        const { ended, right, totals, blocks, rightBlocks } = measured(op, count, length, everyPair(count))
        expect(ended).toBe(true)
        expect(totals).toEqual(right)
        expect(blocks).toEqual(rightBlocks)
      }
  },
)

test.each(['sum', 'l1', 'l2', 'dot'] as const)('[KRN-95] %s of narrow planes is what planes of f64 give', (op) => {
  const count = op === 'dot' ? 2 : 1
  for (const length of [
    1,
    2,
    3,
    7,
    8,
    9,
    15,
    16,
    17,
    511,
    512,
    519,
    1000,
    BLOCK - 1,
    BLOCK,
    BLOCK + 33,
    3 * BLOCK + 530,
  ]) {
    const { ended, right, totals, blocks, rightBlocks } = measured(op, count, length, everyPair(count), 'narrow')
    expect(ended).toBe(true)
    expect(totals).toEqual(right)
    expect(blocks).toEqual(rightBlocks)
  }
})

test('[KRN-95] pairs in another order, or not all of them, are measured too', () => {
  for (const pairs of [
    everyPair(16).reverse(),
    everyPair(16).slice(1),
    [...everyPair(15), [15, 15] as const],
    [...everyPair(16).slice(0, -1), [15, 2] as const],
  ]) {
    const { right, totals } = measured('dot', 16, 5000, pairs)
    expect(totals).toEqual(right)
  }
})

test.each(['turned', 'computed'] as const)('[KRN-95] planes may be %s', (made) => {
  const { right, totals, blocks, rightBlocks } = measured('dot', 17, 5003, everyPair(17), made)
  expect(totals).toEqual(right)
  expect(blocks).toEqual(rightBlocks)
})

const MIXES: readonly (readonly [string, (i: number) => keyof typeof BYTES])[] = [
  ['BF16', () => 'BF16'],
  ['F16', () => 'F16'],
  ['dtypes in turn', (i) => (['F32', 'BF16', 'F16'] as const)[i % 3]!],
  ['dtypes by four', (i) => (['BF16', 'F32'] as const)[(i >> 2) % 2]!],
  ['dtypes, the last of another', (i) => (i === 15 ? 'F32' : 'BF16')],
]
test.each(MIXES)('[KRN-95] planes read of %s are summed alike', (_, dtypeOf) => {
  for (const length of [8, 511, 512, BLOCK + 40, BLOCK + 41])
    for (const op of ['dot', 'squaredDistance'] as const) {
      const { right, totals, blocks, rightBlocks } = measured(op, 18, length, everyPair(18), 'read', dtypeOf)
      expect(totals).toEqual(right)
      expect(blocks).toEqual(rightBlocks)
    }
})

test.each(['turned', 'computed'] as const)('[KRN-95] planes that are not F32 may be %s', (made) => {
  const { right, totals } = measured('dot', 17, 5003, everyPair(17), made, (i) => (i < 9 ? 'BF16' : 'F32'))
  expect(totals).toEqual(right)
})

test.each([
  [600, Infinity],
  [599, Number.NaN],
  [600, 3.5e38],
])('[KRN-95] a plane that is not finite ends the run, which leaves no trace in the next: %i, %d', (length, odd) => {
  const bytes = Array.from({ length: 16 }, () => wasm.allocateBytes(4 * length))
  const values = bytes.map((own) => new Float32Array(own.buffer, own.byteOffset, length))
  values.forEach((own, i) => own.fill(i + 0.5))
  const planes = bytes.map((_, i) => i)
  const pairs = everyPair(16)
  const totals = new Float64Array(pairs.length)
  const run = wasm.compile({
    steps: [
      ...planes.map((i) => ({ do: 'read', stream: i, narrow: false, out: i }) as const),
      { do: 'measure', measure: { measure: 'sums', op: 'dot', pairs, totals }, planes, narrow: false },
    ],
    constants: [],
    buffers: 16,
    streams: planes.map(() => 'F32'),
    dtype: undefined,
  })!
  values[7]![length - 1] = odd
  expect(run(bytes, 0, length)).toBe(false)
  values[7]![length - 1] = 7.5
  totals.fill(0)
  expect(run(bytes, 0, length)).toBe(true)
  expect([...totals]).toEqual(pairs.map(([a, b]) => length * (a + 0.5) * (b + 0.5)))
  wasm.reset()
})
