/**
 * Rows of eight keys sorted, the greatest first, by networks that compare the same pairs whatever they hold; keys are not
 * negative.
 */

/** Four rows. */
@inline
function sortFour(rows: usize): void {
  let a0 = v128.load(rows)
  let a1 = v128.load(rows, 16)
  let a2 = v128.load(rows, 32)
  let a3 = v128.load(rows, 48)
  let b = a0
  b = i16x8.min_s(a0, a1)
  a0 = i16x8.max_s(a0, a1)
  a1 = b
  b = i16x8.min_s(a2, a3)
  a2 = i16x8.max_s(a2, a3)
  a3 = b
  b = i16x8.min_s(a0, a2)
  a0 = i16x8.max_s(a0, a2)
  a2 = b
  b = i16x8.min_s(a1, a3)
  a1 = i16x8.max_s(a1, a3)
  a3 = b
  b = i16x8.min_s(a1, a2)
  a1 = i16x8.max_s(a1, a2)
  a2 = b
  v128.store(rows, a0)
  v128.store(rows, a1, 16)
  v128.store(rows, a2, 32)
  v128.store(rows, a3, 48)
}

/** Eight rows. */
@inline
function sortEight(rows: usize): void {
  let a0 = v128.load(rows)
  let a1 = v128.load(rows, 16)
  let a2 = v128.load(rows, 32)
  let a3 = v128.load(rows, 48)
  let a4 = v128.load(rows, 64)
  let a5 = v128.load(rows, 80)
  let a6 = v128.load(rows, 96)
  let a7 = v128.load(rows, 112)
  let b = a0
  b = i16x8.min_s(a0, a2)
  a0 = i16x8.max_s(a0, a2)
  a2 = b
  b = i16x8.min_s(a1, a3)
  a1 = i16x8.max_s(a1, a3)
  a3 = b
  b = i16x8.min_s(a4, a6)
  a4 = i16x8.max_s(a4, a6)
  a6 = b
  b = i16x8.min_s(a5, a7)
  a5 = i16x8.max_s(a5, a7)
  a7 = b
  b = i16x8.min_s(a0, a4)
  a0 = i16x8.max_s(a0, a4)
  a4 = b
  b = i16x8.min_s(a1, a5)
  a1 = i16x8.max_s(a1, a5)
  a5 = b
  b = i16x8.min_s(a2, a6)
  a2 = i16x8.max_s(a2, a6)
  a6 = b
  b = i16x8.min_s(a3, a7)
  a3 = i16x8.max_s(a3, a7)
  a7 = b
  b = i16x8.min_s(a0, a1)
  a0 = i16x8.max_s(a0, a1)
  a1 = b
  b = i16x8.min_s(a2, a3)
  a2 = i16x8.max_s(a2, a3)
  a3 = b
  b = i16x8.min_s(a4, a5)
  a4 = i16x8.max_s(a4, a5)
  a5 = b
  b = i16x8.min_s(a6, a7)
  a6 = i16x8.max_s(a6, a7)
  a7 = b
  b = i16x8.min_s(a2, a4)
  a2 = i16x8.max_s(a2, a4)
  a4 = b
  b = i16x8.min_s(a3, a5)
  a3 = i16x8.max_s(a3, a5)
  a5 = b
  b = i16x8.min_s(a1, a4)
  a1 = i16x8.max_s(a1, a4)
  a4 = b
  b = i16x8.min_s(a3, a6)
  a3 = i16x8.max_s(a3, a6)
  a6 = b
  b = i16x8.min_s(a1, a2)
  a1 = i16x8.max_s(a1, a2)
  a2 = b
  b = i16x8.min_s(a3, a4)
  a3 = i16x8.max_s(a3, a4)
  a4 = b
  b = i16x8.min_s(a5, a6)
  a5 = i16x8.max_s(a5, a6)
  a6 = b
  v128.store(rows, a0)
  v128.store(rows, a1, 16)
  v128.store(rows, a2, 32)
  v128.store(rows, a3, 48)
  v128.store(rows, a4, 64)
  v128.store(rows, a5, 80)
  v128.store(rows, a6, 96)
  v128.store(rows, a7, 112)
}

/** Eight rows that rise and then fall, or begin so elsewhere. */
@inline
function mergeEight(rows: usize): void {
  let a0 = v128.load(rows)
  let a1 = v128.load(rows, 16)
  let a2 = v128.load(rows, 32)
  let a3 = v128.load(rows, 48)
  let a4 = v128.load(rows, 64)
  let a5 = v128.load(rows, 80)
  let a6 = v128.load(rows, 96)
  let a7 = v128.load(rows, 112)
  let b = a0
  b = i16x8.min_s(a0, a4)
  a0 = i16x8.max_s(a0, a4)
  a4 = b
  b = i16x8.min_s(a1, a5)
  a1 = i16x8.max_s(a1, a5)
  a5 = b
  b = i16x8.min_s(a2, a6)
  a2 = i16x8.max_s(a2, a6)
  a6 = b
  b = i16x8.min_s(a3, a7)
  a3 = i16x8.max_s(a3, a7)
  a7 = b
  b = i16x8.min_s(a0, a2)
  a0 = i16x8.max_s(a0, a2)
  a2 = b
  b = i16x8.min_s(a1, a3)
  a1 = i16x8.max_s(a1, a3)
  a3 = b
  b = i16x8.min_s(a4, a6)
  a4 = i16x8.max_s(a4, a6)
  a6 = b
  b = i16x8.min_s(a5, a7)
  a5 = i16x8.max_s(a5, a7)
  a7 = b
  b = i16x8.min_s(a0, a1)
  a0 = i16x8.max_s(a0, a1)
  a1 = b
  b = i16x8.min_s(a2, a3)
  a2 = i16x8.max_s(a2, a3)
  a3 = b
  b = i16x8.min_s(a4, a5)
  a4 = i16x8.max_s(a4, a5)
  a5 = b
  b = i16x8.min_s(a6, a7)
  a6 = i16x8.max_s(a6, a7)
  a7 = b
  v128.store(rows, a0)
  v128.store(rows, a1, 16)
  v128.store(rows, a2, 32)
  v128.store(rows, a3, 48)
  v128.store(rows, a4, 64)
  v128.store(rows, a5, 80)
  v128.store(rows, a6, 96)
  v128.store(rows, a7, 112)
}

/** Keys of 4, 8 or 16 rows. */
export function sortRows(rows: usize, count: i32): void {
  if (count == 4) return sortFour(rows)
  sortEight(rows)
  if (count == 8) return
  sortEight(rows + 128)
  for (let low: usize = 0; low < 128; low += 16) {
    const a = rows + low
    const b = rows + 240 - low
    const x = v128.load(a)
    const y = v128.load(b)
    v128.store(a, i16x8.max_s(x, y))
    v128.store(b, i16x8.min_s(x, y))
  }
  mergeEight(rows)
  mergeEight(rows + 128)
}
