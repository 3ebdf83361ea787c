import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { ContentRoot } from '../../src/core/ids.ts'
import type { Seed } from '../../src/core/seed.ts'
import { defineSum, type Strategy } from '../../src/core/strategy.ts'
import type { Kernels } from '../../src/kernels/kernels.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { Recordings } from '../../src/merging/evaluate/recordings.ts'
import { runMerge } from '../../src/merging/run-merge.ts'
import type { MergeTask, TaskTensor } from '../../src/merging/task.ts'
import { bytesPerElement, type Dtype, encode } from '../../src/tensors/dtypes.ts'
import { numbersFrom } from '../merge-strategies/world.ts'
import { MemoryTileFiles } from './memory-tile-files.ts'

const ELEMENTS = 40

interface Asked {
  readonly strategy: string
  readonly params: object
  /** Of each tensor: its dtype, and the weight of its second input. */
  readonly tensors: readonly (readonly [Dtype, number])[]
}

function world({ strategy, params, tensors }: Asked) {
  const files = new MemoryTileFiles()
  const own = strategy === 'dare_linear' ? { density: 0.5 } : {}
  const streamOf = (tensor: number, input: number) => {
    const dtype = tensors[tensor]![0]
    const next = numbersFrom(100 * tensor + input)
    const bytes = new Uint8Array(ELEMENTS * bytesPerElement(dtype))
    const values = Float64Array.from({ length: ELEMENTS }, () => next() - 0.5)
    encode(dtype, values, bytes)
    files.files.set(`${tensor}/${input}`, bytes)
    return { path: `${tensor}/${input}`, offset: 0, bytes: bytes.length, dtype }
  }
  const task: MergeTask = {
    merge: '00'.repeat(32),
    seed: '11'.repeat(32),
    inputs: [0, 1].map((i) => ({ content: sha256Hex(Uint8Array.of(i)), label: `model ${i}` })),
    tensors: tensors.map(([dtype, weight], i): TaskTensor => {
      const bytes = ELEMENTS * bytesPerElement(dtype)
      files.files.set(`out/${i}`, new Uint8Array(bytes))
      const inputs = [1, weight].map((each, input) => ({
        input,
        weight: each,
        params: own,
        value: streamOf(i, input + 1),
      }))
      return {
        name: `layer.${i}`,
        shape: [ELEMENTS],
        elements: ELEMENTS,
        dtype,
        target: { path: `out/${i}`, offset: 0, bytes },
        rule: { kind: 'merge', strategy, params, base: streamOf(i, 0), inputs },
      }
    }),
    tileBytes: 32 * 1024,
  }
  return { files, task }
}

let recorded = 0
const squares = defineSum({
  id: 'squares',
  version: 1,
  family: 'linear',
  title: 'x',
  summary: 'x',
  references: ['x'],
  params: Type.Object({}),
  needs: { base: 'required', contributions: { min: 1 }, weights: 'any' },
  laws: { order: 'free', idempotent: true, fixesBase: true, weightScaleFree: true, bounded: true },
  merge({ base, sum }) {
    recorded += 1
    return sum((own) => own.value.times(own.value).term(own.weight)).plus(base)
  },
})

const run = (asked: Asked, kernels: Kernels<Float64Array>) => {
  const { files, task } = world(asked)
  const all: readonly Strategy[] = [...strategies, squares]
  return runMerge(task, { files, kernels: () => kernels, strategies: all }).map(({ root }) => root)
}

test('[MRG-41] tensors of one rule share one recorded formula, and other weights are another rule', () => {
  const params = {}
  const alike = Array.from({ length: 50 }, (): [Dtype, number] => ['F32', 0.5])
  const wasm = createWasmKernels()
  const count = (tensors: Asked['tensors']) => {
    recorded = 0
    run({ strategy: 'squares', params, tensors }, wasm)
    return recorded
  }
  const one = count(alike.slice(0, 1))
  expect(count(alike)).toBe(one)
  expect(count([...alike, ['F32', 0.25], ['F32', -0.25]])).toBe(one + 2)
})

test('[MRG-41] what is shared leaves no trace: dtypes, weights and names of other tensors change none', () => {
  const tensors: Asked['tensors'] = [
    ['BF16', 0.5],
    ['F32', 0.5],
    ['BF16', 0.25],
    ['F16', 0.5],
    ['BF16', 0.5],
    ['F32', 0.25],
    ...Array.from({ length: 70 }, (_, i): [Dtype, number] => ['BF16', i / 64]),
    ['F32', 0.5],
  ]
  const asked = [
    { strategy: 'squares', params: {} },
    { strategy: 'linear', params: { normalize: false } },
    { strategy: 'task_arithmetic', params: { lambda: 0.7, normalize: false } },
    { strategy: 'dare_linear', params: { lambda: 1, rescale_mode: 'inverse_prob' } },
  ]
  for (const { strategy, params } of asked)
    expect(run({ strategy, params, tensors }, createWasmKernels()), strategy).toEqual(
      run({ strategy, params, tensors }, referenceKernels),
    )
})

test('[MRG-41] the input that takes part decides it too, and params: of two that differ in one alone, each has its own', () => {
  const { task } = world({ strategy: 'linear', params: {}, tensors: [['F32', 1]] })
  const inputs = task.inputs.map((input, i) => ({ ...input, content: input.content as ContentRoot, role: `role ${i}` }))
  const recordings = new Recordings({ seed: task.seed as Seed, inputs, tensors: [] })
  const strategy = strategies.find(({ id }) => id === 'linear')!
  const [params, own] = [{ normalize: false }, {}]
  const of = (input: number, asked: object = params) =>
    recordings.of({
      name: 'w',
      elements: 1,
      strategy,
      params: asked,
      hasBase: false,
      inputs: [{ input, weight: 1, params: own }],
    })
  expect(of(0)).toBe(of(0))
  expect(of(1)).not.toBe(of(0))
  expect(of(0, { normalize: true })).not.toBe(of(0))
})
