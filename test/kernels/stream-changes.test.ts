/** Changes of streams to a base in one step each, and sums over them, against their steps one by one. */
import { describe, expect, test } from 'vitest'
import { referenceKernels as plain } from '../../src/kernels/reference.ts'
import { withStreamChanges } from '../../src/kernels/stream-changes.ts'
import { maskBytes, type ProgramStep, type StripProgram } from '../../src/kernels/strip-program.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import type { Dtype } from '../../src/tensors/dtypes.ts'
import { numbersFrom } from '../merge-strategies/world.ts'

const wasm = createWasmKernels({ memoryBytes: 16 << 20 })
const LENGTHS = [1, 4, 15, 16, 17, 31, 32, 33, 63, 100, 511, 512, 513, 4_096, 4_100, 8_193]

type Sums = Extract<ProgramStep, { do: 'measure' }>
function sumsOf(plane: number, op: 'l1' | 'l2' | 'sum' = 'l1'): Sums & { readonly totals: Float64Array } {
  const totals = new Float64Array(1)
  const measure = { measure: 'sums', op, pairs: [[0, 0]], totals } as const
  return { do: 'measure', measure, planes: [plane], narrow: true, totals }
}
const read = (stream: number, out: number, narrow = true): ProgramStep => ({ do: 'read', stream, narrow, out })
const change = (a: number, b: number, out: number): ProgramStep => ({ do: 'change', a, b, out })
const pick = (mask: number, a: number, out: number): ProgramStep => ({ do: 'pick', mask, a, out })
const draw = (mask: number): ProgramStep => ({ do: 'draw', key: { low: 7 + mask, high: 9 }, probability: 0.4, mask })
const kinds = (steps: readonly ProgramStep[], dtype: Dtype = 'F32') =>
  withStreamChanges({ steps, constants: [], buffers: 9, streams: [dtype, dtype, dtype], dtype: undefined }).map(
    (step) => step.do,
  )

const rounded = (dtype: Dtype, plane: Float64Array): Uint8Array => {
  const bytes = new Uint8Array((dtype === 'F32' ? 4 : 2) * plane.length)
  plain.encode(dtype, plane, bytes)
  return bytes
}

interface World {
  readonly dtypes: readonly Dtype[]
  /** As f64, of the streams. */
  readonly planes: readonly Float64Array[]
  readonly bytes: readonly Uint8Array[]
  readonly masks: readonly Uint8Array[]
  readonly length: number
}
function world(dtypes: readonly Dtype[], length: number, value?: (i: number) => number): World {
  wasm.reset()
  const next = numbersFrom(length)
  const bytes = dtypes.map((dtype, stream) => {
    const own = Float64Array.from({ length }, (_, i) =>
      stream === 1 && value ? value(i) : (next() - 0.5) * 2 ** -Math.floor(next() * 20),
    )
    const encoded = rounded(dtype, own)
    const held = wasm.allocateBytes(encoded.length)
    held.set(encoded)
    return held
  })
  const planes = dtypes.map((dtype, stream) => {
    const plane = new Float64Array(length)
    plain.decode(dtype, bytes[stream]!, plane)
    return plane
  })
  const masks = [0, 1].map(() => wasm.allocateBytes(maskBytes(length)).map(() => Math.floor(next() * 256)))
  const held = masks.map((mask) => {
    const room = wasm.allocateBytes(mask.length)
    room.set(mask)
    return room
  })
  return { dtypes, planes, bytes, masks: held, length }
}
function ran(
  { dtypes, bytes, masks, length }: World,
  steps: readonly ProgramStep[],
  dtype?: 'F32',
): Float32Array | undefined {
  const out = dtype && wasm.allocateBytes(4 * length + 16).fill(0xa5)
  const written = out?.subarray(0, 4 * length)
  const program: StripProgram = { steps, constants: [], buffers: 9, streams: dtypes, dtype, masks: masks.length }
  if (wasm.compile(program)?.(bytes, 0, length, written, masks) !== true) return undefined
  if (out) expect(out.subarray(4 * length).every((byte) => byte === 0xa5)).toBe(true)
  return written ? new Float32Array(written.slice().buffer) : new Float32Array(0)
}
/** Of stream `i`, rounded to f32. */
const changeOf = ({ planes }: World, i: number): Float64Array =>
  plain.unary('f32', plain.binary('minus', planes[i]!, planes[0]!))
const left = (plane: Float64Array, mask: Uint8Array): Float64Array =>
  plane.map((value, i) => ((mask[i >> 3]! >> (i & 7)) & 1 ? value : 0))
function sum(op: 'l1' | 'l2', plane: Float64Array): number {
  let total = 0
  for (let at = 0; at < plane.length; at += 4096) total += plain.reduce(op, plane.subarray(at, at + 4096))
  return total
}
const zeroed = (plane: Float64Array): Float32Array => Float32Array.from(plane, (value) => value + 0)

describe.each([['F32'], ['BF16']] as const)('%s', (dtype) => {
  test('[KRN-111] a change, and what a mask leaves of it, is that of its steps at any length', () => {
    for (const length of LENGTHS) {
      const made = world(['F32', dtype, dtype], length)
      const output: ProgramStep[] = [
        { do: 'widen', a: 1, out: 5 },
        { do: 'write', a: 5 },
      ]
      const whole = [read(0, 0), read(1, 1), change(1, 0, 1)]
      expect(kinds([...whole, ...output], dtype)).toEqual(['read', 'readChange', 'widen', 'write'])
      expect(ran(made, [...whole, ...output], 'F32')).toEqual(zeroed(changeOf(made, 1)))
      const picked = [...whole, pick(1, 1, 1), ...output]
      expect(kinds(picked, dtype)).toEqual(['read', 'readChange', 'widen', 'write'])
      expect(ran(made, picked, 'F32')).toEqual(zeroed(left(changeOf(made, 1), made.masks[1]!)))
      // into where the base was, which was read after the stream
      const over = [read(1, 1), read(0, 0), change(1, 0, 0), pick(0, 0, 1), ...output]
      expect(kinds(over, dtype)).toEqual(['read', 'readChange', 'widen', 'write'])
      expect(ran(made, over, 'F32')).toEqual(zeroed(left(changeOf(made, 1), made.masks[0]!)))
    }
  })

  test('[KRN-111] sums over a change, and over what a mask leaves of it, are those of its steps at any length', () => {
    for (const op of ['l1', 'l2'] as const)
      for (const length of LENGTHS) {
        const made = world(['F32', dtype, dtype], length)
        const sums = [sumsOf(1, op), sumsOf(1, op), sumsOf(0, op), sumsOf(0, op)] as const
        const first = [read(1, 1), read(0, 0), change(1, 0, 1), sums[0], pick(0, 1, 1), sums[1]]
        // the last change lies where the base did
        const steps = [...first, read(2, 2), change(2, 0, 0), sums[2], draw(1), pick(1, 0, 0), sums[3]]
        expect(kinds(steps, dtype)).toEqual(['read', 'sumChanges', 'draw', 'sumChanges'])
        expect(ran(made, steps)).toBeDefined()
        const [a, b] = [changeOf(made, 1), changeOf(made, 2)]
        const wanted = [a, left(a, made.masks[0]!), b, left(b, made.masks[1]!)].map((plane) => sum(op, plane))
        expect(sums.map(({ totals }) => totals[0])).toEqual(wanted)
      }
  })

  test('[KRN-111] an element that is not finite, kept or not, ends the run', () => {
    for (const length of [1, 40, 600])
      for (const at of [0, 5, length - 1].filter((one) => one < length))
        for (const bad of [Infinity, -Infinity, NaN]) {
          const made = world(['F32', dtype, dtype], length, (i) => (i === at ? bad : 1))
          made.masks[0]!.fill(0)
          const output: ProgramStep[] = [
            { do: 'widen', a: 1, out: 5 },
            { do: 'write', a: 5 },
          ]
          expect(ran(made, [read(0, 0), read(1, 1), change(1, 0, 1), pick(0, 1, 1), ...output], 'F32')).toBeUndefined()
          expect(ran(made, [read(0, 0), read(1, 1), change(1, 0, 1), ...output], 'F32')).toBeUndefined()
          const sums = [sumsOf(1), pick(0, 1, 1), sumsOf(1)]
          expect(ran(made, [read(0, 0), read(1, 1), change(1, 0, 1), ...sums])).toBeUndefined()
        }
  })
})

test('[KRN-111] changes as great as f32 has them are finite', () => {
  for (const dtype of ['F32', 'BF16'] as const)
    for (const value of [2 ** 127, 1.75 * 2 ** 127, -1.5 * 2 ** 127]) {
      const made = world(['F32', dtype, dtype], 77, () => value)
      const write: readonly ProgramStep[] = [
        { do: 'widen', a: 1, out: 5 },
        { do: 'write', a: 5 },
      ]
      expect(ran(made, [read(0, 0), read(1, 1), change(1, 0, 1), ...write], 'F32')).toEqual(zeroed(changeOf(made, 1)))
    }
})

test('[KRN-111] signed zeros and what is subnormal are as the steps have them', () => {
  const made = world(['F32', 'F32', 'F32'], 64, (i) => (i % 3 === 0 ? -0 : 2 ** -149 * (i % 5)))
  made.bytes[0]!.fill(0)
  made.planes[0]!.fill(0)
  const sums = [sumsOf(1), sumsOf(1)] as const
  expect(ran(made, [read(0, 0), read(1, 1), change(1, 0, 1), sums[0], pick(0, 1, 1), sums[1]])).toBeDefined()
  const whole = changeOf(made, 1)
  expect(sums.map(({ totals }) => totals[0])).toEqual([sum('l1', whole), sum('l1', left(whole, made.masks[0]!))])
})

test('[KRN-111] what is looked at once more, or is of other dtypes, is made step by step', () => {
  const whole = [read(0, 0), read(1, 1), change(1, 0, 2)]
  const use = (a: number): ProgramStep => ({ do: 'widen', a, out: 6 })
  expect(kinds(whole)).toEqual(['read', 'readChange'])
  expect(kinds([...whole, use(1)])).toEqual(['read', 'read', 'change', 'widen'])
  expect(kinds([...whole, read(2, 1), use(1)])).toEqual(['read', 'readChange', 'read', 'widen'])
  expect(kinds([read(0, 0), read(1, 1), use(1), change(1, 0, 1)])).toEqual(['read', 'read', 'widen', 'change'])
  expect(kinds([read(0, 0), read(1, 1, false), change(1, 0, 1)])).toEqual(['read', 'read', 'change'])
  expect(kinds([read(0, 0), change(0, 0, 1)])).toEqual(['read', 'change'])
  expect(kinds(whole, 'F16')).toEqual(['read', 'read', 'change'])
  expect(kinds([read(1, 1), read(0, 0), pick(0, 1, 1), change(1, 0, 1)])).toEqual(['read', 'read', 'pick', 'change'])
  const picked = [...whole, pick(0, 2, 3)]
  expect(kinds(picked)).toEqual(['read', 'readChange'])
  expect(kinds([...picked, use(2)])).toEqual(['read', 'readChange', 'pick', 'widen'])
  expect(kinds([...picked, { do: 'choose', mask: 2, a: 5, b: 5, out: 6 }])).toEqual([
    'read',
    'readChange',
    'pick',
    'choose',
  ])
  const summed = [...whole, sumsOf(2), pick(0, 2, 3), sumsOf(3)]
  expect(kinds(summed)).toEqual(['read', 'sumChanges'])
  const singly = ['read', 'readChange', 'measure', 'pick', 'measure']
  expect(kinds([...summed, use(2)])).toEqual([...singly, 'widen'])
  expect(kinds([...summed, use(3)])).toEqual([...singly, 'widen'])
  expect(kinds([...whole, sumsOf(2), pick(0, 2, 3), sumsOf(3, 'l2')])).toEqual(singly)
  expect(kinds([...whole, sumsOf(2, 'sum'), pick(0, 2, 3), sumsOf(3, 'sum')])).toEqual(singly)
  expect(kinds([...whole, sumsOf(2), pick(0, 2, 3), sumsOf(2)])).toEqual(singly)
})
