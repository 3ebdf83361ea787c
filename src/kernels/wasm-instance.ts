/** The compiled module: its words, compiled once and instantiated for each memory. */
import { WASM_BASE64 } from './wasm-module.ts'

/** A byte offset into the memory. */
export type Address = number

type Average = [
  table: Address,
  weights: Address,
  k: number,
  divisor: number,
  terms: Address,
  plan: Address,
  from: number,
  to: number,
  out: Address,
]

export interface WasmWords {
  heapBase(): Address
  fill(out: Address, value: number, n: number): void
  binary(op: number, a: Address, b: Address, out: Address, n: number): void
  unary(op: number, a: Address, out: Address, n: number): void
  choose(mask: Address, a: Address, b: Address, out: Address, n: number): void
  blockSum(op: number, a: Address, b: Address, n: number): number
  keep(keyLow: number, keyHigh: number, first: number, probability: Address, out: Address, n: number): void
  histogram(a: Address, low: number, high: number, shift: number, into: Address, n: number): void
  countEqual(a: Address, key: number, n: number): number
  nthEqual(a: Address, key: number, nth: number, n: number): number
  aboveCutoff(a: Address, key: number, ties: number, out: Address, n: number): void
  sort(planes: Address, outs: Address, k: number, column: Address, n: number): number
  scaled(plane: Address, weight: number, out: Address, n: number): void
  scaledPair(first: Address, second: Address, v: number, w: number, out: Address, n: number): void
  weightedSum(table: Address, weights: Address, k: number, out: Address, n: number): void
  addTerms(
    high: Address,
    low: Address,
    plane: Address,
    weight: Address,
    sign: number,
    n: number,
    parts: Address,
  ): number
  addScaled(high: Address, low: Address, plane: Address, scale: number, n: number, parts: Address): number
  keepTerms(plane: Address, weight: Address, sign: number, out: Address, n: number): number
  keepScaled(plane: Address, scale: number, out: Address, n: number): number
  decodeBf16(from: Address, out: Address, n: number): number
  decodeF16(from: Address, out: Address, n: number): number
  decodeF32(from: Address, out: Address, n: number): number
  countNotFinite16(from: Address, n: number, mask: number): number
  countNotFinite32(from: Address, n: number, mask: number): number
  averageInF32(...more: [...Average]): number
  averageInInterval(...more: [...Average]): number
  averageInParts(...more: [...Average]): number
  averageBesideMiddles(...more: [...Average]): number
  averageInRatio(...more: [...Average]): number
  averageInSpan(form: number, ...more: [...Average]): number
  averageF16InF32(...more: [...Average]): number
  averageF16InInterval(...more: [...Average]): number
  averageF32InInterval(...more: [...Average]): number
  averageF32InSpan(...more: [...Average]): number
  averageInLevels(form: number, ...more: [...Average]): number
  averageAnyScales(form: number, ...more: [...Average]): number
  runProgram(code: Address, streams: Address, out: Address, first: number, count: number): number
  encodeBf16(from: Address, out: Address, n: number): number
  encodeF16(from: Address, out: Address, n: number): number
  encodeF32(from: Address, out: Address, n: number): number
}

/** What the module asks of the program, for elements that need more than f64. */
export interface WasmHost {
  exactSum(table: Address, weights: Address, k: number, at: number): number
  spill(i: number, term: number, high: number, low: number, rest: number): void
}

let compiled: WebAssembly.Module | undefined

const kernelModule = (): WebAssembly.Module =>
  (compiled ??= new WebAssembly.Module(new Uint8Array(Buffer.from(WASM_BASE64, 'base64'))))

/** Whether this engine has WebAssembly with 128-bit vectors. */
export function hasWasm(): boolean {
  try {
    return kernelModule() instanceof WebAssembly.Module
  } catch {
    return false
  }
}

export function instantiate(memory: WebAssembly.Memory, host: WasmHost): WasmWords {
  const instance = new WebAssembly.Instance(kernelModule(), { env: { memory }, host: { ...host } })
  return instance.exports as WasmWords
}
