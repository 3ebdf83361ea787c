/** Which kernels a program merges with. They give equal bits, so this decides speed alone, and no receipt names it. */
import type { Kernels } from './kernels.ts'
import { referenceKernels } from './reference.ts'
import { hasWasm } from './wasm-instance.ts'
import { createWasmKernels } from './wasm.ts'

/** `fastest`: WebAssembly where the engine has it with vectors. `reference`: the readable ones, whatever the engine has. */
export type KernelChoice = 'fastest' | 'reference'

/** Kernels with room for as many bytes of buffers. What was given out before must not be in use any more. */
export type KernelSource = (bytes: number) => Kernels<Float64Array>

/** Constants, and what a task takes that no plan counts. It is address space: memory only where it is touched. */
const SPARE_BYTES = 32 * 1024 * 1024
/** A WebAssembly memory ends before 4 GiB; buffers that find no room lie elsewhere, and are slower. */
const MOST_BYTES = 2 ** 32 - 2 ** 20

/** `warn` is told where the fastest are not to be had. */
export function chooseKernels(choice: KernelChoice, warn: (what: string) => void): KernelSource {
  if (choice === 'reference') return () => referenceKernels
  if (hasWasm()) return wasmSource()
  warn('this engine has no WebAssembly with SIMD: merges give the same bytes, but take many times as long')
  return () => referenceKernels
}

/** One memory, made anew where it is too small for the next task, or so large that it should be given back. */
function wasmSource(): KernelSource {
  let made: { readonly bytes: number; readonly kernels: Kernels<Float64Array> } | undefined
  return (wanted) => {
    const bytes = Math.min(MOST_BYTES, wanted + SPARE_BYTES)
    if (made === undefined || made.bytes < bytes || made.bytes > 4 * bytes)
      made = { bytes, kernels: createWasmKernels({ memoryBytes: bytes }) }
    return made.kernels
  }
}
