/** What three elect, added to a base and written: by a program of the compiled kernels, and by the primitives in f64. */
import { expect } from 'vitest'
import { endingOf } from '../../src/kernels/elect-onto.ts'
import { referenceKernels as plain } from '../../src/kernels/reference.ts'
import type { ProgramStep, StripProgram } from '../../src/kernels/strip-program.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'

export interface Formula {
  readonly weights: readonly number[]
  readonly divides: boolean
  readonly scales?: readonly (readonly ['times' | 'over', number])[]
  /** Planes are trimmed to what is above. */
  readonly key?: number
}
/** A base and three contributions to it. */
export type Row = readonly [base: number, x: number, y: number, z: number]
type Output = 'BF16' | 'F32'

const BYTES = { BF16: 2, F32: 4 }

export const divisorsOf = (weights: readonly number[]): readonly number[] =>
  Array.from({ length: 8 }, (_, members) =>
    members === 0 ? 1 : weights.reduce((sum, weight, i) => (members & (1 << i) ? sum + weight : sum), 0),
  )

export function programOf({ weights, divides, scales = [], key }: Formula, dtype: Output): StripProgram {
  const planes = [1, 2, 3]
  const steps: ProgramStep[] = [
    ...[0, ...planes].map((stream): ProgramStep => ({ do: 'read', stream, narrow: true, out: stream })),
    ...(key === undefined
      ? []
      : planes.map((a): ProgramStep => ({ do: 'trim', a, key, lastTie: -1, offset: 0, out: a }))),
    ...scales.map(([op, by], i): ProgramStep => ({ do: 'scale', op, a: 1 + i, by, out: 1 + i })),
    { do: 'elect', planes, weights, divisors: divides ? divisorsOf(weights) : undefined, out: 4 },
    { do: 'widen', a: 0, out: 5 },
    { do: 'binary', op: 'plus', a: 5, b: 4, out: 4 },
    { do: 'write', a: 4 },
  ]
  return { steps, constants: [], buffers: 6, streams: [0, 1, 2, 3].map(() => 'F32'), dtype }
}

/** By the primitives; undefined where an element is not finite. */
export function expected(formula: Formula, rows: readonly Row[], dtype: Output): Uint8Array | undefined {
  const { weights, divides, scales = [], key } = formula
  const n = rows.length
  const zero = new Float64Array(n)
  const [base, ...planes] = [0, 1, 2, 3].map((i) => Float64Array.from(rows, (row) => row[i]!))
  const terms = planes.map((plane, i) => {
    const kept = key === undefined ? plane : plane.map((value) => (keyOf(value) > key ? value : 0))
    const [op, by] = scales[i] ?? ['times', 1]
    return plain.unary('f32', plain.binary(op, kept, plain.fill(n, by)))
  })
  const camp = (of: (plane: Float64Array) => Float64Array) => plain.weightedSum(terms.map(of), weights)
  const positive = camp((plane) => plain.binary('max', plane, zero))
  const negative = camp((plane) => plain.binary('min', plane, zero))
  const up = plain.compare('atLeast', plain.binary('plus', positive, negative), zero)
  const above = camp((plane) => plain.compare('above', plane, zero))
  const below = camp((plane) => plain.compare('above', zero, plane))
  const sum = plain.choose(up, positive, negative)
  const weight = plain.choose(up, above, below).map((one) => (one === 0 ? 1 : one))
  const merged = divides ? plain.binary('over', sum, weight) : sum
  if (![...positive, ...negative].every(Number.isFinite)) return undefined
  const bytes = new Uint8Array(BYTES[dtype] * n)
  return plain.encode(dtype, plain.binary('plus', base!, merged), bytes) < 0 ? bytes : undefined
}

const wasm = createWasmKernels({ memoryBytes: 16 << 20 })
/** Strips after which the step that proves what it can tries again, whatever it was shown before. */
const REST = Array.from({ length: 33 * 512 }, (): Row => [0, 0, 0, 0])
const RESTING: Formula = { weights: [1, 1, 1], divides: false }

function ran(formula: Formula, rows: readonly Row[], dtype: Output): Uint8Array | undefined {
  wasm.reset()
  const streams = [0, 1, 2, 3].map((i) => {
    const bytes = wasm.allocateBytes(4 * rows.length)
    bytes.set(new Uint8Array(Float32Array.from(rows, (row) => row[i]!).buffer)) // which keeps −0
    return bytes
  })
  const out = wasm.allocateBytes(BYTES[dtype] * rows.length + 16).fill(0xa5)
  const written = out.subarray(0, BYTES[dtype] * rows.length)
  const isDone = wasm.compile(programOf(formula, dtype))!(streams, 0, rows.length, written)
  expect(out.subarray(written.length).every((byte) => byte === 0xa5)).toBe(true)
  return isDone ? Uint8Array.from(written) : undefined
}

/** The first row whose bytes are others. */
export function wrong(formula: Formula, rows: readonly Row[], dtype: Output = 'BF16'): unknown {
  expect(endingOf(programOf(formula, dtype))).toBeDefined()
  if (dtype === 'BF16') ran(RESTING, REST, dtype)
  const [is, should] = [ran(formula, rows, dtype), expected(formula, rows, dtype)]
  if (!is || !should) return is === should ? undefined : 'only one of both is finite'
  const size = BYTES[dtype]
  const at = Math.floor(is.findIndex((byte, i) => byte !== should[i]) / size)
  const bytesOf = (all: Uint8Array) => all.slice(size * at, size * (at + 1))
  return at < 0 ? undefined : { at, row: rows[at], is: bytesOf(is), should: bytesOf(should) }
}

const float = new Float32Array(1)
const word = new Uint32Array(float.buffer)
export function f32Of(bits: number): number {
  word[0] = bits
  return float[0]!
}
export function bitsOf(value: number): number {
  float[0] = value
  return word[0]!
}
export const keyOf = (value: number): number => bitsOf(value) & 0x7fffffff

export const scaledBy = (value: number, [op, by]: readonly ['times' | 'over', number] = ['times', 1]): number =>
  op === 'times' ? value * by : value / by

/** Of any sign and size up to an exponent. */
export const anyBelow = (next: () => number, top: number): number =>
  f32Of(((next() < 0.5 ? 0x80000000 : 0) | (Math.floor(next() * top) << 23) | Math.floor(next() * 2 ** 23)) >>> 0)
