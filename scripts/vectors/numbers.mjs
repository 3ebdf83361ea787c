/**
 * Numbers chosen to hurt, made from integers alone so that every machine draws the same; and a digest of what came out.
 * NaN is one number here, since nothing reads the rest of its bits and machines differ in them.
 */
import { createHash } from 'node:crypto'

/** A stream of 32-bit words; each stream is named by its seed. */
export function words(seed) {
  let state = Math.imul(seed, 2654435761) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (t ^ (t >>> 14)) >>> 0
  }
}

const cell = new DataView(new ArrayBuffer(8))
export function f32Of(bits) {
  cell.setUint32(0, bits)
  return cell.getFloat32(0)
}
export function f64Of(high, low) {
  cell.setUint32(0, high)
  cell.setUint32(4, low)
  return cell.getFloat64(0)
}
const uniform = (next) => next() / 2 ** 32 - 0.5

const SPECIAL = [
  ...[0, 1, 2, 0.5, 0.3, 3, 2 ** -149, 2 ** -150, 2 ** -126, 2 ** -133, 3 * 2 ** -134, 2 ** -24, 2 ** -25],
  ...[65504, 65519.99, 65520, 2 ** 127, 2 ** 128, 3.4028235677973366e38, 3.3961775292304597e38, Infinity],
  ...[1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -52, 1 + 2 ** -11, 1 + 2 ** -24, Number.MAX_VALUE],
  ...[Number.MIN_VALUE, 2 ** -1022, 2 ** -1030],
].flatMap((value) => [value, -value])

/** How one element of each kind is drawn. */
export const KINDS = {
  tunes: (next) => Math.fround(uniform(next) * 0.04),
  'any-f32': (next) => finiteOr(f32Of(next()), 1),
  'any-f64': (next) => f64Of(next(), next()),
  special: (next) => [...SPECIAL, Number.NaN][next() % (SPECIAL.length + 1)],
  'f32-subnormal': (next) => f32Of(next() & 0x807fffff),
  'f64-subnormal': (next) => f64Of(next() & 0x800fffff, next()),
  tied: (next) => ((next() % 9) - 4) * 0.125,
  wide: (next) => Math.fround(uniform(next) * 2 ** ((next() % 200) - 100)),
}
/** Kinds whose numbers are all finite and fit f32, as tensors hold them. */
export const TENSOR_KINDS = ['tunes', 'any-f32', 'f32-subnormal', 'tied', 'wide']
const finiteOr = (value, instead) => (Number.isFinite(value) ? value : instead)

export function plane(kind, seed, length) {
  const next = words(seed)
  return Float64Array.from({ length }, () => KINDS[kind](next))
}

/** Random bytes: every pattern of every dtype. */
export function bytes(seed, length) {
  const next = words(seed)
  return Uint8Array.from({ length }, () => next() >>> 24)
}

export class Digest {
  #hash = createHash('sha256')

  bytes(part) {
    this.#hash.update(part)
    return this
  }

  text(part) {
    return this.bytes(Buffer.from(part))
  }

  /** As little-endian bits, whatever the machine's own order. */
  plane(values) {
    const out = new DataView(new ArrayBuffer(values.length * 8))
    values.forEach((value, i) => {
      if (Number.isNaN(value)) out.setBigUint64(8 * i, 0x7ff8000000000000n, true)
      else out.setFloat64(8 * i, value, true)
    })
    return this.bytes(new Uint8Array(out.buffer))
  }

  number(value) {
    return this.plane([value])
  }

  hex() {
    return this.#hash.digest('hex')
  }
}
