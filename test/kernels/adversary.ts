/** Numbers chosen to hurt sums: every exponent, near-cancellation, ties, subnormals, negations, both zeros. */
import fc from 'fast-check'

const f32FromBits = (bits: number): number => {
  const cell = new DataView(new ArrayBuffer(4))
  cell.setUint32(0, bits)
  return cell.getFloat32(0)
}

/** Any finite f32: all exponents alike, so that subnormals and the largest are ordinary. */
const anyF32 = fc
  .tuple(fc.boolean(), fc.nat(254), fc.oneof(fc.nat(0x7fffff), fc.constantFrom(0, 1, 0x7fffff, 0x400000)))
  .map(([negative, exponent, fraction]) =>
    f32FromBits(((negative ? 0x80000000 : 0) | (exponent << 23) | fraction) >>> 0),
  )

/** f32 values with few bits in a narrow range, whose sums lie on midpoints. */
const tieF32 = fc
  .tuple(fc.integer({ min: -255, max: 255 }), fc.constantFrom(0, 1, 8, 24, 29, 53, 54, 60, 106))
  .map(([n, down]) => Math.fround(n * 2 ** -down))

const specialF32 = fc.constantFrom(
  0,
  -0,
  1,
  -1,
  2 ** -149,
  -(2 ** -149),
  2 ** -126,
  Math.fround(3.4028234663852886e38),
  -Math.fround(3.4028234663852886e38),
  1 + 2 ** -23,
)

export const f32s = fc.oneof(anyF32, tieF32, specialF32)

/** Any finite f64, for what must hold beyond products of f32 values. */
export const f64s = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(
    0,
    -0,
    Number.MIN_VALUE,
    -Number.MIN_VALUE,
    Number.MAX_VALUE,
    -Number.MAX_VALUE,
    2 ** 53,
    1 + 2 ** -52,
  ),
  fc.tuple(fc.integer({ min: -7, max: 7 }), fc.integer({ min: -1074, max: 1020 })).map(([n, up]) => n * 2 ** up),
)

export interface Term {
  readonly value: number
  readonly weight: number
}

const term = fc.record({ value: f32s, weight: fc.oneof(f32s, fc.constantFrom(1, 1, 2, 0.3, 0.5).map(Math.fround)) })
const negated = ({ value, weight }: Term): Term => ({ value: -value, weight })

/** Terms of one sum; some come with the negation of all the others, so that little or nothing is left. */
export const sums = fc
  .tuple(fc.array(term, { minLength: 1, maxLength: 9 }), fc.boolean(), fc.array(term, { maxLength: 2 }))
  .map(([terms, cancel, more]) => [...terms, ...more, ...(cancel ? terms.map(negated) : [])])
