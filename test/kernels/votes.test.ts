import { expect, test } from 'vitest'
import { referenceKernels } from '../../src/kernels/reference.ts'
import type { ProgramStep } from '../../src/kernels/strip-program.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { numbersFrom } from '../merge-strategies/world.ts'

const wasm = createWasmKernels()
const LENGTH = 1_021

/** What a program writes as f32, of planes 0 … k − 1 and of as many more as are subtracted. */
function written(planes: readonly Float64Array[], less: readonly Float64Array[], step: ProgramStep, from: number) {
  const streams = [...planes, ...less].map((plane) => {
    const bytes = wasm.allocateBytes(4 * LENGTH)
    bytes.set(new Uint8Array(Float32Array.from(plane).buffer)) // which keeps −0
    return bytes
  })
  const k = planes.length
  const out = wasm.allocateBytes(4 * LENGTH)
  const reads = streams.map((_, i): ProgramStep => ({ do: 'read', stream: i, narrow: i < k, out: i }))
  const program = {
    steps: [
      ...reads,
      step,
      ...less.map((_, i): ProgramStep => ({ do: 'binary', op: 'minus', a: from, b: k + i, out: from })),
      { do: 'write', a: from } as const,
    ],
    constants: [],
    buffers: k + less.length + 4,
    streams: streams.map(() => 'F32' as const),
    dtype: 'F32' as const,
  }
  expect(wasm.compile(program)?.(streams, 0, LENGTH, out)).toBe(true)
  const plane = new Float64Array(LENGTH)
  referenceKernels.decode('F32', out, plane)
  return plane
}

/** All bits of a plane of a program: three f32 hold an f64. */
function everyBit(planes: readonly Float64Array[], stepTo: (out: number) => ProgramStep, place = 0): Float64Array {
  const parts: Float64Array[] = []
  for (let i = 0; i < 3; i++) {
    const first = planes.length + parts.length
    parts.push(written(planes, parts, stepTo(first), first + place))
  }
  return parts[0]!.map((high, i) => high + (parts[1]![i]! + parts[2]![i]!))
}

const plain = referenceKernels

function camps(planes: readonly Float64Array[], weights: readonly number[]) {
  const zero = new Float64Array(LENGTH)
  const positive = plain.weightedSum(
    planes.map((plane) => plain.binary('max', plane, zero)),
    weights,
  )
  const negative = plain.weightedSum(
    planes.map((plane) => plain.binary('min', plane, zero)),
    weights,
  )
  const weightOf = (camp: (plane: Float64Array) => Float64Array) => plain.weightedSum(planes.map(camp), weights)
  const positiveWeight = weightOf((plane) => plain.compare('above', plane, zero))
  const negativeWeight = weightOf((plane) => plain.compare('above', zero, plane))
  return [positive, negative, positiveWeight, negativeWeight] as const
}

/** Full digits, so that sums of two products already lose some; now and then all of one sign, zero or opposed. */
function planesOf(k: number, binades: number, seed: number): readonly Float64Array[] {
  const next = numbersFrom(seed)
  const planes = Array.from({ length: k }, () => new Float64Array(LENGTH))
  for (let i = 0; i < LENGTH; i++) {
    const kind = Math.floor(next() * 5)
    const one = Math.fround(next() + 0.5)
    for (const plane of planes) {
      const size = Math.fround((next() + 0.5) * 2 ** -Math.floor(next() * binades))
      if (kind === 0) plane[i] = next() < 0.5 ? one : -one
      else if (kind === 1) plane[i] = size
      else if (kind === 2) plane[i] = next() < 0.3 ? 0 : next() < 0.5 ? -0 : next() < 0.5 ? size : -size
      else plane[i] = next() < 0.5 ? size : -size
    }
  }
  return planes
}

const WEIGHTS = [0.3, 0.5, 0.2, 1, 0.731, 0, 0.9, 0.4, 0.6].map(Math.fround)
const CASES = [1, 2, 3, 4, 8].flatMap((k) => [1, 30].map((binades) => [k, binades] as const))

test.each(CASES)('[KRN-41] votes of %d over %d binades are the exact sums of both camps', (k, binades) => {
  const planes = planesOf(k, binades, k)
  const weights = WEIGHTS.slice(0, k)
  const inputs = planes.map((_, i) => i)
  const expected = camps(planes, weights)
  for (const [place, camp] of expected.entries()) {
    const outs = (first: number) => [0, 1, 2, 3].map((i) => first + i)
    const votes = (first: number): ProgramStep => ({ do: 'votes', planes: inputs, weights, outs: outs(first) })
    expect(everyBit(planes, votes, place)).toEqual(plain.binary('plus', camp, new Float64Array(LENGTH)))
  }
})

test.each(CASES)('[KRN-41] what %d elect over %d binades is the exact sum of the camp that wins', (k, binades) => {
  const planes = planesOf(k, binades, 10 + k)
  const weights = WEIGHTS.slice(0, k)
  const inputs = planes.map((_, i) => i)
  const [positive, negative, positiveWeight, negativeWeight] = camps(planes, weights)
  const zero = new Float64Array(LENGTH)
  const up = plain.compare('atLeast', plain.binary('plus', positive, negative), zero)
  const sum = plain.choose(up, positive, negative)
  const weight = plain.choose(up, positiveWeight, negativeWeight)
  const elect = (divisors: readonly number[] | undefined) => (out: number) =>
    ({ do: 'elect', planes: inputs, weights, divisors, out }) as const
  expect(everyBit(planes, elect(undefined))).toEqual(plain.binary('plus', sum, zero))
  const divisors = Array.from({ length: 2 ** k }, (_, members) => {
    const total = weights.reduce((so, own, i) => (members & (1 << i) ? so + own : so), 0)
    return total >= 0.25 ? total : 7
  })
  const by = plain.choose(plain.compare('atLeast', weight, plain.fill(LENGTH, 0.25)), weight, plain.fill(LENGTH, 7))
  expect(everyBit(planes, elect(divisors))).toEqual(plain.binary('plus', plain.binary('over', sum, by), zero))
})
