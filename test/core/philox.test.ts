import fc from 'fast-check'
import { expect, test } from 'vitest'
import { philox4x32, philoxBlock, randomWords } from '../../src/core/philox.ts'

/** Known answers published with Random123 (philox4x32, 10 rounds): counter, key, result. */
const KNOWN = [
  ['00000000 00000000 00000000 00000000', '00000000 00000000', '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
  ['ffffffff ffffffff ffffffff ffffffff', 'ffffffff ffffffff', '408f276d 41c83b0e a20bc7c6 6d5451fd'],
  ['243f6a88 85a308d3 13198a2e 03707344', 'a4093822 299f31d0', 'd16cfe09 94fdcceb 5001e420 24126ea1'],
] as const
const words = (text: string) => text.split(' ').map((word) => parseInt(word, 16))

test.each(KNOWN)('[RNG-1] Philox4x32-10 gives the published answer for counter %s', (counter, key, answer) => {
  const out = new Uint32Array(4)
  const [low, high] = words(key) as [number, number]
  philox4x32(low, high, ...(words(counter) as [number, number, number, number]), out)
  expect([...out]).toEqual(words(answer))
})

/** The same function with integers that cannot overflow. */
function obvious(keyLow: number, keyHigh: number, block: bigint): number[] {
  const mask = 0xffffffffn
  let counter = [block & mask, block >> 32n, 0n, 0n] as [bigint, bigint, bigint, bigint]
  let [k0, k1] = [BigInt(keyLow), BigInt(keyHigh)]
  for (let round = 0; round < 10; round++) {
    const a = 0xd2511f53n * counter[0]
    const b = 0xcd9e8d57n * counter[2]
    counter = [(b >> 32n) ^ counter[1] ^ k0, b & mask, (a >> 32n) ^ counter[3] ^ k1, a & mask]
    k0 = (k0 + 0x9e3779b9n) & mask
    k1 = (k1 + 0xbb67ae85n) & mask
  }
  return counter.map(Number)
}

const u32 = fc.integer({ min: 0, max: 0xffffffff })

test('[RNG-1] 32-bit halves multiply as whole integers do, for any key and block', () => {
  const out = new Uint32Array(4)
  fc.assert(
    fc.property(u32, u32, u32, u32, (low, high, blockLow, blockHigh) => {
      philoxBlock(low, high, blockLow, blockHigh, out)
      expect([...out]).toEqual(obvious(low, high, (BigInt(blockHigh) << 32n) | BigInt(blockLow)))
    }),
    { seed: 1, numRuns: 2000 },
  )
})

test('[RNG-2] word e is lane e mod 4 of block ⌊e / 4⌋, wherever a run of words begins and ends', () => {
  const first = fc.oneof(fc.nat(20), fc.integer({ min: 2 ** 34 - 10, max: 2 ** 34 + 10 }), fc.maxSafeInteger())
  fc.assert(
    fc.property(u32, u32, first.map(Math.abs), fc.nat(23), (low, high, start, length) => {
      const out = new Uint32Array(length)
      randomWords({ low, high }, start, out)
      const wanted = Array.from({ length }, (_, i) => {
        const element = BigInt(start) + BigInt(i)
        return obvious(low, high, element / 4n)[Number(element % 4n)]!
      })
      if (start + length <= Number.MAX_SAFE_INTEGER) expect([...out]).toEqual(wanted)
    }),
    { seed: 1, numRuns: 500 },
  )
})
