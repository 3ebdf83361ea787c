/** Which kernels a program merges with. They give equal bits, so this decides speed alone, and no receipt names it. */
import type { Kernels } from './kernels.ts'
import { referenceKernels } from './reference.ts'
import { hasWasm } from './wasm-instance.ts'
import { createWasmKernels } from './wasm.ts'

/** `fastest`: WebAssembly where the engine has it with vectors. `reference`: the readable ones, whatever the engine has. */
export type KernelChoice = 'fastest' | 'reference'

/** `warn` is told where the fastest are not to be had. */
export function chooseKernels(choice: KernelChoice, warn: (what: string) => void): Kernels<Float64Array> {
  if (choice === 'reference') return referenceKernels
  if (hasWasm()) return createWasmKernels()
  warn('this engine has no WebAssembly with SIMD: merges give the same bytes, but take many times as long')
  return referenceKernels
}
