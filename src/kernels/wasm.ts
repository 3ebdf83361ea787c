/**
 * The kernels in WASM SIMD128. Buffers that they allocate lie in one WebAssembly memory; whatever is given from elsewhere
 * is computed by the reference, so where a buffer lies decides speed and never a bit.
 */
import { invariant } from '../core/invariant.ts'
import type { Dtype } from '../tensors/dtypes.ts'
import { type Cascade, CascadeSums, plainCascade, type Spill } from './exact-sums.ts'
import { nearest, units } from './exact.ts'
import type { Kernels } from './kernels.ts'
import { BLOCK } from './measures.ts'
import { referenceKernels as reference } from './reference.ts'
import { type Address, instantiate } from './wasm-instance.ts'
import { canAverage } from './average-plan.ts'
import { STREAMS_MAX, WasmAverage } from './wasm-average.ts'
import { WasmMemory } from './wasm-memory.ts'
import { BINARY, BLOCK_SUM, COMPARE, UNARY } from './program-codes.ts'
import { WasmPrograms } from './wasm-program.ts'

type Plane = Float64Array

const MEMORY_BYTES = 128 * 1024 * 1024
/** Planes of one sum or sort that the tables have room for. */
const PLANES_MAX = 4096

/** As many parts of kept sums hold any products of f32 values. */
const PARTS_MAX = 12
/** Terms that are kept as they are, before they are added up, which costs more than all else: most merges have fewer. */
const KEPT_MAX = 80

export interface WasmOptions {
  /** All buffers together. Only what is used becomes real. */
  readonly memoryBytes?: number
  /** Told of every operation that the reference had to do, because a buffer lay elsewhere. */
  readonly onForeign?: (operation: string) => void
}

const sameLength = (length: number, ...others: readonly { readonly length: number }[]): void =>
  invariant(
    others.every((plane) => plane.length === length),
    'planes of one length',
  )

export function createWasmKernels({ memoryBytes = MEMORY_BYTES, onForeign }: WasmOptions = {}): Kernels<Plane> {
  const memory = new WasmMemory(memoryBytes)
  const floats = new Float64Array(memory.buffer)
  const words = new Uint32Array(memory.buffer)
  let spill: Spill = () => undefined

  /** Exactly, for the few elements that three parts don't hold; NaN where a term is not finite. */
  function exactSum(table: Address, weights: Address, k: number, at: number): number {
    let sum = 0n
    for (let i = 0; i < k; i++) {
      const term = floats[weights / 8 + i]! * floats[(words[table / 4 + i]! + at) / 8]!
      if (!Number.isFinite(term)) return Number.NaN
      sum += units(term)
    }
    return nearest(sum)
  }

  const wasm = instantiate(memory.memory, {
    exactSum,
    spill: (i, term, high, low, rest) => spill(i, term, high, low, rest),
  })

  const table = Math.ceil(wasm.heapBase() / 64) * 64
  const outs = table + 4 * PLANES_MAX
  const weightList = outs + 4 * PLANES_MAX
  const column = weightList + 8 * PLANES_MAX
  const averageTables = column + 16 * PLANES_MAX
  memory.reserve(averageTables + WasmAverage.tablesBytes)
  const averages = new WasmAverage(wasm, memory.buffer, averageTables)
  const programs = new WasmPrograms(wasm, memory)
  /** Of averages: the latest weights, whether they have a way, and where the streams begin. */
  let averaged: readonly number[] | undefined
  let isSimple = false
  const averagedFrom: Address[] = []

  const at = (plane: Plane | Uint8Array | Uint32Array): Address => memory.addressOf(plane)
  function foreign(operation: string): Kernels<Plane> {
    onForeign?.(operation)
    return reference
  }

  function allocate(length: number): Plane {
    const address = memory.take(8 * length)
    return address < 0 ? new Float64Array(length) : new Float64Array(memory.buffer, address, length)
  }

  /** Writes the planes' addresses into a table; false where one lies elsewhere. */
  function list(planes: readonly Plane[], into: Address): boolean {
    if (planes.length > PLANES_MAX) return false
    for (let i = 0; i < planes.length; i++) {
      const address = at(planes[i]!)
      if (address < 0) return false
      words[into / 4 + i] = address
    }
    return true
  }

  /** Lists the parts, and again after each spill, which may have added one. */
  function tellWithParts(told: Spill, parts: readonly Plane[]): Spill {
    const show = () => (words[outs / 4] = list(parts, outs + 4) ? parts.length : 0)
    show()
    return (...spilt) => {
      told(...spilt)
      show()
    }
  }

  const cascade: Cascade = {
    partsMax: PARTS_MAX,
    keptMax: KEPT_MAX,
    allocate,
    add(high, low, plane, weight, sign, parts, told) {
      const [h, l, a, w] = [at(high), at(low), at(plane), at(weight)]
      if (h < 0 || l < 0 || a < 0 || w < 0) {
        onForeign?.('add')
        return plainCascade.add(high, low, plane, weight, sign, parts, told)
      }
      spill = tellWithParts(told, parts)
      return wasm.addTerms(h, l, a, w, sign, high.length, outs) !== 0
    },
    addScaled(high, low, plane, scale, parts, told) {
      const [h, l, a] = [at(high), at(low), at(plane)]
      if (h < 0 || l < 0 || a < 0) {
        onForeign?.('addScaled')
        return plainCascade.addScaled(high, low, plane, scale, parts, told)
      }
      spill = tellWithParts(told, parts)
      return wasm.addScaled(h, l, a, scale, high.length, outs) !== 0
    },
    keep(plane, weight, scale, out) {
      const [a, w, to] = [at(plane), typeof weight === 'number' ? 0 : at(weight), at(out)]
      if (a < 0 || w < 0 || to < 0) return false
      const fits = w === 0 ? wasm.keepScaled(a, scale, to, out.length) : wasm.keepTerms(a, w, scale, to, out.length)
      return fits !== 0
    },
    total(planes, out) {
      const [first, second] = planes
      if (planes.length === 1) out.set(first!)
      else if (planes.length === 2) kernels.binary('plus', first!, second!, out)
      else kernels.weightedSum(planes, Array<number>(planes.length).fill(1), out)
    },
  }

  const kernels: Kernels<Plane> = {
    allocate,
    allocateBytes(length) {
      const address = memory.take(length)
      return address < 0 ? new Uint8Array(length) : new Uint8Array(memory.buffer, address, length)
    },
    allocateCounts(length) {
      const address = memory.take(4 * length)
      return address < 0 ? new Uint32Array(length) : new Uint32Array(memory.buffer, address, length)
    },
    reset: () => {
      memory.reset()
      programs.reset()
    },
    view: (a, first, count) => a.subarray(first, first + count),

    decode(dtype, bytes, into) {
      const convert = DECODERS[dtype]
      const [from, to] = [at(bytes), at(into)]
      if (!convert || from < 0 || to < 0 || bytes.length !== into.length * convert.bytes)
        return (convert ? foreign('decode') : reference).decode(dtype, bytes, into)
      return wasm[convert.name](from, to, into.length) !== 0
    },

    encode(dtype, from, into) {
      const convert = ENCODERS[dtype]
      const [source, to] = [at(from), at(into)]
      if (!convert || source < 0 || to < 0 || into.length !== from.length * convert.bytes)
        return (convert ? foreign('encode') : reference).encode(dtype, from, into)
      return wasm[convert.name](source, to, from.length)
    },

    countNotFinite(dtype, bytes) {
      const { bits, mask } = EXPONENTS[dtype] ?? { bits: 0, mask: 0 }
      const from = at(bytes)
      if (bits === 0 || from < 0 || bytes.length % (bits / 8) !== 0) return reference.countNotFinite(dtype, bytes)
      return bits === 16
        ? wasm.countNotFinite16(from, bytes.length / 2, mask)
        : wasm.countNotFinite32(from, bytes.length / 4, mask)
    },

    fill(length, value, out = allocate(length)) {
      const to = at(out)
      if (to < 0 || out.length !== length) return foreign('fill').fill(length, value, out)
      wasm.fill(to, value, length)
      return out
    },

    binary(op, a, b, out = allocate(a.length)) {
      sameLength(a.length, b, out)
      const [x, y, to] = [at(a), at(b), at(out)]
      if (x < 0 || y < 0 || to < 0) return foreign(op).binary(op, a, b, out)
      wasm.binary(BINARY[op], x, y, to, a.length)
      return out
    },

    unary(op, a, out = allocate(a.length)) {
      sameLength(a.length, out)
      const [x, to] = [at(a), at(out)]
      if (x < 0 || to < 0) return foreign(op).unary(op, a, out)
      wasm.unary(UNARY[op], x, to, a.length)
      return out
    },

    compare(op, a, b, out = allocate(a.length)) {
      sameLength(a.length, b, out)
      const [x, y, to] = [at(a), at(b), at(out)]
      if (x < 0 || y < 0 || to < 0) return foreign(op).compare(op, a, b, out)
      wasm.binary(COMPARE[op], x, y, to, a.length)
      return out
    },

    choose(mask, a, b, out = allocate(a.length)) {
      sameLength(a.length, mask, b, out)
      const [m, x, y, to] = [at(mask), at(a), at(b), at(out)]
      if (m < 0 || x < 0 || y < 0 || to < 0) return foreign('choose').choose(mask, a, b, out)
      wasm.choose(m, x, y, to, a.length)
      return out
    },

    keep(key, first, probability, out = allocate(probability.length)) {
      sameLength(probability.length, out)
      const [p, to] = [at(probability), at(out)]
      if (p < 0 || to < 0) return foreign('keep').keep(key, first, probability, out)
      wasm.keep(key.low | 0, key.high | 0, first, p, to, out.length)
      return out
    },

    reduce(op, a, b = a) {
      sameLength(a.length, b)
      invariant(a.length <= BLOCK, `a block holds at most ${BLOCK} elements`)
      const [x, y] = [at(a), at(b)]
      return x < 0 || y < 0 ? foreign(op).reduce(op, a, b) : wasm.blockSum(BLOCK_SUM[op], x, y, a.length)
    },

    histogram(a, range, into) {
      const [x, to] = [at(a), at(into)]
      if (x < 0 || to < 0) foreign('histogram').histogram(a, range, into)
      else wasm.histogram(x, range.low, range.high, range.shift, to, a.length)
    },

    countEqual(a, key) {
      const x = at(a)
      return x < 0 ? foreign('countEqual').countEqual(a, key) : wasm.countEqual(x, key, a.length)
    },

    nthEqual(a, key, n) {
      const x = at(a)
      return x < 0 || n > a.length ? reference.nthEqual(a, key, n) : wasm.nthEqual(x, key, n, a.length)
    },

    aboveCutoff(a, first, key, lastTie, out = allocate(a.length)) {
      sameLength(a.length, out)
      const [x, to] = [at(a), at(out)]
      if (x < 0 || to < 0) return foreign('aboveCutoff').aboveCutoff(a, first, key, lastTie, out)
      const ties = Math.max(0, Math.min(a.length, lastTie - first + 1))
      wasm.aboveCutoff(x, key, ties, to, a.length)
      return out
    },

    sort(planes, out = planes.map((plane) => allocate(plane.length))) {
      const length = planes[0]?.length ?? 0
      sameLength(length, ...planes, ...out)
      if (!list(planes, table) || !list(out, outs)) return foreign('sort').sort(planes, out)
      const done = wasm.sort(table, outs, planes.length, column, length)
      // the order of NaN among numbers is whatever the reference makes of it
      const rest = (all: readonly Plane[]) => all.map((one) => one.subarray(done))
      if (done < length) reference.sort(rest(planes), rest(out))
      return out
    },

    weightedSum(planes, weights, out = allocate(planes[0]?.length ?? 0)) {
      invariant(planes.length === weights.length, 'one weight for each plane')
      sameLength(out.length, ...planes)
      const to = at(out)
      if (planes.length === 0 || to < 0 || !list(planes, table))
        return foreign('weightedSum').weightedSum(planes, weights, out)
      const [first, second] = planes
      if (planes.length === 1) wasm.scaled(at(first!), weights[0]!, to, out.length)
      else if (planes.length === 2) wasm.scaledPair(at(first!), at(second!), weights[0]!, weights[1]!, to, out.length)
      else {
        floats.set(weights, weightList / 8)
        wasm.weightedSum(table, weightList, planes.length, to, out.length)
      }
      return out
    },

    exactSums: (length) => new CascadeSums(length, cascade),

    average(dtype, streams, weights, divisor, out) {
      const known = dtype === 'BF16' || dtype === 'F16' || dtype === 'F32'
      if (!known || streams.length === 0 || streams.length > STREAMS_MAX) return false
      invariant(out.length % (dtype === 'F32' ? 4 : 2) === 0, 'whole elements')
      if (weights !== averaged) {
        averaged = weights
        isSimple = canAverage(weights)
      }
      const to = at(out)
      let fits = isSimple && divisor !== 0 && to >= 0
      averagedFrom.length = 0
      for (const stream of streams) {
        invariant(stream.length === out.length, 'streams of one length')
        const address = at(stream)
        averagedFrom.push(address)
        fits &&= address >= 0
      }
      return fits && averages.run(dtype, averagedFrom, weights, divisor, to, out.length)
    },

    compile: (program) => programs.compile(program),
  }
  return kernels
}

const DECODERS: Partial<Record<Dtype, { readonly name: 'decodeBf16' | 'decodeF16' | 'decodeF32'; bytes: number }>> = {
  BF16: { name: 'decodeBf16', bytes: 2 },
  F16: { name: 'decodeF16', bytes: 2 },
  F32: { name: 'decodeF32', bytes: 4 },
}
/** The bits that are all set in what is not finite. */
const EXPONENTS: Partial<Record<Dtype, { readonly bits: 16 | 32; readonly mask: number }>> = {
  BF16: { bits: 16, mask: 0x7f80 },
  F16: { bits: 16, mask: 0x7c00 },
  F32: { bits: 32, mask: 0x7f800000 },
}
const ENCODERS: Partial<Record<Dtype, { readonly name: 'encodeBf16' | 'encodeF16' | 'encodeF32'; bytes: number }>> = {
  BF16: { name: 'encodeBf16', bytes: 2 },
  F16: { name: 'encodeF16', bytes: 2 },
  F32: { name: 'encodeF32', bytes: 4 },
}
