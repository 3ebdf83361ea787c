/** How many elements of a file are NaN or infinite: those whose exponent has all its bits. */

/** Rounds of lanes of 16 bits that can be counted before a lane would be full. */
const ROUNDS: i32 = 16384

export function countNotFinite16(from: usize, n: i32, mask: i32): i32 {
  const exponent = i16x8.splat(<i16>mask)
  let count = 0
  let left = n
  while (left >= 8) {
    let lanes = i16x8.splat(0)
    for (let rounds = min(left >> 3, ROUNDS); rounds > 0; rounds--) {
      lanes = i16x8.sub(lanes, i16x8.eq(v128.and(v128.load(from), exponent), exponent))
      from += 16
      left -= 8
    }
    const sums = i32x4.extadd_pairwise_i16x8_s(lanes)
    count += i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1)
    count += i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3)
  }
  for (; left > 0; left--) {
    if ((<i32>load<u16>(from) & mask) == mask) count++
    from += 2
  }
  return count
}

export function countNotFinite32(from: usize, n: i32, mask: i32): i32 {
  const exponent = i32x4.splat(mask)
  let lanes = i32x4.splat(0)
  let left = n
  for (; left >= 4; left -= 4) {
    lanes = i32x4.sub(lanes, i32x4.eq(v128.and(v128.load(from), exponent), exponent))
    from += 16
  }
  let count = i32x4.extract_lane(lanes, 0) + i32x4.extract_lane(lanes, 1)
  count += i32x4.extract_lane(lanes, 2) + i32x4.extract_lane(lanes, 3)
  for (; left > 0; left--) {
    if ((load<i32>(from) & mask) == mask) count++
    from += 4
  }
  return count
}
