/** Rows of keys sorted, the greatest first, by networks that compare the same pairs whatever they hold. T is u16 or u32. */

/** Four rows. */
@inline
function sortFour<T>(rows: usize): void {
  let a0 = v128.load(rows)
  let a1 = v128.load(rows, 16)
  let a2 = v128.load(rows, 32)
  let a3 = v128.load(rows, 48)
  let b = a0
  b = v128.min<T>(a0, a1)
  a0 = v128.max<T>(a0, a1)
  a1 = b
  b = v128.min<T>(a2, a3)
  a2 = v128.max<T>(a2, a3)
  a3 = b
  b = v128.min<T>(a0, a2)
  a0 = v128.max<T>(a0, a2)
  a2 = b
  b = v128.min<T>(a1, a3)
  a1 = v128.max<T>(a1, a3)
  a3 = b
  b = v128.min<T>(a1, a2)
  a1 = v128.max<T>(a1, a2)
  a2 = b
  v128.store(rows, a0)
  v128.store(rows, a1, 16)
  v128.store(rows, a2, 32)
  v128.store(rows, a3, 48)
}

/** Eight rows. */
@inline
function sortEight<T>(rows: usize): void {
  let a0 = v128.load(rows)
  let a1 = v128.load(rows, 16)
  let a2 = v128.load(rows, 32)
  let a3 = v128.load(rows, 48)
  let a4 = v128.load(rows, 64)
  let a5 = v128.load(rows, 80)
  let a6 = v128.load(rows, 96)
  let a7 = v128.load(rows, 112)
  let b = a0
  b = v128.min<T>(a0, a2)
  a0 = v128.max<T>(a0, a2)
  a2 = b
  b = v128.min<T>(a1, a3)
  a1 = v128.max<T>(a1, a3)
  a3 = b
  b = v128.min<T>(a4, a6)
  a4 = v128.max<T>(a4, a6)
  a6 = b
  b = v128.min<T>(a5, a7)
  a5 = v128.max<T>(a5, a7)
  a7 = b
  b = v128.min<T>(a0, a4)
  a0 = v128.max<T>(a0, a4)
  a4 = b
  b = v128.min<T>(a1, a5)
  a1 = v128.max<T>(a1, a5)
  a5 = b
  b = v128.min<T>(a2, a6)
  a2 = v128.max<T>(a2, a6)
  a6 = b
  b = v128.min<T>(a3, a7)
  a3 = v128.max<T>(a3, a7)
  a7 = b
  b = v128.min<T>(a0, a1)
  a0 = v128.max<T>(a0, a1)
  a1 = b
  b = v128.min<T>(a2, a3)
  a2 = v128.max<T>(a2, a3)
  a3 = b
  b = v128.min<T>(a4, a5)
  a4 = v128.max<T>(a4, a5)
  a5 = b
  b = v128.min<T>(a6, a7)
  a6 = v128.max<T>(a6, a7)
  a7 = b
  b = v128.min<T>(a2, a4)
  a2 = v128.max<T>(a2, a4)
  a4 = b
  b = v128.min<T>(a3, a5)
  a3 = v128.max<T>(a3, a5)
  a5 = b
  b = v128.min<T>(a1, a4)
  a1 = v128.max<T>(a1, a4)
  a4 = b
  b = v128.min<T>(a3, a6)
  a3 = v128.max<T>(a3, a6)
  a6 = b
  b = v128.min<T>(a1, a2)
  a1 = v128.max<T>(a1, a2)
  a2 = b
  b = v128.min<T>(a3, a4)
  a3 = v128.max<T>(a3, a4)
  a4 = b
  b = v128.min<T>(a5, a6)
  a5 = v128.max<T>(a5, a6)
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
function mergeEight<T>(rows: usize): void {
  let a0 = v128.load(rows)
  let a1 = v128.load(rows, 16)
  let a2 = v128.load(rows, 32)
  let a3 = v128.load(rows, 48)
  let a4 = v128.load(rows, 64)
  let a5 = v128.load(rows, 80)
  let a6 = v128.load(rows, 96)
  let a7 = v128.load(rows, 112)
  let b = a0
  b = v128.min<T>(a0, a4)
  a0 = v128.max<T>(a0, a4)
  a4 = b
  b = v128.min<T>(a1, a5)
  a1 = v128.max<T>(a1, a5)
  a5 = b
  b = v128.min<T>(a2, a6)
  a2 = v128.max<T>(a2, a6)
  a6 = b
  b = v128.min<T>(a3, a7)
  a3 = v128.max<T>(a3, a7)
  a7 = b
  b = v128.min<T>(a0, a2)
  a0 = v128.max<T>(a0, a2)
  a2 = b
  b = v128.min<T>(a1, a3)
  a1 = v128.max<T>(a1, a3)
  a3 = b
  b = v128.min<T>(a4, a6)
  a4 = v128.max<T>(a4, a6)
  a6 = b
  b = v128.min<T>(a5, a7)
  a5 = v128.max<T>(a5, a7)
  a7 = b
  b = v128.min<T>(a0, a1)
  a0 = v128.max<T>(a0, a1)
  a1 = b
  b = v128.min<T>(a2, a3)
  a2 = v128.max<T>(a2, a3)
  a3 = b
  b = v128.min<T>(a4, a5)
  a4 = v128.max<T>(a4, a5)
  a5 = b
  b = v128.min<T>(a6, a7)
  a6 = v128.max<T>(a6, a7)
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

/** The greater of two rows go to the first of them. */
@inline
function compare<T>(a: usize, b: usize): void {
  const x = v128.load(a)
  const y = v128.load(b)
  v128.store(a, v128.max<T>(x, y))
  v128.store(b, v128.min<T>(x, y))
}

function sortSixteen<T>(rows: usize): void {
  sortEight<T>(rows)
  sortEight<T>(rows + 128)
  for (let low: usize = 0; low < 128; low += 16) compare<T>(rows + low, rows + 240 - low)
  mergeEight<T>(rows)
  mergeEight<T>(rows + 128)
}

function mergeSixteen<T>(rows: usize): void {
  for (let low: usize = 0; low < 128; low += 16) compare<T>(rows + low, rows + 128 + low)
  mergeEight<T>(rows)
  mergeEight<T>(rows + 128)
}

/** How many rows are sorted that are not fewer than k. */
@inline
export function sortedCount(k: i32): i32 {
  return k <= 4 ? 4 : (k + 7) & ~7
}

/** Keys of 4, 8, 16, 24 or 32 rows. */
export function sortRows<T>(rows: usize, count: i32): void {
  if (count == 4) return sortFour<T>(rows)
  if (count == 8) return sortEight<T>(rows)
  sortSixteen<T>(rows)
  if (count == 16) return
  if (count == 24) {
    // as if eight rows of the least followed
    sortEight<T>(rows + 256)
    for (let low: usize = 128; low < 256; low += 16) compare<T>(rows + low, rows + 496 - low)
    mergeSixteen<T>(rows)
    mergeEight<T>(rows + 256)
    return
  }
  sortSixteen<T>(rows + 256)
  for (let low: usize = 0; low < 256; low += 16) compare<T>(rows + low, rows + 496 - low)
  mergeSixteen<T>(rows)
  mergeSixteen<T>(rows + 256)
}
