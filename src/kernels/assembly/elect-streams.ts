/**
 * What three streams of bf16 elect of their changes to a base, added to that and rounded to bf16, from bytes to bytes: changes,
 * what a cutoff or a mask leaves of them, and the vote stay where they are, of even elements and of odd ones. All is in f32, and
 * taken where the exact result lies far enough from the middle of two codes; other elements are made the exact way, side by side.
 */
import { areFinite, isPlain } from './code-spans'
import { exactly } from './elect-onto'
import { codes, gatheredBase, gatheredPlanes, MOST, RESTING, scatter, sources } from './unsure'

/** Elements of as many as are listed together; whole strips, of which there may be fewer. */
@inline const CHUNK: i32 = 2048
@inline const STRIP: i32 = 512

@inline const TRIM: i32 = 1
@inline const PICK: i32 = 2
/** Words of the step: where its arguments begin, and those of each stream. */
@inline const ARGS: usize = 20
@inline const BASE: usize = 40
@inline const STREAMS: usize = 48
@inline const STREAM_BYTES: usize = 16

/** Rows loaded where they are used, for the compiler makes a constant again in every turn of a loop. */
const rows: usize = memory.data(16 * 18, 16)
@inline
function row(place: usize): v128 {
  return v128.load(rows + 16 * place)
}
@inline
function setRow(place: usize, bits: i32): void {
  v128.store(rows + 16 * place, i32x4.splat(bits))
}
/** Places of rows: of every step, then cutoffs of three, keys of three, factors of three, weights of three, and the plan. */
@inline const UPPER: usize = 0
@inline const SIZE: usize = 1
@inline const SIGN: usize = 2
@inline const HALF: usize = 3
@inline const CUT: usize = 4
@inline const KEY: usize = 7
@inline const FACTOR: usize = 10
@inline const WEIGHT: usize = 13
@inline const SHARE: usize = 16
@inline const LEAST: usize = 17
setRow(UPPER, 0xffff0000)
setRow(SIZE, 0x7fffffff)
setRow(SIGN, 0x80000000)
setRow(HALF, 0x8000)

/** Bits of a mask: of even elements of an eight, and of odd ones, four eights to a word. */
const evens: usize = memory.data(64, 16)
const odds: usize = memory.data(64, 16)
for (let i: usize = 0; i < 16; i++) {
  store<u32>(evens + 4 * i, 1 << (2 * <u32>i))
  store<u32>(odds + 4 * i, 2 << (2 * <u32>i))
}

/** Eights of which some are not shown, each with two bits for every element. */
const places: usize = memory.data(4 * 257, 16)
/** Where the three streams lie, and their masks. */
const streams: usize = memory.data(12, 16)
const masks: usize = memory.data(12, 16)

/** What is left of four changes, by its factor. */
@inline
function termOf(mode: i32, i: usize, change: v128, word: v128, bits: usize): v128 {
  if (mode == TRIM) change = v128.and(change, i32x4.gt_s(v128.and(change, row(SIZE)), row(CUT + i)))
  if (mode == PICK) {
    const own = v128.load(bits)
    change = v128.and(change, i32x4.eq(v128.and(word, own), own))
  }
  return f32x4.mul(change, row(FACTOR + i))
}

/** Of four changes: those of which the size is the key, as −1. */
@inline
function ties(i: usize, change: v128): v128 {
  return i32x4.eq(v128.and(change, row(SIZE)), row(KEY + i))
}

@inline
function positive(values: v128): v128 {
  return f32x4.pmax(i32x4.splat(0), values)
}
@inline
function weighed(values: v128, i: usize): v128 {
  return v128.and(f32x4.gt(values, i32x4.splat(0)), row(WEIGHT + i))
}

/** The side that won, of terms that are turned so that it is above zero. */
@inline
function sideOf(u: v128, v: v128, w: v128): v128 {
  return f32x4.add(f32x4.add(positive(u), positive(v)), positive(w))
}
@inline
function resultOf(divides: bool, base: v128, side: v128, flip: v128, u: v128, v: v128, w: v128): v128 {
  if (divides) {
    const weight = f32x4.add(f32x4.add(weighed(u, 0), weighed(v, 1)), weighed(w, 2))
    side = f32x4.div(side, f32x4.pmax(weight, row(LEAST))) // where nobody is in the camp, 0 is divided
  }
  return f32x4.add(base, v128.xor(side, flip))
}

/**
 * Whether neither the vote nor the result can be on the other side: of zero, or of the middle of two codes. A vote that is no
 * number stays one.
 */
@inline
function isShown(side: v128, vote: v128, flip: v128, result: v128): v128 {
  const middle = v128.or(v128.and(result, row(UPPER)), row(HALF))
  const room = f32x4.pmin(v128.xor(vote, flip), f32x4.abs(f32x4.sub(result, middle)))
  return f32x4.ge(room, f32x4.mul(side, row(SHARE)))
}

let end: usize = 0
let greatest: v128 = i32x4.splat(0)
/** Elements of the size of a key, of each stream. */
let tiesX: v128 = i32x4.splat(0)
let tiesY: v128 = i32x4.splat(0)
let tiesZ: v128 = i32x4.splat(0)

/** Eights of elements; what is not shown is listed. */
@inline
function open(mode: i32, counts: bool, divides: bool, base: usize, out: usize, n: i32): void {
  const px = <usize>load<u32>(streams)
  const py = <usize>load<u32>(streams, 4)
  const pz = <usize>load<u32>(streams, 8)
  const mx = <usize>load<u32>(masks)
  const my = <usize>load<u32>(masks, 4)
  const mz = <usize>load<u32>(masks, 8)
  let next = places
  let most = i32x4.splat(0)
  let nx = i32x4.splat(0)
  let ny = i32x4.splat(0)
  let nz = i32x4.splat(0)
  for (let at: usize = 0; at < <usize>n << 1; at += 16) {
    let word = i32x4.splat(0)
    let own: usize = 0
    const word4 = (at >> 4) & ~3
    const b = v128.load(base + at)
    const x = v128.load(px + at)
    const y = v128.load(py + at)
    const z = v128.load(pz + at)
    const b0 = i32x4.shl(b, 16)
    const b1 = v128.and(b, row(UPPER))
    const dx0 = f32x4.sub(i32x4.shl(x, 16), b0)
    const dy0 = f32x4.sub(i32x4.shl(y, 16), b0)
    const dz0 = f32x4.sub(i32x4.shl(z, 16), b0)
    const dx1 = f32x4.sub(v128.and(x, row(UPPER)), b1)
    const dy1 = f32x4.sub(v128.and(y, row(UPPER)), b1)
    const dz1 = f32x4.sub(v128.and(z, row(UPPER)), b1)
    if (counts) {
      nx = i32x4.sub(i32x4.sub(nx, ties(0, dx0)), ties(0, dx1))
      ny = i32x4.sub(i32x4.sub(ny, ties(1, dy0)), ties(1, dy1))
      nz = i32x4.sub(i32x4.sub(nz, ties(2, dz0)), ties(2, dz1))
    }
    if (mode == PICK) {
      own = at & 48
      word = v128.load_splat<u32>(mx + word4)
    }
    const x0 = termOf(mode, 0, dx0, word, evens + own)
    const x1 = termOf(mode, 0, dx1, word, odds + own)
    if (mode == PICK) word = v128.load_splat<u32>(my + word4)
    const y0 = termOf(mode, 1, dy0, word, evens + own)
    const y1 = termOf(mode, 1, dy1, word, odds + own)
    if (mode == PICK) word = v128.load_splat<u32>(mz + word4)
    const z0 = termOf(mode, 2, dz0, word, evens + own)
    const z1 = termOf(mode, 2, dz1, word, odds + own)

    const vote0 = f32x4.add(f32x4.add(x0, y0), z0)
    const flip0 = v128.and(vote0, row(SIGN))
    const u0 = v128.xor(x0, flip0)
    const v0 = v128.xor(y0, flip0)
    const w0 = v128.xor(z0, flip0)
    const side0 = sideOf(u0, v0, w0)
    const result0 = resultOf(divides, b0, side0, flip0, u0, v0, w0)
    const shown0 = isShown(side0, vote0, flip0, result0)

    const vote1 = f32x4.add(f32x4.add(x1, y1), z1)
    const flip1 = v128.and(vote1, row(SIGN))
    const u1 = v128.xor(x1, flip1)
    const v1 = v128.xor(y1, flip1)
    const w1 = v128.xor(z1, flip1)
    const side1 = sideOf(u1, v1, w1)
    const result1 = resultOf(divides, b1, side1, flip1, u1, v1, w1)
    const shown1 = isShown(side1, vote1, flip1, result1)

    // of even elements the code goes to the lower half of a word
    const even = i32x4.shr_u(i32x4.add(result0, row(HALF)), 16)
    const own16 = v128.shuffle<i16>(even, i32x4.add(result1, row(HALF)), 0, 9, 2, 11, 4, 13, 6, 15)
    most = i16x8.max_u(most, i16x8.shl(own16, 1))
    v128.store(out + at, own16)
    const bits = i8x16.bitmask(v128.shuffle<i16>(shown0, shown1, 0, 9, 2, 11, 4, 13, 6, 15)) ^ 0xffff
    // which ones they are no processor foresees: so without a branch
    store<u32>(next, (<u32>at << 16) | bits)
    next += <usize>(bits != 0) << 2
  }
  end = next
  greatest = most
  tiesX = nx
  tiesY = ny
  tiesZ = nz
}

@inline
function openAny(mode: i32, counts: bool, divides: bool, base: usize, out: usize, n: i32): void {
  if (divides) open(mode, counts, true, base, out, n)
  else open(mode, counts, false, base, out, n)
}

@inline
function codeAt(from: usize): f32 {
  return reinterpret<f32>(<u32>load<u16>(from) << 16)
}

/** What is left of one change. */
@inline
function left(mode: i32, i: usize, at: usize, base: f32): u32 {
  const change = reinterpret<u32>(codeAt(<usize>load<u32>(streams + 4 * i) + at) - base)
  if (mode == TRIM) return <i32>(change & 0x7fffffff) > load<i32>(rows + 16 * (CUT + i)) ? change : 0
  if (mode == PICK) {
    const mask = <usize>load<u32>(masks + 4 * i)
    return (load<u8>(mask + (at >> 4)) >> <u8>((at >> 1) & 7)) & 1 ? change : 0
  }
  return change
}

/** Of planes that are gathered: a row of four less than a strip, for one of zeros follows. */
@inline const MOST_BYTES: usize = 4 * 508

/** The elements that are listed, as planes; −1 where they are too many. */
@inline
function gather(mode: i32, base: usize): i32 {
  let next: usize = 0
  for (let place = places; place < end; place += 4) {
    const eight = load<u32>(place)
    for (let bits = eight & 0x5555; bits != 0; bits &= bits - 1) {
      if (next == MOST_BYTES) return -1
      const at = <usize>((eight >> 16) + ctz(bits))
      const value = codeAt(base + at)
      store<f32>(gatheredBase + next, value)
      for (let i: usize = 0; i < 3; i++) store<u32>(<usize>load<u32>(gatheredPlanes + 4 * i) + next, left(mode, i, at, value))
      store<u32>(sources + next, <u32>at << 1)
      next += 4
    }
  }
  for (let i: usize = 0; i < 3; i++) v128.store(<usize>load<u32>(gatheredPlanes + 4 * i) + next, i32x4.splat(0))
  v128.store(gatheredBase + next, i32x4.splat(0))
  return <i32>(next >> 2)
}

@inline
function total(counts: v128): f64 {
  const two = i64x2.add(i64x2.extend_low_i32x4_s(counts), i64x2.extend_high_i32x4_s(counts))
  return <f64>(i64x2.extract_lane(two, 0) + i64x2.extract_lane(two, 1))
}

let isCounting: bool = false

/** Cutoffs for the elements from `first` on; answers for how many, in whole strips, they are. */
@inline
function setCuts(pc: usize, first: f64, n: i32): i32 {
  isCounting = false
  for (let i: usize = 0; i < 3; i++) {
    const own = pc + STREAMS + STREAM_BYTES * i
    const key = load<i32>(own, 4)
    const state = <usize>load<u32>(own, 12)
    let cut = key
    if (state != 0 && load<f64>(state) > 0) {
      isCounting = true
      cut = key - 1
    } else {
      const last = state != 0 ? load<f64>(state, 8) : load<f64>(<usize>load<u32>(own, 8))
      const ties = <i32>max<f64>(0, min<f64>(n, last - first + 1))
      if (ties > 0) {
        cut = key - 1
        n = min(n, ties & ~(STRIP - 1))
      }
    }
    setRow(CUT + i, cut)
    setRow(KEY + i, key)
  }
  return n
}

/** False where the last tie of a stream is among these elements; else the ties are taken from those still to come. */
@inline
function takeTies(pc: usize): bool {
  for (let turn = 0; turn < 2; turn++)
    for (let i: usize = 0; i < 3; i++) {
      const state = <usize>load<u32>(pc + STREAMS + STREAM_BYTES * i, 12)
      if (state == 0 || load<f64>(state) <= 0) continue
      const here = total(i == 0 ? tiesX : i == 1 ? tiesY : tiesZ)
      if (turn == 0 && here >= load<f64>(state)) return false
      if (turn == 1) store<f64>(state, load<f64>(state) - here)
    }
  return true
}

let resting: i32 = 0

/**
 * Elements from `first` on, at most n, which lie from `at` on in the streams of `table`. Answers how many were made, in whole
 * strips; none where much is not shown, or something is not finite: then the steps that this one stands for say it.
 */
export function electStreams(pc: usize, table: usize, out: usize, first: f64, at: i32, n: i32): i32 {
  n = min(n, CHUNK) & ~(STRIP - 1)
  if (n == 0) return 0
  if (resting > 0) {
    resting--
    return 0
  }
  const from = <usize>at << 1
  const mode = load<i32>(pc, 8)
  const plan = <usize>load<u32>(pc, 4)
  const base = <usize>load<u32>(table + 4 * <usize>load<u32>(pc, BASE)) + from
  for (let i: usize = 0; i < 3; i++) {
    const own = pc + STREAMS + STREAM_BYTES * i
    store<u32>(streams + 4 * i, load<u32>(table + 4 * <usize>load<u32>(own)) + <u32>from)
    if (mode == PICK) store<u32>(masks + 4 * i, load<u32>(table + 4 * <usize>load<u32>(own, 4)) + <u32>(at >> 3))
    setRow(FACTOR + i, load<i32>(plan + 4 * i, 8))
    setRow(WEIGHT + i, load<i32>(plan + 4 * i, 20))
  }
  setRow(SHARE, load<i32>(plan))
  setRow(LEAST, load<i32>(plan, 4))
  if (mode == TRIM) n = setCuts(pc, first, n)
  if (n == 0) return 0
  // a cutoff below infinity leaves what is not finite, and the vote tells
  if (load<i32>(pc, 44) == 0 && !isPlain(base, streams, n)) return rest()
  // of what a mask leaves out, nothing else would tell
  if (mode == PICK && !areFinite(streams, n)) return 0
  const divides = load<u32>(pc + ARGS, 8) != 0
  out += from
  if (mode == PICK) openAny(PICK, false, divides, base, out, n)
  else if (mode != TRIM) openAny(0, false, divides, base, out, n)
  else if (isCounting) openAny(TRIM, true, divides, base, out, n)
  else openAny(TRIM, false, divides, base, out, n)
  if (v128.any_true(i16x8.ge_u(greatest, i16x8.splat(MOST)))) return rest()
  if (end != places) {
    const count = mode == PICK ? gather(PICK, base) : mode == TRIM ? gather(TRIM, base) : gather(0, base)
    if (count < 0) return rest()
    if (!exactly(gatheredPlanes, pc + ARGS, gatheredBase, <usize>load<u32>(pc, 12), codes, count)) return 0
    scatter(out, count)
  }
  return mode == TRIM && isCounting && !takeTies(pc) ? 0 : n
}

function rest(): i32 {
  resting = RESTING
  return 0
}
