/**
 * Philox4x32-10 (Salmon et al., 2011): randomness by counter. A word is a function of the key and its index alone, so a
 * mask does not know about tiles, threads or order.
 */

/** The two key words, each an unsigned 32-bit integer. */
export interface RandomKey {
  readonly low: number
  readonly high: number
}

const ROUNDS = 10

/** High 32 bits of an unsigned 32 × 32-bit product, from halves of 16 bits: no partial sum reaches 2³². */
function highWord(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = ((Math.imul(aLow, bLow) >>> 16) + (Math.imul(aHigh, bLow) >>> 0)) >>> 0
  const other = ((middle & 0xffff) + (Math.imul(aLow, bHigh) >>> 0)) >>> 0
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (other >>> 16)) | 0
}

/** Four words from a whole counter of four. */
export function philox4x32(
  keyLow: number,
  keyHigh: number,
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  out: Uint32Array,
): void {
  let c0 = counter0 | 0
  let c1 = counter1 | 0
  let c2 = counter2 | 0
  let c3 = counter3 | 0
  let k0 = keyLow | 0
  let k1 = keyHigh | 0
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = highWord(0xd2511f53, c0)
    const high1 = highWord(0xcd9e8d57, c2)
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

/** The words of elements 4 · block … 4 · block + 3. */
export function philoxBlock(
  keyLow: number,
  keyHigh: number,
  blockLow: number,
  blockHigh: number,
  out: Uint32Array,
): void {
  philox4x32(keyLow, keyHigh, blockLow, blockHigh, 0, 0, out)
}

/** The words of elements first … first + out.length − 1, for any first below 2⁵³. */
export function randomWords(key: RandomKey, first: number, out: Uint32Array): void {
  const four = new Uint32Array(4)
  let i = 0
  while (i < out.length) {
    const block = Math.floor((first + i) / 4)
    philoxBlock(key.low, key.high, block >>> 0, Math.floor(block / 2 ** 32), four)
    for (let lane = (first + i) % 4; lane < 4 && i < out.length; lane++, i++) out[i] = four[lane]!
  }
}
