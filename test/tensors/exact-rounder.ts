/** The slow, obvious rounder that `encode` is held to: exact integers, no floating arithmetic. */

export interface Format {
  readonly mantissaBits: number
  readonly bias: number
  /** First magnitude that is no finite number. */
  readonly notFinite: number
  readonly nan: number
  readonly sign: number
}

const format = (mantissaBits: number, bias: number, notFinite: number, nan: number, sign: number): Format => ({
  mantissaBits,
  bias,
  notFinite,
  nan,
  sign,
})

export const FORMATS = {
  F32: format(23, 127, 0x7f80_0000, 0x7fc0_0000, 0x8000_0000),
  F16: format(10, 15, 0x7c00, 0x7e00, 0x8000),
  BF16: format(7, 127, 0x7f80, 0x7fc0, 0x8000),
  F8_E4M3: format(3, 7, 0x7f, 0x7f, 0x80),
  F8_E5M2: format(2, 15, 0x7c, 0x7e, 0x80),
} as const

/** A fixed point far below every subnormal: values are whole multiples of 2^-POINT. */
const POINT = 1200n

/** A finite f64, scaled by 2^1200, as an integer. */
function scaled(value: number): bigint {
  const bits = new BigUint64Array(Float64Array.of(value).buffer)[0] ?? 0n
  const exponent = (bits >> 52n) & 0x7ffn
  const mantissa = bits & 0xf_ffff_ffff_ffffn
  const magnitude = exponent === 0n ? mantissa : mantissa | (1n << 52n)
  return magnitude << (POINT + (exponent === 0n ? 1n : exponent) - 1075n)
}

function scaledCode(code: number, { mantissaBits, bias }: Format): bigint {
  const exponent = Math.floor(code / 2 ** mantissaBits)
  const mantissa = BigInt(code % 2 ** mantissaBits)
  const magnitude = exponent === 0 ? mantissa : mantissa + (1n << BigInt(mantissaBits))
  return magnitude << (POINT + BigInt(Math.max(exponent, 1) - bias - mantissaBits))
}

/** The code nearest to a finite value, the even one of two, or undefined where that is no finite number. */
export function exactCode(value: number, format: Format): number | undefined {
  const target = scaled(Math.abs(value))
  let low = 0
  let high = format.notFinite
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (scaledCode(middle, format) <= target) low = middle
    else high = middle
  }
  const below = target - scaledCode(low, format)
  const above = scaledCode(low + 1, format) - target
  const code = below > above || (below === above && low % 2 === 1) ? low + 1 : low
  if (code >= format.notFinite) return undefined
  return code !== 0 && value < 0 ? code + format.sign : code
}
