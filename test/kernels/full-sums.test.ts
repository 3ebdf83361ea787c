/** Weighted sums of terms of all the bits that f64 has, which fill what they are summed in to the last place. */
import { describe, expect, test } from 'vitest'
import { exactSum } from '../../src/kernels/exact.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { numbersFrom } from '../merge-strategies/world.ts'

type Column = readonly number[]
const kernels = createWasmKernels({ memoryBytes: 16 << 20 })

/** The first column whose sum is another than that of arbitrary precision; all have as many terms. */
function firstWrong(columns: readonly Column[]): string {
  const planes = columns[0]!.map((_, i) => {
    const plane = kernels.allocate(columns.length)
    plane.set(columns.map((column) => column[i]!))
    return plane
  })
  const weights = planes.map(() => 1)
  const sums = [...kernels.weightedSum(planes, weights)]
  kernels.reset()
  const at = columns.findIndex((column, i) => !Object.is(sums[i], exactSum(column)))
  return at < 0 ? 'none' : `${at}: ${sums[at]} for ${exactSum(columns[at]!)}`
}

/** The same terms, and then others that leave so much of their sum that f64 holds it. */
function cancelled(terms: Column, more: number, left = 0, cut = (term: number) => term): number[] {
  const all = [...terms]
  for (let i = 0; i < more; i++) {
    const rest = cut(exactSum([...all, -left]))
    all.push(rest === 0 ? 0 : -rest)
  }
  return all
}
/** The nearest value of 48 bits, as products of two f32 have. */
const to48 = (value: number): number => {
  const far = value * 33
  return far - (far - value)
}

/** Of bins of 32 binades, which begin where the exponent is one more than a multiple of 32. */
const BIN = 2

describe('[KRN-98] as many terms as bins take lose no last place', () => {
  const half = 2 ** -8 * BIN
  const unit = 2 ** -52 * BIN
  const KINDS: Readonly<Record<string, (i: number) => number>> = {
    'just below half a unit of what a bin takes whole': () => BIN + half / 2 - unit,
    'just below a unit of it': () => BIN + half - unit,
    'just below two units of it': () => BIN + 2 * half - unit,
    'just above half a unit of it': () => BIN + half / 2 + unit,
    'the greatest of a bin': () => (2 - 2 ** -52) * 2 ** 30 * BIN,
    'the greatest of a bin but for a last place of it': () => (2 ** 32 - 2 ** -12) * BIN,
    'the greatest and the smallest of a bin': (i) => (i === 3 ? BIN + unit : (2 ** 32 - 2 ** -10) * BIN),
    'the greatest of a bin, and of the one below what it carries': (i) =>
      i % 3 !== 0 ? (2 - 2 ** -52) * 2 ** 30 * BIN : (1 + ((i * 2654435761) >>> 0) / 2 ** 32) * (BIN / 4),
    'the greatest of a bin and those of the next': (i) =>
      i % 2 === 0 ? (2 - 2 ** -52) * 2 ** 30 * BIN : (2 - 2 ** -52) * 2 ** -2 * BIN,
  }
  test.each(Object.keys(KINDS))('%s', (kind) => {
    for (const count of [1020, 1500])
      for (const scale of [1, 2 ** 32, 2 ** -320, 2 ** 640]) {
        const terms = Array.from({ length: count }, (_, i) => KINDS[kind]!(i) * scale)
        const column = cancelled(terms, 4)
        const columns = [
          column,
          column.map((term) => -term),
          cancelled(terms, 4, scale * unit),
          terms.concat(0, 0, 0, 0),
        ]
        // beside what two parts don't hold, so that bins are asked at all
        const wide = terms.map((_, i) => [2 ** 200, 1, 2 ** -200][i] ?? 0).concat(0, 0, 0, 0)
        expect([count, scale, firstWrong([wide, ...columns, wide, column, wide])]).toEqual([count, scale, 'none'])
      }
  })
})

test.each([6, 9, 16, 17, 40, 300])(
  '[KRN-98] of %i terms of all bits, at many scales, what is left when they cancel is exact',
  (count) => {
    const next = numbersFrom(count)
    const dense = () => (next() < 0.5 ? -1 : 1) * (1 + (Math.floor(next() * 2 ** 26) + next()) / 2 ** 26)
    const columns = Array.from({ length: 96 }, (_, i) => {
      const span = [4, 20, 34, 66, 100, 160][i % 6]!
      const terms = Array.from({ length: count - 5 }, () => dense() * 2 ** Math.floor(next() * span - 40))
      return cancelled(terms, 5, i % 2 === 0 ? 0 : 2 ** -120 * dense())
    })
    expect(firstWrong(columns)).toBe('none')
  },
)

test.each([6, 9, 12, 16, 17, 24, 25, 32])(
  '[KRN-98] of %i terms of 48 bits, at many scales, what is left when they cancel, or tie, is exact',
  (count) => {
    const next = numbersFrom(count)
    const dense = () => to48((next() < 0.5 ? -1 : 1) * (1 + (Math.floor(next() * 2 ** 26) + next()) / 2 ** 26))
    const columns = Array.from({ length: 240 }, (_, i) => {
      const span = [4, 20, 34, 49, 66, 100, 160][i % 7]!
      const terms = Array.from({ length: count - 5 }, () => dense() * 2 ** Math.floor(next() * span - 40))
      const left = [0, 2 ** -120 * dense(), 1, 2 ** -30][i % 4]!
      const all = cancelled(terms, i % 4 < 2 ? 5 : 3, left, to48)
      // beside a middle of two f64, or on one
      if (i % 4 >= 2) all.push(left * (i % 3 === 0 ? -1 : 1) * 2 ** -53, left * ((i % 5) - 2) * 2 ** -(80 + (i % 40)))
      return all
    })
    expect(firstWrong(columns)).toBe('none')
  },
)

test.each([4, 9, 19, 35, 67])('[KRN-3] sums of %i terms at both ends of the range are exact', (count) => {
  const next = numbersFrom(count)
  const dense = () => (next() < 0.5 ? -1 : 1) * (1 + (Math.floor(next() * 2 ** 26) + next()) / 2 ** 26)
  for (const middle of [-1060, -1040, -1010, -990, -960, -945, -930, 905, 920, 935, 950, 965, 980, 1000, 1014])
    for (const span of [6, 16]) {
      const columns = Array.from({ length: 24 }, (_, i) => {
        const terms = Array.from(
          { length: count - 3 },
          () => dense() * 2 ** (middle + Math.floor((next() - 0.5) * span)),
        )
        if (i % 4 === 0) return [...terms, 0, 0, 0]
        if (i % 4 === 1) return cancelled(terms, 3)
        // of one sign, and all but the greatest of one binade
        const alike = terms.map(() => (2 - 2 ** -50 * (1 + Math.floor(next() * 8))) * 2 ** (middle - 4))
        return i % 4 === 2
          ? cancelled(alike, 3)
          : cancelled(
              alike.map((term) => -term),
              3,
            )
      })
      // beside what two parts don't hold, so that all eight are summed another way
      const top = middle < 0 ? middle + 140 : middle
      const wide = [0, 68, 136].map((down) => 2 ** (top - down)).concat(Array<number>(count - 3).fill(0))
      const beside = columns.map((column, i) => (i % 8 === 3 ? wide.slice(0, column.length) : column))
      expect([middle, span, firstWrong(beside)]).toEqual([middle, span, 'none'])
    }
})

test.each([1, 2, 3, 4, 17])('[KRN-1] a weighted sum of %i planes writes nothing behind its last element', (k) => {
  const weights = Array.from({ length: k }, (_, i) => 1 - i / 64)
  for (let length = 1; length < 18; length++)
    for (const wide of [0, 60]) {
      const planes = weights.map((_, i) => kernels.fill(length + 9, (1 + i / 3) * 2 ** (wide * ((i % 5) - 2))))
      const out = kernels.fill(length + 9, 7)
      kernels.weightedSum(
        planes.map((plane) => plane.subarray(0, length)),
        weights,
        out.subarray(0, length),
      )
      expect([length, wide, ...out.subarray(length)]).toEqual([length, wide, ...Array<number>(9).fill(7)])
      kernels.reset()
    }
})

test.each([3, 4, 6, 20])(
  '[NUM-5] of %i planes what is not finite in one element is NaN there and nowhere else',
  (k) => {
    const next = numbersFrom(k)
    const columns = Array.from({ length: 19 }, () => {
      const terms = Array.from({ length: k - 2 }, () => (next() - 0.5) * 2 ** Math.floor((next() - 0.5) * 300))
      return cancelled(terms, 2)
    })
    for (let at = 0; at < columns.length; at++)
      for (const broken of [[NaN], [Infinity], [-Infinity, Infinity]]) {
        const planes = columns[0]!.map((_, i) => {
          const values = columns.map((column, j) => (j === at ? (broken[i] ?? column[i]!) : column[i]!))
          const plane = kernels.allocate(values.length)
          plane.set(values)
          return plane
        })
        const sums = kernels.weightedSum(
          planes,
          planes.map(() => 1),
        )
        expect([...sums]).toEqual(columns.map((column, j) => (j === at ? NaN : exactSum(column))))
        kernels.reset()
      }
  },
)
