/**
 * The element types of safetensors, and the two moves between them and f64: `decode` is exact, `encode` rounds once, to
 * nearest, ties to even, straight from f64. Rounding to f32 first would round some halfway cases twice.
 */
import { TributaryError } from '../core/errors.ts'
import { at, invariant } from '../core/invariant.ts'
import { doubled, NARROW, type NarrowFormat } from './narrow-formats.ts'

export type FloatDtype = 'F64' | 'F32' | 'F16' | 'BF16' | 'F8_E4M3' | 'F8_E5M2'
export type Dtype = FloatDtype | 'I64' | 'I32' | 'I16' | 'I8' | 'U64' | 'U32' | 'U16' | 'U8' | 'BOOL'

export const DTYPES: Readonly<Record<Dtype, { readonly bytes: number; readonly float: boolean }>> = {
  F64: { bytes: 8, float: true },
  F32: { bytes: 4, float: true },
  F16: { bytes: 2, float: true },
  BF16: { bytes: 2, float: true },
  F8_E4M3: { bytes: 1, float: true },
  F8_E5M2: { bytes: 1, float: true },
  I64: { bytes: 8, float: false },
  I32: { bytes: 4, float: false },
  I16: { bytes: 2, float: false },
  I8: { bytes: 1, float: false },
  U64: { bytes: 8, float: false },
  U32: { bytes: 4, float: false },
  U16: { bytes: 2, float: false },
  U8: { bytes: 1, float: false },
  BOOL: { bytes: 1, float: false },
}

/** Names the format knows and we don't read: packed below a byte, powers of two only, complex, or other FP8 kinds. */
const UNREAD = new Set(['F4', 'F6_E2M3', 'F6_E3M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ', 'C64'])

export const isDtype = (name: string): name is Dtype => Object.hasOwn(DTYPES, name)
export const isFloat = (dtype: Dtype): dtype is FloatDtype => DTYPES[dtype].float
export const bytesPerElement = (dtype: Dtype): number => DTYPES[dtype].bytes

export function parseDtype(name: string, of = 'a tensor'): Dtype {
  if (isDtype(name)) return name
  const shown = JSON.stringify(name.slice(0, 40))
  if (UNREAD.has(name))
    throw new TributaryError('DTYPE_UNSUPPORTED', `${of} has dtype ${name}, whose elements can't be merged`, {
      details: { dtype: name },
      hint: 'dequantise the checkpoint to BF16, F16 or F32 first',
    })
  throw new TributaryError('SAFETENSORS_DTYPE_UNKNOWN', `${of} has dtype ${shown}, which safetensors doesn't define`, {
    hint: `use one of ${Object.keys(DTYPES).join(', ')}`,
  })
}

/** Typed arrays read memory in the machine's own order; files are little-endian. */
invariant(new Uint8Array(Uint16Array.of(1).buffer)[0] === 1, 'this machine is little-endian')

const tables = new Map<FloatDtype, Float32Array>()
/** Every value of an 8- or 16-bit format, by code; each fits an f32 exactly. */
function tableOf(dtype: 'F16' | 'F8_E4M3' | 'F8_E5M2'): Float32Array {
  const known = tables.get(dtype)
  if (known !== undefined) return known
  const format = NARROW[dtype]
  const table = Float32Array.from({ length: format.signBit * 2 }, (_, code) => format.valueOf(code))
  tables.set(dtype, table)
  return table
}

type Words = Float64Array | Float32Array | Uint32Array | Uint16Array
type WordsClass<T> = { new (buffer: ArrayBufferLike, offset: number, length: number): T; BYTES_PER_ELEMENT: number }

/** The bytes as words. Bytes of a file may lie at any offset: those that aren't aligned are copied first. */
function wordsOf<T extends Words>(kind: WordsClass<T>, bytes: Uint8Array): T {
  const size = kind.BYTES_PER_ELEMENT
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice()
  return new kind(buffer, byteOffset, bytes.length / size)
}

function checkLengths(dtype: Dtype, bytes: Uint8Array, elements: number): void {
  const { bytes: size, float } = DTYPES[dtype]
  if (!float)
    throw new TributaryError('DTYPE_UNSUPPORTED', `${dtype} is not a floating type: its values pass through by rule`)
  invariant(bytes.length === elements * size, `${elements} elements of ${dtype} take ${elements * size} bytes`)
}

const BLOCK = 4096
const blockBits = new Uint32Array(BLOCK)
const blockValues = new Float32Array(blockBits.buffer)

/** bf16 is the upper half of an f32: shift a block of codes up and read it back as f32. */
function decodeBf16(codes: Uint16Array, into: Float64Array): void {
  for (let start = 0; start < codes.length; start += BLOCK) {
    const count = Math.min(BLOCK, codes.length - start)
    for (let i = 0; i < count; i++) blockBits[i] = codes[start + i]! << 16
    for (let i = 0; i < count; i++) into[start + i] = blockValues[i]!
  }
}

/** Exact, but for F64, which is rounded once to f32: that is what a merge computes with. */
export function decode(dtype: Dtype, bytes: Uint8Array, into: Float64Array): void {
  checkLengths(dtype, bytes, into.length)
  const count = into.length
  switch (dtype as FloatDtype) {
    case 'F64': {
      const values = wordsOf(Float64Array, bytes)
      for (let i = 0; i < count; i++) into[i] = Math.fround(values[i]!)
      return
    }
    case 'F32': {
      const values = wordsOf(Float32Array, bytes)
      for (let i = 0; i < count; i++) into[i] = values[i]!
      return
    }
    case 'BF16':
      decodeBf16(wordsOf(Uint16Array, bytes), into)
      return
    case 'F16': {
      const codes = wordsOf(Uint16Array, bytes)
      const table = tableOf('F16')
      for (let i = 0; i < count; i++) into[i] = table[codes[i]!]!
      return
    }
    case 'F8_E4M3':
    case 'F8_E5M2': {
      const table = tableOf(dtype as 'F8_E4M3' | 'F8_E5M2')
      for (let i = 0; i < count; i++) into[i] = table[bytes[i]!]!
      return
    }
  }
}

const IMPLICIT_BITS = 20 // mantissa bits in the upper word of an f64
const INTEGER_FROM = doubled(52) // adding and taking away 2^52 rounds a small f64 to an integer, ties to even

/** The code of each element without looking at more than its two words; answers the first that is not finite, or -1. */
function encodeNarrow(format: NarrowFormat, from: Float64Array, into: Uint16Array | Uint8Array): number {
  const words = new Uint32Array(from.buffer, from.byteOffset, from.length * 2)
  const { notFinite, hasInfinity, nan, signBit, unitsPerOne } = format
  const shift = IMPLICIT_BITS - format.mantissaBits
  const belowHalf = (1 << (shift - 1)) - 1
  const rebias = (1023 - format.bias) << IMPLICIT_BITS
  const normalFrom = rebias + (1 << IMPLICIT_BITS)
  const signShift = signBit === 0x80 ? 24 : 16
  let first = -1
  for (let i = 0; i < from.length; i++) {
    const high = words[2 * i + 1]!
    const magnitude = high & 0x7fff_ffff
    let code: number
    if (magnitude >= normalFrom) {
      // the lower word only matters as "something is left", which the lowest bit of the upper word can say
      const bits = (magnitude - rebias) | (words[2 * i] === 0 ? 0 : 1)
      code = (bits + belowHalf + ((bits >>> shift) & 1)) >>> shift
      if (code >= notFinite) {
        if (first < 0) first = i
        const isNaN = from[i] !== from[i]
        into[i] = isNaN ? nan : hasInfinity ? notFinite | ((high >>> signShift) & signBit) : nan
        continue
      }
    } else {
      code = Math.abs(from[i]!) * unitsPerOne + INTEGER_FROM - INTEGER_FROM
      if (code === 0) {
        into[i] = 0
        continue
      }
    }
    into[i] = code | ((high >>> signShift) & signBit)
  }
  return first
}

/** NaN is written in one form, by its bits: an engine may keep any payload of a NaN it moves. */
function encodeWide(from: Float64Array, into: Float32Array | Float64Array): number {
  const words = new Uint32Array(into.buffer, into.byteOffset, into.byteLength / 4)
  let first = -1
  for (let i = 0; i < from.length; i++) {
    into[i] = from[i]!
    const value = into[i]!
    if (value === 0) into[i] = 0
    else if (value - value !== 0) {
      if (first < 0) first = i
      if (value === value) continue
      if (into.BYTES_PER_ELEMENT === 4) words[i] = 0x7fc0_0000
      else {
        words[2 * i] = 0
        words[2 * i + 1] = 0x7ff8_0000
      }
    }
  }
  return first
}

/** One round-to-nearest-even; answers the index of the first element that is not finite after it, or -1. */
export function encode(dtype: Dtype, from: Float64Array, into: Uint8Array): number {
  checkLengths(dtype, into, from.length)
  const size = bytesPerElement(dtype)
  const target = into.byteOffset % size === 0 ? into : new Uint8Array(into.length)
  const { buffer, byteOffset } = target
  const first = ((): number => {
    switch (dtype as FloatDtype) {
      case 'F64':
        return encodeWide(from, new Float64Array(buffer, byteOffset, from.length))
      case 'F32':
        return encodeWide(from, new Float32Array(buffer, byteOffset, from.length))
      case 'F16':
      case 'BF16':
        return encodeNarrow(NARROW[dtype as 'F16' | 'BF16'], from, new Uint16Array(buffer, byteOffset, from.length))
      case 'F8_E4M3':
      case 'F8_E5M2':
        return encodeNarrow(NARROW[dtype as 'F8_E4M3' | 'F8_E5M2'], from, target)
    }
  })()
  if (target !== into) into.set(target)
  return first
}

export interface NotFinite {
  readonly nan: number
  readonly inf: number
  /** Index of the first element that is not finite, or -1. */
  readonly first: number
}

/** Codes whose magnitude is at or beyond `notFinite`; a magnitude of exactly `infinity` is one. */
function countCodes(
  codes: Uint32Array | Uint16Array | Uint8Array,
  signBit: number,
  notFinite: number,
  infinity: number,
) {
  const mask = signBit - 1
  let nan = 0
  let inf = 0
  let first = -1
  for (let i = 0; i < codes.length; i++) {
    const magnitude = codes[i]! & mask
    if (magnitude < notFinite) continue
    if (first < 0) first = i
    if (magnitude === infinity) inf += 1
    else nan += 1
  }
  return { nan, inf, first }
}

function countWide(values: Float64Array): NotFinite {
  let nan = 0
  let inf = 0
  let first = -1
  for (let i = 0; i < values.length; i++) {
    const value = Math.fround(values[i]!)
    if (value - value === 0) continue
    if (first < 0) first = i
    if (value === value) inf += 1
    else nan += 1
  }
  return { nan, inf, first }
}

/** What a merge would meet on reading: an F64 beyond the range of f32 counts as infinite. Integers are always finite. */
export function countNotFinite(dtype: Dtype, bytes: Uint8Array): NotFinite {
  invariant(bytes.length % bytesPerElement(dtype) === 0, `whole elements of ${dtype}`)
  if (!isFloat(dtype)) return { nan: 0, inf: 0, first: -1 }
  if (dtype === 'F64') return countWide(wordsOf(Float64Array, bytes))
  if (dtype === 'F32') return countCodes(wordsOf(Uint32Array, bytes), 0x8000_0000, 0x7f80_0000, 0x7f80_0000)
  const { signBit, notFinite, hasInfinity } = NARROW[dtype]
  const codes = signBit === 0x80 ? bytes : wordsOf(Uint16Array, bytes)
  return countCodes(codes, signBit, notFinite, hasInfinity ? notFinite : -1)
}

/** Position of a flat row-major index in a shape: 5 in [2, 3] is [1, 2]. */
export function positionOf(index: number, shape: readonly number[]): number[] {
  const position: number[] = []
  let rest = index
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const length = at(shape, axis)
    position.unshift(rest % length)
    rest = Math.floor(rest / length)
  }
  return position
}

/** The refusal of a tensor that holds NaN or infinity. */
export const tensorNotFinite = (
  name: string,
  shape: readonly number[],
  { nan, inf, first }: NotFinite,
): TributaryError =>
  new TributaryError(
    'TENSOR_NOT_FINITE',
    `tensor ${JSON.stringify(name)} holds ${nan} NaN and ${inf} infinite elements, the first at [${positionOf(first, shape).join(', ')}]`,
    {
      details: { tensor: name, nan, inf, first },
      hint: 'look for a diverged training step or an overflow to F16, and save the checkpoint again',
    },
  )
