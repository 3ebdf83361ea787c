/**
 * Averages of eight bf16 elements of few inputs whose weights are small whole numbers times a power of two, whatever the
 * scales: codes are sorted as they are, or doubled, and those of a weight like 3 twice. Added from the greatest down, elements of 8 bits lose nothing as long as anything of the sum can still cancel.
 */
import { encodeQuotients } from './average-remainder'
import { besideMiddles, careA, careB } from './average-rounding'
import { lowTwo, highTwo, streamOf, upper, upperNext } from './codes'
import { encodeAnyEight } from './encode'
import { addThreeDown } from './levels'
import { isDivisorShort, rowCountOf, rowOf, rowScaleOf } from './plan'
import { sortedCount, sortRows } from './sort-keys'

/** Rows of eight codes, each turned left by one so that the sign is last. */
const ranks: usize = memory.data(32 * 16, 16)

/** 2⁻¹¹⁸, turned: of no smaller elements, no sum of f32 is subnormal, as is slow on many machines. */
@inline const TINY: i16 = 0x0900

/** 2¹²⁴, turned: no smaller element overflows for being doubled four times. */
@inline const LARGE: i16 = <i16>0xfb00

const MIXED: i32 = 0
const NORMAL: i32 = 1
const TOO_LARGE: i32 = 2

/** A code turned left, times two. */
@inline
function doubled(turned: v128): v128 {
  // a subnormal one is its fraction, and any other goes up one binade
  return i16x8.add(turned, i16x8.min_u(v128.and(turned, i16x8.splat(-2)), i16x8.splat(0x100)))
}

/** Answers whether none is tiny but zeros, or whether one is too large to be doubled, and then nothing is sorted. */
@inline
function sortCodes(table: usize, k: i32, plan: usize, at: usize): i32 {
  const two = i16x8.splat(2)
  let least = i16x8.splat(-1)
  let most = i16x8.splat(0)
  for (let i = 0; i < k; i++) {
    const row = rowOf(plan, i)
    const codes = v128.load(streamOf(table, row >> 5, at))
    let turned = v128.or(i16x8.shl(codes, 1), i16x8.shr_u(codes, 15))
    if ((row & 31) != 0) {
      most = i16x8.max_u(most, turned)
      for (let times = (row >> 1) & 15; times > 0; times--) turned = doubled(turned)
      turned = v128.xor(turned, i16x8.splat(<i16>(row & 1)))
    }
    least = i16x8.min_u(least, i16x8.sub(turned, two)) // a zero becomes one of the greatest
    v128.store(ranks + (<usize>i << 4), turned)
  }
  if (v128.any_true(i16x8.ge_u(most, i16x8.splat(LARGE)))) return TOO_LARGE
  const count = sortedCount(k)
  // as small as zeros, and so last
  for (let at = ranks + (<usize>k << 4); at < ranks + (<usize>count << 4); at += 16) v128.store(at, i16x8.splat(0))
  sortRows<u16>(ranks, count)
  return v128.any_true(i16x8.lt_u(least, i16x8.splat(TINY))) ? MIXED : NORMAL
}

@inline
function codesOf(rank: usize): v128 {
  const turned = v128.load(rank)
  return v128.or(i16x8.shr_u(turned, 1), i16x8.shl(turned, 15))
}

/** Whether results are most likely on middles, as those before them: then a way round their exact rounding is no way. */
let isTied: bool = false

/**
 * In f32, of whose 24 bits elements of 8 bits need as few: a lower part is right but for 2⁻¹⁹ of it. False where that does not
 * tell all codes, or a sum overflows.
 */
@inline
function descendInF32(k: i32, plan: usize, out: usize): bool {
  const end = ranks + (<usize>k << 4)
  let codes = codesOf(ranks)
  let g = upper(codes)
  let h = upperNext(codes)
  let l = f32x4.splat(0)
  let m = l
  for (let rank = ranks + 16; rank < end; rank += 16) {
    codes = codesOf(rank)
    const x = upper(codes)
    const y = upperNext(codes)
    const sumX = f32x4.add(g, x)
    const sumY = f32x4.add(h, y)
    l = f32x4.add(l, f32x4.sub(x, f32x4.sub(sumX, g)))
    m = f32x4.add(m, f32x4.sub(y, f32x4.sub(sumY, h)))
    g = sumX
    h = sumY
  }
  return encodeQuotients(g, l, h, m, plan, out)
}

/** What an addition to a sum loses, where the sum is greater, or no more than a last place of the term can be lost. */
@inline
function leftOf(sum: v128, term: v128, next: v128): v128 {
  return f64x2.sub(term, f64x2.sub(next, sum))
}

/** Not zero where the lower part, right but for 2⁻⁴⁶ of it, does not tell how the sum is rounded. */
@inline
function inDoubt(high: v128, low: v128): v128 {
  const error = f64x2.mul(low, f64x2.splat(1.4210854715202004e-14))
  return f64x2.ne(f64x2.add(high, f64x2.add(low, error)), f64x2.add(high, f64x2.sub(low, error)))
}

/** 1 where all is done, −1 where a result, and so maybe an element, is not finite, 0 where a last place of a sum is in doubt and would matter. */
@inline
function descend(k: i32, scale: f64, divisor: f64, out: usize): i32 {
  const end = ranks + (<usize>k << 4)
  let codes = codesOf(ranks)
  let values = upper(codes)
  let h0 = lowTwo(values)
  let h1 = highTwo(values)
  values = upperNext(codes)
  let h2 = lowTwo(values)
  let h3 = highTwo(values)
  let l0 = f64x2.splat(0)
  let l1 = l0
  let l2 = l0
  let l3 = l0
  for (let rank = ranks + 16; rank < end; rank += 16) {
    codes = codesOf(rank)
    values = upper(codes)
    let x = lowTwo(values)
    let next = f64x2.add(h0, x)
    l0 = f64x2.add(l0, leftOf(h0, x, next))
    h0 = next
    x = highTwo(values)
    next = f64x2.add(h1, x)
    l1 = f64x2.add(l1, leftOf(h1, x, next))
    h1 = next
    values = upperNext(codes)
    x = lowTwo(values)
    next = f64x2.add(h2, x)
    l2 = f64x2.add(l2, leftOf(h2, x, next))
    h2 = next
    x = highTwo(values)
    next = f64x2.add(h3, x)
    l3 = f64x2.add(l3, leftOf(h3, x, next))
    h3 = next
  }
  const s0 = f64x2.add(h0, l0)
  const s1 = f64x2.add(h1, l1)
  const s2 = f64x2.add(h2, l2)
  const s3 = f64x2.add(h3, l3)
  const wereTied = isTied
  if (!wereTied) {
    isTied = !besideMiddles(s0, s1, s2, s3, scale / divisor, out)
    if (!isTied) return 1
  }
  const doubtA = v128.shuffle<i32>(inDoubt(h0, l0), inDoubt(h1, l1), 1, 3, 5, 7)
  const doubtB = v128.shuffle<i32>(inDoubt(h2, l2), inDoubt(h3, l3), 1, 3, 5, 7)
  if (v128.any_true(v128.or(doubtA, doubtB))) {
    if (wereTied) {
      isTied = !besideMiddles(s0, s1, s2, s3, scale / divisor, out)
      if (!isTied) return 1
    }
    if (v128.any_true(v128.or(v128.and(careA, doubtA), v128.and(careB, doubtB)))) return 0
  }
  return encoded(s0, s1, s2, s3, scale, divisor, out) ? 1 : -1
}

@inline
function encoded(s0: v128, s1: v128, s2: v128, s3: v128, scale: f64, divisor: f64, out: usize): bool {
  const times = f64x2.splat(scale)
  const by = f64x2.splat(divisor)
  const a = f64x2.div(f64x2.mul(s0, times), by)
  const b = f64x2.div(f64x2.mul(s1, times), by)
  const c = f64x2.div(f64x2.mul(s2, times), by)
  const d = f64x2.div(f64x2.mul(s3, times), by)
  return encodeAnyEight(true, a, b, c, d, out)
}

/** The same with a third part, which always tells how a sum is rounded. */
function descendFurther(k: i32, scale: f64, divisor: f64, out: usize): bool {
  const end = ranks + (<usize>k << 4)
  for (let part: usize = 0; part < 4; part++) {
    let h = f64x2.splat(0)
    let l = h
    let u = h
    for (let rank = ranks; rank < end; rank += 16) {
      const codes = codesOf(rank)
      const values = part < 2 ? upper(codes) : upperNext(codes)
      const x = (part & 1) === 0 ? lowTwo(values) : highTwo(values)
      const next = f64x2.add(h, x)
      const lost = leftOf(h, x, next)
      const lower = f64x2.add(l, lost)
      const rest = f64x2.add(u, leftOf(l, lost, lower))
      h = next
      l = f64x2.add(lower, rest)
      u = leftOf(lower, rest, l)
    }
    v128.store(sums + (part << 4), addThreeDown(h, l, u))
  }
  return encoded(v128.load(sums), v128.load(sums, 16), v128.load(sums, 32), v128.load(sums, 48), scale, divisor, out)
}
const sums: usize = memory.data(64, 16)

/** Eight elements: 1, or −1 where an input or a result is not finite, or 0 where one is too large for rows of its weight. */
export function averageSortedCodes(table: usize, divisor: f64, plan: usize, at: usize, out: usize): i32 {
  const k = rowCountOf(plan)
  const scale = rowScaleOf(plan)
  const kind = sortCodes(table, k, plan, at)
  if (kind == TOO_LARGE) return 0
  if (kind == NORMAL && isDivisorShort(plan)) {
    // what f32 did not tell is most likely followed by more of it
    if (resting > 0) resting--
    else if (descendInF32(k, plan, out)) return 1
    else resting = RESTING
  }
  const done = descend(k, scale, divisor, out)
  if (done != 0) return done
  return descendFurther(k, scale, divisor, out) ? 1 : -1
}

/** Eights for which f32 is not tried, after one that it did not tell. */
@inline const RESTING: i32 = 15
let resting: i32 = 0
