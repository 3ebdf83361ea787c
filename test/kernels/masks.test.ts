import { expect, test } from 'vitest'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { maskBytes, type ProgramStep } from '../../src/kernels/strip-program.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { numbersFrom } from '../merge-strategies/world.ts'

const wasm = createWasmKernels()
const keys = [
  { low: 0x12345678, high: 0x9abcdef0 },
  { low: 7, high: 0xffffffff },
]

/** What a program makes of one stream of f32, and the masks it ran with. */
function run(values: Float32Array, first: number, steps: readonly ProgramStep[], masks: readonly Uint8Array[]) {
  const stream = wasm.allocateBytes(values.byteLength)
  stream.set(new Uint8Array(values.buffer))
  const out = wasm.allocateBytes(values.byteLength)
  const program = {
    steps: [
      { do: 'read', stream: 0, narrow: true, out: 0 } as const,
      ...steps,
      { do: 'widen', a: 1, out: 2 } as const,
      { do: 'write', a: 2 } as const,
    ],
    constants: [],
    buffers: 3,
    streams: ['F32' as const],
    dtype: 'F32' as const,
    masks: masks.length,
  }
  expect(wasm.compile(program)?.([stream], first, values.length, out, masks)).toBe(true)
  return new Float32Array(out.slice().buffer)
}

test('[KRN-5] masks as bits are drawn, and picked by, as the reference keeps', () => {
  const next = numbersFrom(3)
  for (const first of [0, 4096, 2 ** 34, 2 ** 34 - 4096, 2 ** 40])
    for (const length of [1, 15, 16, 17, 32, 33, 511, 512, 513, 5_003])
      for (const probability of [0, 2 ** -33, 0.3, 0.5, 0.77, 1 - 2 ** -32]) {
        const values = Float32Array.from({ length }, () => next() - 0.5)
        const masks = keys.map(() => wasm.allocateBytes(maskBytes(length)))
        const draws = keys.map((key, mask) => ({ do: 'draw', key, probability, mask }) as const)
        const kept = keys.map((key) => referenceKernels.keep(key, first, new Float64Array(length).fill(probability)))
        const wanted = (mask: number) => values.map((value, i) => (kept[mask]![i] === 1 ? value : 0))
        expect(run(values, first, [...draws, { do: 'pick', mask: 1, a: 0, out: 1 }], masks)).toEqual(wanted(1))
        masks.forEach((mask, m) => {
          const bits = Array.from({ length }, (_, i) => (mask[i >> 3]! >> (i & 7)) & 1)
          expect(bits).toEqual([...kept[m]!])
          expect(run(values, first, [{ do: 'pick', mask: m, a: 0, out: 1 }], masks)).toEqual(wanted(m))
        })
        const drop = { do: 'drop', key: keys[0]!, probability, a: 0, out: 1 } as const
        expect(run(values, first, [drop], [])).toEqual(wanted(0))
        wasm.reset()
      }
})
