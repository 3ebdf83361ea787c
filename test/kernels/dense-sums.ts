/** Terms that fill the bins of a sum to the last bit, or come to a tie: what a bin that holds one too many would lose. */
import { expect } from 'vitest'
import { nearest, units } from '../../src/kernels/exact.ts'
import { numbersFrom } from '../merge-strategies/world.ts'

const BITS = { BF16: 8, F32: 24 } as const

/** The units as values of so many bits, which add up to them: no more than `most`. */
function chunksOf(left: bigint, bits: number, most: number): number[] {
  const chunks: number[] = []
  for (let rest = left; rest !== 0n;) {
    const size = rest < 0n ? -rest : rest
    const cut = BigInt(Math.max(0, size.toString(2).length - bits))
    const chunk = (size >> cut) << cut
    chunks.push((rest < 0n ? -1 : 1) * nearest(chunk))
    rest += rest < 0n ? chunk : -chunk
  }
  expect(chunks.length).toBeLessThanOrEqual(most)
  return [...chunks, ...Array<number>(most - chunks.length).fill(0)]
}
const sumOf = (terms: readonly number[]) => terms.reduce((sum, term) => sum + units(term), 0n)

/**
 * So many terms of the greatest that a bin takes, all bits set, and one that reaches down to its last place or to that of
 * the bins below; others take all of it away again but that last place, so that an average shows whether it was lost.
 */
export function fullBins(
  dtype: 'BF16' | 'F32',
  great: number,
  factorBits = 24,
): { columns: number[][]; weights: number[] } {
  const factor = 1 - 2 ** -factorBits
  const bits = BITS[dtype]
  const digits = 2 ** bits - 1
  const away = [1, 2, 4, 8, 16, 32, 64, 128].filter((bit) => (great & bit) !== 0)
  const [first, last] = dtype === 'BF16' ? [-60, 0] : [-40, 30]
  const columns: number[][] = []
  for (let scale = first; scale < last; scale++)
    for (const down of dtype === 'BF16' ? [15, 16, 31, 32, 47] : [14, 15, 16, 31, 32, 60]) {
      const top = digits * 2 ** scale
      const low = top * 2 ** -down
      const left = units(2 ** (scale - down - factorBits)) - units(low * factor)
      columns.push([
        ...Array<number>(great).fill(top),
        ...away.map((bit) => -top * bit),
        low,
        ...chunksOf(left, bits, 5),
      ])
    }
  const weights = [...Array<number>(great + away.length + 1).fill(factor), ...Array<number>(5).fill(1)]
  return { columns, weights }
}

/** Terms of many bits at many scales, whose sum is a tie or next to it. */
export function denseTies(dtype: 'BF16' | 'F32', count: number): { columns: number[][]; weights: number[] } {
  const random = numbersFrom(7)
  const bits = BITS[dtype]
  const factors = Array.from({ length: count }, () =>
    Math.fround(1 + (Math.floor(random() * 2 ** 22) * 2 + 1) / 2 ** 23),
  )
  const columns: number[][] = []
  for (let scale = -30; scale < 66; scale++)
    for (const beside of [0, 2 ** -53, -(2 ** -53), 2 ** -53 + 2 ** -80, 2 ** -52 - 2 ** -90, -(2 ** -54)]) {
      const values = factors.map(() => {
        const value = (2 ** (bits - 1) + Math.floor(random() * 2 ** (bits - 1))) * (random() < 0.5 ? -1 : 1)
        return value * 2 ** (scale - bits - Math.floor(random() * 60))
      })
      const tie = units(2 ** scale * (1 + 2 ** -bits)) + units(2 ** scale * beside)
      columns.push([...values, ...chunksOf(tie - sumOf(values.map((value, i) => value * factors[i]!)), bits, 20)])
    }
  return { columns, weights: [...factors, ...Array<number>(20).fill(1)] }
}
