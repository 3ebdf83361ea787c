import { createHash } from 'node:crypto'
import { describe, expect, test, vi } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { kernelChoice } from '../../src/config.ts'
import { chooseKernels } from '../../src/kernels/choose-kernels.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { hasWasm } from '../../src/kernels/wasm-instance.ts'
import { WASM_BASE64, WASM_SHA256 } from '../../src/kernels/wasm-module.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { aWorld, bytesOf } from '../contracts/strategy-contract.ts'
import { describeKernelsContract } from '../contracts/kernels-contract.ts'
import { mergeWorld } from '../merge-strategies/world.ts'

describeKernelsContract('the reference', () => referenceKernels)
describeKernelsContract('WASM', createWasmKernels)

describe('the module', () => {
  test('[KRN-10] is the one whose digest stands beside it', () => {
    const bytes = Buffer.from(WASM_BASE64, 'base64')
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(WASM_SHA256)
    expect(hasWasm()).toBe(true)
  })

  test('[KRN-9] tells of what it could not do itself, and of nothing else', () => {
    const told: string[] = []
    const kernels = createWasmKernels({ memoryBytes: 1 << 20, onForeign: (operation) => told.push(operation) })
    const a = kernels.allocate(100)
    kernels.binary('plus', a, a)
    kernels.exactSums(100).addScaled(a, 2, 1)
    expect(told).toEqual([])
    kernels.binary('plus', a, new Float64Array(100))
    kernels.keep({ low: 0, high: 0 }, 0, new Float64Array(2))
    expect(told).toEqual(['plus', 'keep'])
  })

  test('[KRN-81] buffers of one even size begin in different places of a cache', () => {
    const kernels = createWasmKernels({ memoryBytes: 16 << 20 })
    const lines = Array.from({ length: 60 }, () => (kernels.allocateBytes(1 << 17).byteOffset % 4096) >> 6)
    expect(new Set(lines).size).toBe(60)
  })

  test('[KRN-9] a memory that is used up costs speed and no bit', () => {
    const told = new Set<string>()
    const kernels = createWasmKernels({ memoryBytes: 640 * 1024, onForeign: (operation) => told.add(operation) })
    for (const strategy of strategies) {
      const world = aWorld(strategy, 3)
      expect(bytesOf(mergeWorld({ ...world, kernels }).tensors)).toBe(bytesOf(mergeWorld(world).tensors))
    }
    expect(told.size).toBeGreaterThan(5)
  })
})

test('[KRN-12] the fastest kernels are taken unless the readable ones are asked for', () => {
  const warned: string[] = []
  const choose = (environment: Readonly<Record<string, string>>) =>
    chooseKernels(kernelChoice(environment), (what) => warned.push(what))(2 ** 20)
  expect(choose({ TRIBUTARY_KERNELS: 'reference' })).toBe(referenceKernels)
  expect(choose({})).not.toBe(referenceKernels)
  expect(choose({ TRIBUTARY_KERNELS: 'fastest' })).not.toBe(referenceKernels)
  expect(() => choose({ TRIBUTARY_KERNELS: 'slow' })).toThrow(/TRIBUTARY_KERNELS is slow/)
  vi.stubGlobal('WebAssembly', undefined)
  try {
    expect(choose({})).toBe(referenceKernels)
  } finally {
    vi.unstubAllGlobals()
  }
  expect(warned).toEqual([expect.stringContaining('no WebAssembly with SIMD')])
})

test('[KRN-12] one memory serves tasks of like size, a larger one those that need it, and it is given back', () => {
  const source = chooseKernels('fastest', () => undefined)
  const small = source(2 ** 20)
  expect(source(2 ** 19)).toBe(small)
  const large = source(2 ** 28)
  expect(large).not.toBe(small)
  expect(large.allocateBytes(2 ** 28).buffer).toBe(large.allocateBytes(8).buffer)
  expect(source(2 ** 27)).toBe(large)
  expect(source(2 ** 20)).not.toBe(large)
})

describe('strategies', () => {
  const foreign: string[] = []
  const kernels = createWasmKernels({ onForeign: (operation) => foreign.push(operation) })

  test.each(strategies.map((strategy) => [strategy.id, strategy] as const))(
    '[KRN-11] %s gives the bytes of the reference, few contributions or many',
    (_, strategy) => {
      for (const [seed, count] of [
        [1, 5],
        [2, 2],
        [3, 12],
      ] as const) {
        const world = aWorld(strategy, seed, count)
        const [mine, right] = [mergeWorld({ ...world, kernels }), mergeWorld(world)]
        expect(bytesOf(mine.tensors)).toBe(bytesOf(right.tensors))
        expect(mine.scalars).toEqual(right.scalars)
      }
      expect(foreign).toEqual([])
      kernels.reset()
    },
  )
})
