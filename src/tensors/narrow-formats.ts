/** Floating formats below f32, each described by its bits without the sign. */

/** 2 to the power of `times`, exactly. */
export const doubled = (times: number): number => {
  let value = 1
  for (let i = 0; i < times; i++) value *= 2
  return value
}

export class NarrowFormat {
  readonly mantissaBits: number
  readonly bias: number
  /** The first magnitude that is no finite number. */
  readonly notFinite: number
  /** Whether that magnitude is infinity (NaN lies above) or already NaN. */
  readonly hasInfinity: boolean
  readonly nan: number
  readonly signBit: number
  /** One over the smallest subnormal: a magnitude below the normals is this many units. */
  readonly unitsPerOne: number

  constructor(bits: 8 | 16, mantissaBits: number, bias: number, notFinite: number, nan: number) {
    this.mantissaBits = mantissaBits
    this.bias = bias
    this.notFinite = notFinite
    this.hasInfinity = nan !== notFinite
    this.nan = nan
    this.signBit = 1 << (bits - 1)
    this.unitsPerOne = doubled(bias - 1 + mantissaBits)
  }

  valueOf(code: number): number {
    const magnitude = code & (this.signBit - 1)
    const sign = (code & this.signBit) === 0 ? 1 : -1
    if (magnitude > this.notFinite || (magnitude === this.notFinite && !this.hasInfinity)) return NaN
    if (magnitude === this.notFinite) return sign * Infinity
    const exponent = magnitude >> this.mantissaBits
    const leading = 1 << this.mantissaBits
    const mantissa = magnitude & (leading - 1)
    const units = exponent === 0 ? mantissa : (leading + mantissa) * doubled(exponent - 1)
    return (sign * units) / this.unitsPerOne
  }
}

export const NARROW = {
  F16: new NarrowFormat(16, 10, 15, 0x7c00, 0x7e00),
  BF16: new NarrowFormat(16, 7, 127, 0x7f80, 0x7fc0),
  /** The "fn" kind: no infinity, NaN at 0x7f, largest 448. */
  F8_E4M3: new NarrowFormat(8, 3, 7, 0x7f, 0x7f),
  F8_E5M2: new NarrowFormat(8, 2, 15, 0x7c, 0x7e),
} as const
