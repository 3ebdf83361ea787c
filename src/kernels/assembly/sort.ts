/** Each element's values ascending over the planes, −0 before +0. */

/** Sorts two elements at a time in a column of k vectors. False, with nothing written further, at the first NaN. */
export function sort(planes: usize, outs: usize, k: i32, column: usize, n: i32): i32 {
  for (let i = 0; i < n; i += 2) {
    const at = <usize>i << 3
    const whole = i + 1 < n
    let odd = f64x2.splat(0)
    for (let rank = 0; rank < k; rank++) {
      const from = <usize>load<u32>(planes + (<usize>rank << 2)) + at
      let value = whole ? v128.load(from) : v128.load_zero<u64>(from)
      odd = v128.or(odd, f64x2.ne(value, value))
      for (let place = 0; place < rank; place++) {
        const cell = column + (<usize>place << 4)
        const other = v128.load(cell)
        v128.store(cell, f64x2.min(other, value)) // of the two zeros, −0 is the lesser here
        value = f64x2.max(other, value)
      }
      v128.store(column + (<usize>rank << 4), value)
    }
    if (v128.any_true(odd)) return i
    for (let rank = 0; rank < k; rank++) {
      const to = <usize>load<u32>(outs + (<usize>rank << 2)) + at
      const value = v128.load(column + (<usize>rank << 4))
      if (whole) v128.store(to, value)
      else v128.store_lane<u64>(to, value, 0)
    }
  }
  return n
}
