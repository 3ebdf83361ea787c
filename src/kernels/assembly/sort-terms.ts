/**
 * Rows of terms sorted by magnitude, the greatest first: two columns at a time, by networks that compare the same pairs
 * whatever they hold. The sign rides in the last place, which a product of two f32 has no use for.
 */

@inline
function sortable(term: v128): v128 {
  return v128.or(f64x2.abs(term), i64x2.shr_u(term, 63))
}

/** A term as it was before it was sorted. */
@inline
export function termOf(sorted: v128): v128 {
  return v128.xor(v128.and(sorted, i64x2.splat(-2)), i64x2.shl(sorted, 63))
}

/** Four rows. */
@inline
function sortFour(rows: usize): void {
  let a0 = sortable(v128.load(rows))
  let a1 = sortable(v128.load(rows, 64))
  let a2 = sortable(v128.load(rows, 128))
  let a3 = sortable(v128.load(rows, 192))
  let b = a0
  b = f64x2.pmin(a0, a1)
  a0 = f64x2.pmax(a0, a1)
  a1 = b
  b = f64x2.pmin(a2, a3)
  a2 = f64x2.pmax(a2, a3)
  a3 = b
  b = f64x2.pmin(a0, a2)
  a0 = f64x2.pmax(a0, a2)
  a2 = b
  b = f64x2.pmin(a1, a3)
  a1 = f64x2.pmax(a1, a3)
  a3 = b
  b = f64x2.pmin(a1, a2)
  a1 = f64x2.pmax(a1, a2)
  a2 = b
  v128.store(rows, a0)
  v128.store(rows, a1, 64)
  v128.store(rows, a2, 128)
  v128.store(rows, a3, 192)
}

/** Eight rows. */
@inline
function sortEight(rows: usize): void {
  let a0 = sortable(v128.load(rows))
  let a1 = sortable(v128.load(rows, 64))
  let a2 = sortable(v128.load(rows, 128))
  let a3 = sortable(v128.load(rows, 192))
  let a4 = sortable(v128.load(rows, 256))
  let a5 = sortable(v128.load(rows, 320))
  let a6 = sortable(v128.load(rows, 384))
  let a7 = sortable(v128.load(rows, 448))
  let b = a0
  b = f64x2.pmin(a0, a2)
  a0 = f64x2.pmax(a0, a2)
  a2 = b
  b = f64x2.pmin(a1, a3)
  a1 = f64x2.pmax(a1, a3)
  a3 = b
  b = f64x2.pmin(a4, a6)
  a4 = f64x2.pmax(a4, a6)
  a6 = b
  b = f64x2.pmin(a5, a7)
  a5 = f64x2.pmax(a5, a7)
  a7 = b
  b = f64x2.pmin(a0, a4)
  a0 = f64x2.pmax(a0, a4)
  a4 = b
  b = f64x2.pmin(a1, a5)
  a1 = f64x2.pmax(a1, a5)
  a5 = b
  b = f64x2.pmin(a2, a6)
  a2 = f64x2.pmax(a2, a6)
  a6 = b
  b = f64x2.pmin(a3, a7)
  a3 = f64x2.pmax(a3, a7)
  a7 = b
  b = f64x2.pmin(a0, a1)
  a0 = f64x2.pmax(a0, a1)
  a1 = b
  b = f64x2.pmin(a2, a3)
  a2 = f64x2.pmax(a2, a3)
  a3 = b
  b = f64x2.pmin(a4, a5)
  a4 = f64x2.pmax(a4, a5)
  a5 = b
  b = f64x2.pmin(a6, a7)
  a6 = f64x2.pmax(a6, a7)
  a7 = b
  b = f64x2.pmin(a2, a4)
  a2 = f64x2.pmax(a2, a4)
  a4 = b
  b = f64x2.pmin(a3, a5)
  a3 = f64x2.pmax(a3, a5)
  a5 = b
  b = f64x2.pmin(a1, a4)
  a1 = f64x2.pmax(a1, a4)
  a4 = b
  b = f64x2.pmin(a3, a6)
  a3 = f64x2.pmax(a3, a6)
  a6 = b
  b = f64x2.pmin(a1, a2)
  a1 = f64x2.pmax(a1, a2)
  a2 = b
  b = f64x2.pmin(a3, a4)
  a3 = f64x2.pmax(a3, a4)
  a4 = b
  b = f64x2.pmin(a5, a6)
  a5 = f64x2.pmax(a5, a6)
  a6 = b
  v128.store(rows, a0)
  v128.store(rows, a1, 64)
  v128.store(rows, a2, 128)
  v128.store(rows, a3, 192)
  v128.store(rows, a4, 256)
  v128.store(rows, a5, 320)
  v128.store(rows, a6, 384)
  v128.store(rows, a7, 448)
}

/** Eight rows that rise and then fall, or begin so elsewhere. */
@inline
function mergeEight(rows: usize): void {
  let a0 = v128.load(rows)
  let a1 = v128.load(rows, 64)
  let a2 = v128.load(rows, 128)
  let a3 = v128.load(rows, 192)
  let a4 = v128.load(rows, 256)
  let a5 = v128.load(rows, 320)
  let a6 = v128.load(rows, 384)
  let a7 = v128.load(rows, 448)
  let b = a0
  b = f64x2.pmin(a0, a4)
  a0 = f64x2.pmax(a0, a4)
  a4 = b
  b = f64x2.pmin(a1, a5)
  a1 = f64x2.pmax(a1, a5)
  a5 = b
  b = f64x2.pmin(a2, a6)
  a2 = f64x2.pmax(a2, a6)
  a6 = b
  b = f64x2.pmin(a3, a7)
  a3 = f64x2.pmax(a3, a7)
  a7 = b
  b = f64x2.pmin(a0, a2)
  a0 = f64x2.pmax(a0, a2)
  a2 = b
  b = f64x2.pmin(a1, a3)
  a1 = f64x2.pmax(a1, a3)
  a3 = b
  b = f64x2.pmin(a4, a6)
  a4 = f64x2.pmax(a4, a6)
  a6 = b
  b = f64x2.pmin(a5, a7)
  a5 = f64x2.pmax(a5, a7)
  a7 = b
  b = f64x2.pmin(a0, a1)
  a0 = f64x2.pmax(a0, a1)
  a1 = b
  b = f64x2.pmin(a2, a3)
  a2 = f64x2.pmax(a2, a3)
  a3 = b
  b = f64x2.pmin(a4, a5)
  a4 = f64x2.pmax(a4, a5)
  a5 = b
  b = f64x2.pmin(a6, a7)
  a6 = f64x2.pmax(a6, a7)
  a7 = b
  v128.store(rows, a0)
  v128.store(rows, a1, 64)
  v128.store(rows, a2, 128)
  v128.store(rows, a3, 192)
  v128.store(rows, a4, 256)
  v128.store(rows, a5, 320)
  v128.store(rows, a6, 384)
  v128.store(rows, a7, 448)
}

/** Rows of eight columns, 64 bytes apart: 4, 8 or 16 of them. */
export function sortRows(rows: usize, count: i32): void {
  for (let at = rows; at < rows + 64; at += 16) {
    if (count == 4) sortFour(at)
    else sortEight(at)
    if (count != 16) continue
    sortEight(at + 512)
    for (let low: usize = 0; low < 512; low += 64) {
      const a = at + low
      const b = at + 960 - low
      const x = v128.load(a)
      const y = v128.load(b)
      v128.store(a, f64x2.pmax(x, y))
      v128.store(b, f64x2.pmin(x, y))
    }
    mergeEight(at)
    mergeEight(at + 512)
  }
}
