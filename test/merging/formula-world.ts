/** Merges of made-up tensors by any strategy, on any set of kernels, and what came of them. */
import { strategies } from '../../merge-strategies/index.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import { TributaryError } from '../../src/core/errors.ts'
import { prepareStrategy } from '../../src/core/prepare.ts'
import type { Kernels } from '../../src/kernels/kernels.ts'
import type { ProgramStep, StripProgram } from '../../src/kernels/strip-program.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { runMerge } from '../../src/merging/run-merge.ts'
import type { MergeTask, TaskTensor } from '../../src/merging/task.ts'
import { bytesPerElement, type Dtype, encode } from '../../src/tensors/dtypes.ts'
import { numbersFrom } from '../merge-strategies/world.ts'
import { MemoryTileFiles } from './memory-tile-files.ts'

export const LEAST = 32 * 1024
export const encoded = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
export const isNth = (step: ProgramStep): boolean => step.do === 'measure' && step.measure.measure === 'nth'

export interface Asked {
  readonly strategy: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly own?: Readonly<Record<string, unknown>>
  readonly count: number
  readonly elements: readonly number[]
  /** Of the base, then of the inputs in turn. */
  readonly dtypes?: readonly Dtype[]
  readonly out?: Dtype
  readonly tileBytes?: number
  readonly maskBytes?: number
  readonly value?: (next: () => number, input: number, element: number) => number
}

/** Few values, so that ties lie everywhere, and all of them multiples of a power of two. */
export const coarse = (next: () => number): number => Math.round((next() - 0.5) * 12) / 64
export const smooth = (next: () => number): number => (next() + next() - 1) / 16
/** Both zeros, what is subnormal in every dtype, and numbers so far apart that sums need more than f64. */
export const odd = (next: () => number): number => {
  const kind = Math.floor(next() * 6)
  if (kind === 0) return next() < 0.5 ? 0 : -0
  if (kind === 1) return Math.round((next() - 0.5) * 8) * 2 ** -149
  if (kind === 2) return Math.round((next() - 0.5) * 8) * 2 ** -24
  if (kind === 3) return (next() - 0.5) * 2 ** 12
  if (kind === 4) return (next() - 0.5) * 2 ** -100
  return coarse(next)
}

export function world(asked: Asked) {
  const { strategy: id, params = {}, own = {}, count, elements, dtypes = ['BF16'], out = dtypes[0]! } = asked
  const strategy = strategies.find((one) => one.id === id)!
  const hasBase = strategy.needs.base !== 'none'
  const prepared = prepareStrategy({
    strategy,
    params,
    inputs: Array.from({ length: count }, (_, i) => ({
      weight: [0.3, 0.5, 0.2, 1, 0.731][i % 5]!,
      params: own,
    })),
    hasBase,
  })
  const files = new MemoryTileFiles()
  const streamOf = (tensor: number, input: number) => {
    const dtype = dtypes[input % dtypes.length]!
    const next = numbersFrom(1000 * tensor + input)
    const value = asked.value ?? coarse
    const bytes = new Uint8Array(elements[tensor]! * bytesPerElement(dtype))
    encode(
      dtype,
      Float64Array.from({ length: elements[tensor]! }, (_, i) => value(next, input, i)),
      bytes,
    )
    const path = `${tensor}/${input}`
    files.files.set(path, new Uint8Array([9, ...bytes, 9]))
    return { path, offset: 1, bytes: bytes.length, dtype }
  }
  const tensors = elements.map((length, tensor): TaskTensor => {
    const bytes = length * bytesPerElement(out)
    files.files.set(`out/${tensor}`, new Uint8Array(bytes))
    return {
      name: `layer.${tensor}`,
      shape: [length],
      elements: length,
      dtype: out,
      target: { path: `out/${tensor}`, offset: 0, bytes },
      rule: {
        kind: 'merge',
        strategy: id,
        params: prepared.params,
        ...(hasBase && { base: streamOf(tensor, 0) }),
        inputs: prepared.inputs.map((input, i) => ({
          input: i,
          weight: input.weight,
          params: input.params,
          value: streamOf(tensor, 1 + i),
        })),
      },
    }
  })
  const task: MergeTask = {
    merge: '00'.repeat(32),
    seed: '11'.repeat(32),
    inputs: Array.from({ length: count }, (_, i) => ({ content: sha256Hex(Uint8Array.of(i)), label: `model ${i}` })),
    tensors,
    tileBytes: asked.tileBytes ?? LEAST,
    ...(asked.maskBytes !== undefined && { maskBytes: asked.maskBytes }),
  }
  return { files, task }
}

/** Digests of the outputs and their scalars, or the refusal. */
export function outcome(asked: Asked, kernels: Kernels<Float64Array>): unknown {
  const { files, task } = world(asked)
  try {
    return runMerge(task, { files, kernels: () => kernels, strategies }).map(({ root, scalars }) => ({ root, scalars }))
  } catch (error) {
    if (error instanceof TributaryError) return { code: error.code, message: error.message, details: error.details }
    throw error
  }
}

export const wasm = createWasmKernels()
/** Counts programs, how often they ran to their end, and operations that were not part of one. */
export function watched() {
  const seen = { programs: [] as StripProgram[], ended: 0, refused: 0, single: 0 }
  const kernels: Kernels<Float64Array> = {
    ...wasm,
    average: () => false,
    compile(program) {
      const run = wasm.compile(program)
      if (!run) return undefined
      seen.programs.push(program)
      return (...range) => {
        const fits = run(...range)
        if (fits) seen.ended += 1
        else seen.refused += 1
        return fits
      }
    },
    weightedSum: (...given) => ((seen.single += 1), wasm.weightedSum(...given)),
    binary: (...given) => ((seen.single += 1), wasm.binary(...given)),
  }
  return { kernels, seen }
}
