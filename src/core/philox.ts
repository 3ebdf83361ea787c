/**
 * Philox4x32-10 (Salmon et al., 2011): randomness by counter. Word e is a function of the key and e alone, so a mask does
 * not know about tiles, threads or order.
 */

/** The two key words, each an unsigned 32-bit integer. */
export interface RandomKey {
  readonly low: number
  readonly high: number
}

const ROUNDS = 10

/** High 32 bits of an unsigned 32 × 32-bit product, by halves of 16 bits: every step stays below 2⁵³. */
function highWord(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + ((middle & 0xffff) + aLow * bHigh) / 0x10000) >>> 0
}

/** One block of four words from a whole counter. */
export function philoxCounter(key: RandomKey, counter: ArrayLike<number>, out: Uint32Array): void {
  let c0 = counter[0]! | 0
  let c1 = counter[1]! | 0
  let c2 = counter[2]! | 0
  let c3 = counter[3]! | 0
  let k0 = key.low | 0
  let k1 = key.high | 0
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = highWord(0xd2511f53, c0 >>> 0)
    const high1 = highWord(0xcd9e8d57, c2 >>> 0)
    const low0 = Math.imul(0xd2511f53, c0)
    const low1 = Math.imul(0xcd9e8d57, c2)
    c0 = high1 ^ c1 ^ k0
    c1 = low1
    c2 = high0 ^ c3 ^ k1
    c3 = low0
    k0 = (k0 + 0x9e3779b9) | 0
    k1 = (k1 + 0xbb67ae85) | 0
  }
  out[0] = c0
  out[1] = c1
  out[2] = c2
  out[3] = c3
}
