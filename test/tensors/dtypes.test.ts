import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bytesPerElement,
  countNotFinite,
  decode,
  DTYPES,
  type Dtype,
  encode,
  type FloatDtype,
  isFloat,
  parseDtype,
  positionOf,
  tensorNotFinite,
} from '../../src/tensors/dtypes.ts'
import { golden } from '../support/golden.ts'
import { exactCode, type Format, FORMATS } from './exact-rounder.ts'

const vectors = golden<{
  decoded_sha256: Record<string, string>
  encoded: Record<string, [bits: string, code: number | 'not finite'][]>
}>('tensors_dtypes')

const NARROW = ['F16', 'BF16', 'F8_E4M3', 'F8_E5M2'] as const
const ROUNDED = ['F32', ...NARROW] as const

const decoded = (dtype: Dtype, bytes: Uint8Array): Float64Array => {
  const values = new Float64Array(bytes.length / bytesPerElement(dtype))
  decode(dtype, bytes, values)
  return values
}
const encoded = (dtype: Dtype, values: ArrayLike<number>): { bytes: Uint8Array; first: number } => {
  const bytes = new Uint8Array(values.length * bytesPerElement(dtype))
  return { first: encode(dtype, Float64Array.from(values), bytes), bytes }
}
const codesOf = (dtype: Dtype, bytes: Uint8Array): number[] => {
  const kinds = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }
  return [...new kinds[bytesPerElement(dtype) as 1 | 2 | 4](bytes.slice().buffer)]
}
/** Every code of an 8- or 16-bit type, in order. */
const everyPattern = (dtype: FloatDtype): Uint8Array =>
  bytesPerElement(dtype) === 1
    ? Uint8Array.from({ length: 256 }, (_, i) => i)
    : new Uint8Array(Uint16Array.from({ length: 65_536 }, (_, i) => i).buffer)
const f64 = (bits: string): number => Buffer.from(bits, 'hex').readDoubleBE()

describe('decode', () => {
  test.each(NARROW)('[DTY-1] every pattern of %s decodes to the value that NumPy and ml_dtypes give it', (dtype) => {
    const values = decoded(dtype, everyPattern(dtype))
    const bits = new BigUint64Array(values.buffer)
    for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) bits[i] = 0x7ff8_0000_0000_0000n
    const digest = createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex')
    expect(digest).toBe(vectors.decoded_sha256[dtype])
  })

  test.each(NARROW)('[DTY-1] every pattern of %s but -0 and the NaNs encodes back to itself', (dtype) => {
    const patterns = everyPattern(dtype)
    const values = decoded(dtype, patterns)
    const before = codesOf(dtype, patterns)
    const after = codesOf(dtype, encoded(dtype, values).bytes)
    const { nan, sign } = FORMATS[dtype]
    const expected = before.map((code, i) => (code === sign ? 0 : Number.isNaN(values[i]) ? nan : code))
    expect(after).toEqual(expected)
  })

  test('[DTY-1] F32 is widened exactly', () => {
    const values = Float32Array.of(1.1, -0, 1e-45, -3.4028234663852886e38, Infinity)
    expect([...decoded('F32', new Uint8Array(values.buffer))]).toEqual([...values])
  })

  test('[DTY-2] F64 is rounded once to f32', () => {
    const values = Float64Array.of(1.1, 1e300, 1e-300, 1 + 2 ** -24, 1 + 2 ** -24 + 2 ** -52)
    expect([...decoded('F64', new Uint8Array(values.buffer))]).toEqual([...values].map(Math.fround))
  })

  test('[DTY-8] bytes at any offset decode and encode as aligned ones do', () => {
    for (const dtype of Object.keys(DTYPES) as Dtype[]) {
      if (!isFloat(dtype)) continue
      const size = bytesPerElement(dtype)
      const aligned = encoded(dtype, [0.5, -1.5, 3, 0.0625, -2]).bytes
      for (let offset = 1; offset < 8; offset++) {
        const room = new Uint8Array(64).fill(0xee)
        room.set(aligned, offset)
        const part = room.subarray(offset, offset + 5 * size)
        const values = new Float64Array(5)
        decode(dtype, part, values)
        expect([...values]).toEqual([0.5, -1.5, 3, 0.0625, -2])
        part.fill(0)
        encode(dtype, values, part)
        expect([...part]).toEqual([...aligned])
        expect([room[offset - 1], room[offset + 5 * size]]).toEqual([0xee, 0xee])
      }
    }
  })

  test('[DTY-1] long tensors decode in the same way as short ones', () => {
    const values = Float64Array.from({ length: 10_001 }, (_, i) => i - 5000)
    const { bytes } = encoded('BF16', values)
    const whole = decoded('BF16', bytes)
    for (const i of [0, 1, 4095, 4096, 4097, 8191, 8192, 10_000])
      expect(whole[i]).toBe(decoded('BF16', bytes.slice(2 * i, 2 * i + 2))[0])
  })
})

describe('encode', () => {
  test.each(ROUNDED)('[DTY-3] %s: an exact rounder outside this program gives the same codes', (dtype) => {
    const cases = vectors.encoded[dtype] ?? []
    expect(cases.length).toBeGreaterThan(100)
    for (const [bits, code] of cases) {
      const { bytes, first } = encoded(dtype, [f64(bits)])
      if (code === 'not finite') expect([bits, first]).toEqual([bits, 0])
      else expect([bits, codesOf(dtype, bytes)[0], first]).toEqual([bits, code, -1])
    }
  })

  const doubles = (format: Format) => {
    // from far below the smallest subnormal to just beyond the largest value, sign and all
    const exponent = fc.integer({ min: -format.bias - format.mantissaBits - 3, max: format.bias + 2 })
    const mantissa = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 52n - 1n }),
      // few bits set: the ties, and what is one bit off a tie
      fc
        .array(fc.integer({ min: 0, max: 51 }), { maxLength: 4 })
        .map((bits) => bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n)),
    )
    return fc.tuple(exponent, mantissa, fc.boolean()).map(([e, m, negative]) => {
      const value = Number((1n << 52n) | m) * 2 ** -52 * 2 ** e
      return negative ? -value : value
    })
  }

  test.each(ROUNDED)('[DTY-3] %s: one rounding to nearest, ties to even, as exact fractions say', (dtype) => {
    const format = FORMATS[dtype]
    const lists = fc.array(doubles(format), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(lists, (values) => {
        const { bytes, first } = encoded(dtype, values)
        const expected = values.map((value) => exactCode(value, format))
        expect(first).toBe(expected.findIndex((code) => code === undefined))
        codesOf(dtype, bytes).forEach((code, i) => {
          if (expected[i] !== undefined) expect([values[i], code]).toEqual([values[i], expected[i]])
        })
      }),
      { seed: 1, numRuns: 1500 },
    )
  })

  test('[DTY-3] a value is not rounded to f32 on the way', () => {
    // just above the middle of 1 and the next bf16; as f32 it would be the middle itself, and go down to even
    const value = 1 + 2 ** -8 + 2 ** -40
    expect(codesOf('BF16', encoded('BF16', [value]).bytes)).toEqual([0x3f81])
    expect(codesOf('BF16', encoded('BF16', [Math.fround(value)]).bytes)).toEqual([0x3f80])
    expect(codesOf('F16', encoded('F16', [1 + 2 ** -11 + 2 ** -40]).bytes)).toEqual([0x3c01])
  })

  test('[DTY-4] every zero is stored as +0, also one that comes of rounding', () => {
    for (const dtype of [...ROUNDED, 'F64'] as const) {
      const tiny = dtype === 'F64' ? -0 : -1e-300
      expect([...encoded(dtype, [-0, 0, tiny]).bytes].every((byte) => byte === 0)).toBe(true)
    }
  })

  test('[DTY-4] every NaN is stored as the positive quiet one', () => {
    const odd = new Float64Array(new BigUint64Array([0xfff0_dead_beef_0001n, 0x7ff8_0000_0000_0000n]).buffer)
    for (const dtype of ROUNDED) {
      const { bytes, first } = encoded(dtype, odd)
      expect([codesOf(dtype, bytes), first]).toEqual([[FORMATS[dtype].nan, FORMATS[dtype].nan], 0])
    }
    const wide = new BigUint64Array(encoded('F64', odd).bytes.buffer)
    expect([...wide]).toEqual([0x7ff8_0000_0000_0000n, 0x7ff8_0000_0000_0000n])
  })

  test.each([
    ['F32', 3.4028235677973366e38, 3.4028235677973362e38],
    ['F16', 65_520, 65_519.999],
    ['BF16', 3.3962e38, 3.3961e38],
    ['F8_E4M3', 464.0001, 464],
    ['F8_E5M2', 61_440, 61_439.99],
  ] as const)('[DTY-5] %s answers the first element that is beyond its range', (dtype, beyond, within) => {
    expect(encoded(dtype, [1, within, -within]).first).toBe(-1)
    expect(encoded(dtype, [1, within, -beyond, NaN]).first).toBe(2)
    expect(encoded(dtype, [1, NaN, beyond]).first).toBe(1)
    expect(encoded(dtype, [Infinity]).first).toBe(0)
  })

  test('[DTY-6] F8_E4M3 has no infinity: what is beyond 448 becomes NaN and is answered', () => {
    const { bytes, first } = encoded('F8_E4M3', [448, -448, 464, 480, -Infinity])
    expect([...bytes]).toEqual([0x7e, 0xfe, 0x7e, 0x7f, 0x7f])
    expect(first).toBe(3)
  })

  test('[DTY-5] an overflow of the other types is stored as infinity with its sign', () => {
    expect(codesOf('F16', encoded('F16', [-1e9, 1e9]).bytes)).toEqual([0xfc00, 0x7c00])
    expect(codesOf('F8_E5M2', encoded('F8_E5M2', [-1e9, 1e9]).bytes)).toEqual([0xfc, 0x7c])
    expect(codesOf('F32', encoded('F32', [-1e39]).bytes)).toEqual([0xff80_0000])
  })
})

describe('what is not finite', () => {
  test('[DTY-7] NaN and infinity are counted, and the first of them named', () => {
    for (const dtype of ['F64', 'F32', 'F16', 'BF16', 'F8_E5M2'] as const) {
      const { bytes } = encoded(dtype, [1, -2, -Infinity, 0, NaN, Infinity])
      expect([dtype, countNotFinite(dtype, bytes)]).toEqual([dtype, { nan: 1, inf: 2, first: 2 }])
      expect(countNotFinite(dtype, encoded(dtype, [1, -2, 0]).bytes)).toEqual({ nan: 0, inf: 0, first: -1 })
    }
    expect(countNotFinite('F8_E4M3', Uint8Array.of(0x7e, 0xff, 0x7f, 0xfe))).toEqual({ nan: 2, inf: 0, first: 1 })
  })

  test('[DTY-7] an F64 that no f32 can hold counts as infinite, since a merge would read it so', () => {
    expect(countNotFinite('F64', new Uint8Array(Float64Array.of(0, 1e39).buffer))).toEqual({ nan: 0, inf: 1, first: 1 })
  })

  test('[DTY-7] integers are always finite', () => {
    expect(countNotFinite('I16', new Uint8Array(4).fill(0xff))).toEqual({ nan: 0, inf: 0, first: -1 })
  })

  test.each(NARROW)('[DTY-7] counting agrees with decoding on every pattern of %s', (dtype) => {
    const patterns = everyPattern(dtype)
    const values = [...decoded(dtype, patterns)]
    expect(countNotFinite(dtype, patterns)).toEqual({
      nan: values.filter((value) => Number.isNaN(value)).length,
      inf: values.filter((value) => Math.abs(value) === Infinity).length,
      first: values.findIndex((value) => !Number.isFinite(value)),
    })
  })

  test('[DTY-7] the refusal names tensor, counts and position', () => {
    expect(positionOf(5, [2, 3])).toEqual([1, 2])
    expect(positionOf(0, [])).toEqual([])
    expect(tensorNotFinite('lm_head.weight', [2, 3], { nan: 1, inf: 2, first: 5 })).toMatchObject({
      code: 'TENSOR_NOT_FINITE',
      message: 'tensor "lm_head.weight" holds 1 NaN and 2 infinite elements, the first at [1, 2]',
    })
  })
})

describe('names', () => {
  test('[DTY-9] only the names that safetensors uses are dtypes', () => {
    expect(parseDtype('BF16')).toBe('BF16')
    for (const name of ['bf16', 'BFLOAT16', 'toString', '__proto__', ''])
      expect(() => parseDtype(name)).toThrow(expect.objectContaining({ code: 'SAFETENSORS_DTYPE_UNKNOWN' }) as Error)
  })

  test.each(['F4', 'F6_E2M3', 'F6_E3M2', 'F8_E8M0', 'C64'])('[DTY-9] %s is refused by its name', (name) => {
    expect(() => parseDtype(name, 'tensor "a"')).toThrow(
      expect.objectContaining({ code: 'DTYPE_UNSUPPORTED', message: expect.stringContaining(name) as string }) as Error,
    )
  })

  test.each(['I64', 'U8', 'BOOL'] as const)('[DTY-9] %s is no number to calculate with', (dtype) => {
    const bytes = new Uint8Array(bytesPerElement(dtype))
    const refusal = expect.objectContaining({ code: 'DTYPE_UNSUPPORTED' }) as Error
    expect(() => decode(dtype, bytes, new Float64Array(1))).toThrow(refusal)
    expect(() => encode(dtype, new Float64Array(1), bytes)).toThrow(refusal)
  })
})
