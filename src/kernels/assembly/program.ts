/**
 * Runs a program of steps over strips so short that all planes stay in the nearest cache. A program is a row of 32-bit
 * words: for each step its word, then its operands; planes, tables and numbers are given by their addresses.
 */
import { binary, choose, OVER, unary } from './element-wise'
import { readChange, sumChanges } from './changes'
import { greatest, laneSum, narrowDots, narrowSum, strip } from './block-sums'
import { draw, drop, pick } from './drop'
import { elect } from './elect'
import { electOnto } from './elect-onto'
import { electOntoF32 } from './elect-onto-f32'
import { electStreams } from './elect-streams'
import { scaled, scaledPair, weightedSum } from './exact'
import { pack, packFour, pairSums } from './gram'
import { bracket, change, narrow, nth, scale, trim, widen } from './narrow'
import { BF16, clearRest, elementsOf, F16, read, readNarrow, write } from './program-streams'
import { keep } from './random'
import { aboveCutoff, histogram } from './selection'
import { sort } from './sort'
import { sumOnto } from './sum-onto'
import { votes } from './votes'

/** Elements of one strip: whole rows of every kernel. */
@inline const STRIP: i32 = 512
/** Elements of one block of the fixed-lane sums. */
@inline const BLOCK: i32 = 4096

@inline const READ: i32 = 1
@inline const WRITE: i32 = 2
@inline const BINARY: i32 = 3
@inline const UNARY: i32 = 4
@inline const CHOOSE: i32 = 5
@inline const KEEP: i32 = 6
@inline const ABOVE_CUTOFF: i32 = 7
@inline const SCALED: i32 = 8
@inline const SCALED_PAIR: i32 = 9
@inline const WEIGHTED_SUM: i32 = 10
@inline const SORT: i32 = 11
@inline const FINITE: i32 = 12
@inline const SUM: i32 = 13
@inline const GREATEST: i32 = 14
@inline const HISTOGRAM: i32 = 15
@inline const READ_NARROW: i32 = 16
@inline const WIDEN: i32 = 17
@inline const CHANGE: i32 = 18
@inline const TRIM: i32 = 19
@inline const DROP: i32 = 20
@inline const HISTOGRAM_NARROW: i32 = 21
@inline const VOTES: i32 = 22
@inline const NARROW: i32 = 23
@inline const SCALE: i32 = 24
@inline const NTH: i32 = 25
@inline const PAIR_SUMS: i32 = 26
@inline const ELECT: i32 = 27
@inline const TRIM_IN_TURN: i32 = 28
@inline const SUM_NARROW: i32 = 29
@inline const DOTS_NARROW: i32 = 30
@inline const DRAW: i32 = 31
@inline const PICK: i32 = 32
@inline const READ_PACKED: i32 = 33
@inline const ELECT_ONTO: i32 = 34
@inline const ELECT_ONTO_F32: i32 = 35
@inline const READ_CHANGE: i32 = 36
@inline const SUM_CHANGES: i32 = 37
@inline const SUM_ONTO: i32 = 38
@inline const ELECT_STREAMS: i32 = 39

@inline
function word(pc: usize, i: usize): i32 {
  return load<i32>(pc + (i << 2))
}
@inline
function address(pc: usize, i: usize): usize {
  return <usize>load<u32>(pc + (i << 2))
}
@inline
function number(pc: usize, i: usize): f64 {
  return load<f64>(address(pc, i))
}

/** Of the elements from `first` on, how many lie up to `last`. */
@inline
function upTo(last: f64, first: f64, n: i32): i32 {
  return <i32>max<f64>(0, min<f64>(n, last - first + 1))
}

/** A strip on its way to where pairs of planes are summed. */
const unpacked: usize = memory.data(8 * STRIP, 16)

/** Planes to where their pairs are summed; `table`: of each its dtype and its stream. */
function readPacked(table: usize, k: i32, streams: usize, area: usize, at: i32, n: i32): bool {
  for (let i = 0; i < k; i++) {
    const own = table + (<usize>i << 3)
    const dtype = word(own, 0)
    const alike = i + 4 <= k && word(own, 2) == dtype && word(own, 4) == dtype && word(own, 6) == dtype
    if ((i & 3) == 0 && (n & 7) == 0 && dtype != F16 && alike) {
      const from = <usize>at << (dtype == BF16 ? 1 : 2)
      const a = address(streams, word(own, 1)) + from
      const b = address(streams, word(own, 3)) + from
      const c = address(streams, word(own, 5)) + from
      const d = address(streams, word(own, 7)) + from
      packFour(dtype != BF16, a, b, c, d, area, i, n)
      i += 3
    } else {
      if (!read(dtype, address(streams, word(own, 1)), unpacked, at, n)) return false
      pack(unpacked, area, i, n)
    }
  }
  return true
}

/** Elements first … first + count − 1; answers false where something is not finite. */
export function runProgram(code: usize, streams: usize, out: usize, first: f64, count: i32): bool {
  for (let at = 0; at < count; at += STRIP) {
    let pc = code
    if (word(code, 0) == ELECT_STREAMS) {
      const made = electStreams(code, streams, out, first + at, at, count - at)
      if (made > 0) {
        at += made - STRIP
        continue
      }
      pc += 96
    }
    const n = min(STRIP, count - at)
    const ends = at + n == count || ((at + n) & (BLOCK - 1)) == 0
    for (;;) {
      const op = word(pc, 0)
      if (op == 0) break
      switch (op) {
        case READ: {
          if (!read(word(pc, 1), address(streams, word(pc, 2)), address(pc, 3), at, n)) return false
          pc += 16
          break
        }
        case WRITE: {
          if (!write(word(pc, 1), address(pc, 2), out, at, n)) return false
          pc += 12
          break
        }
        case BINARY: {
          binary(word(pc, 1), address(pc, 2), address(pc, 3), address(pc, 4), n)
          pc += 20
          break
        }
        case UNARY: {
          unary(word(pc, 1), address(pc, 2), address(pc, 3), n)
          pc += 16
          break
        }
        case CHOOSE: {
          choose(address(pc, 1), address(pc, 2), address(pc, 3), address(pc, 4), n)
          pc += 20
          break
        }
        case KEEP: {
          keep(word(pc, 1), word(pc, 2), first + at, address(pc, 3), address(pc, 4), n)
          pc += 20
          break
        }
        case ABOVE_CUTOFF: {
          aboveCutoff(address(pc, 1), word(pc, 2), upTo(number(pc, 3), first + at, n), address(pc, 4), n)
          pc += 20
          break
        }
        case SCALED: {
          scaled(address(pc, 1), number(pc, 2), address(pc, 3), n)
          pc += 16
          break
        }
        case SCALED_PAIR: {
          scaledPair(address(pc, 1), address(pc, 2), number(pc, 3), number(pc, 4), address(pc, 5), n)
          pc += 24
          break
        }
        case WEIGHTED_SUM: {
          weightedSum(address(pc, 1), address(pc, 2), word(pc, 3), address(pc, 4), n)
          pc += 20
          break
        }
        case SORT: {
          if (sort(address(pc, 1), address(pc, 2), word(pc, 3), address(pc, 4), n) < n) return false
          pc += 20
          break
        }
        case FINITE: {
          const sum = strip(address(pc, 1), n)
          if (sum - sum != 0) return false
          pc += 8
          break
        }
        case SUM: {
          laneSum(word(pc, 1), address(pc, 2), address(pc, 3), address(pc, 4), n, ends)
          pc += 20
          break
        }
        case GREATEST: {
          if (!greatest(address(pc, 1), address(pc, 2), n)) return false
          pc += 12
          break
        }
        case HISTOGRAM: {
          histogram(address(pc, 1), word(pc, 2), word(pc, 3), word(pc, 4), address(pc, 5), n)
          pc += 24
          break
        }
        case READ_NARROW: {
          if (!readNarrow(word(pc, 1), address(streams, word(pc, 2)), address(pc, 3), at, n)) return false
          pc += 16
          break
        }
        case WIDEN: {
          widen(address(pc, 1), address(pc, 2), n)
          pc += 12
          break
        }
        case CHANGE: {
          change(address(pc, 1), address(pc, 2), address(pc, 3), n)
          pc += 16
          break
        }
        case TRIM: {
          trim(address(pc, 1), word(pc, 2), upTo(number(pc, 3), first + at, n), address(pc, 4), n)
          pc += 20
          break
        }
        case DROP: {
          drop(word(pc, 1), word(pc, 2), first + at, word(pc, 3), address(pc, 4), address(pc, 5), n)
          pc += 24
          break
        }
        case HISTOGRAM_NARROW: {
          bracket(address(pc, 1), word(pc, 2), word(pc, 3), word(pc, 4), address(pc, 5), n)
          pc += 24
          break
        }
        case VOTES: {
          if (!votes(address(pc, 1), address(pc, 2), word(pc, 3), address(pc, 4), n)) return false
          pc += 20
          break
        }
        case NARROW: {
          narrow(address(pc, 1), address(pc, 2), n)
          clearRest(address(pc, 2), n)
          pc += 12
          break
        }
        case SCALE: {
          scale(word(pc, 1) == OVER, address(pc, 2), number(pc, 3), address(pc, 4), n)
          pc += 20
          break
        }
        case NTH: {
          nth(address(pc, 1), word(pc, 2), number(pc, 3) + first + at, address(pc, 4), n)
          pc += 20
          break
        }
        case PAIR_SUMS: {
          pairSums(word(pc, 1), address(pc, 2), word(pc, 3), address(pc, 4), n, ends)
          pc += 20
          break
        }
        case READ_PACKED: {
          if (!readPacked(address(pc, 1), word(pc, 2), streams, address(pc, 3), at, n)) return false
          pc += 16
          break
        }
        case ELECT: {
          if (!elect(address(pc, 1), address(pc, 2), word(pc, 3), address(pc, 4), address(pc, 5), n)) return false
          pc += 24
          break
        }
        case ELECT_ONTO: {
          const to = out + (<usize>at << 1)
          if (!electOnto(address(pc, 1), pc + 20, address(pc, 2), address(pc, 3), address(pc, 4), to, n)) return false
          pc += 44
          break
        }
        case SUM_ONTO: {
          const to = out + (<usize>at << 1)
          if (!sumOnto(address(pc, 1), pc + 16, address(pc, 2), address(pc, 3), to, n)) return false
          pc += 32
          break
        }
        case ELECT_ONTO_F32: {
          const to = out + (<usize>at << 2)
          if (!electOntoF32(address(pc, 1), address(pc, 3), address(pc, 4), address(pc, 2), to, n)) return false
          pc += 20
          break
        }
        case READ_CHANGE: {
          const isF32 = word(pc, 1) != 0
          const stream = elementsOf(isF32, address(streams, word(pc, 2)), at)
          let mask: usize = 0
          if (word(pc, 4) >= 0) mask = address(streams, word(pc, 4)) + (<usize>at >> 3)
          if (!readChange(isF32, stream, address(pc, 3), mask, address(pc, 5), n)) return false
          pc += 24
          break
        }
        case SUM_CHANGES: {
          const isF32 = word(pc, 1) != 0
          const stream = elementsOf(isF32, address(streams, word(pc, 2)), at)
          const mask = address(streams, word(pc, 4)) + (<usize>at >> 3)
          const op = word(pc, 6)
          sumChanges(isF32, op, stream, address(pc, 3), mask, address(pc, 5), address(pc, 7), address(pc, 8), n, ends)
          pc += 36
          break
        }
        case TRIM_IN_TURN: {
          const state = address(pc, 3)
          nth(address(pc, 1), word(pc, 2), first + at, state, n)
          const ties = load<f64>(state) > 0 ? n : upTo(load<f64>(state, 8), first + at, n)
          trim(address(pc, 1), word(pc, 2), ties, address(pc, 4), n)
          pc += 20
          break
        }
        case SUM_NARROW: {
          narrowSum(word(pc, 1), address(pc, 2), address(pc, 3), n, ends)
          pc += 16
          break
        }
        case DOTS_NARROW: {
          narrowDots(address(pc, 1), address(pc, 2), address(pc, 3), n, ends)
          pc += 16
          break
        }
        case DRAW: {
          const mask = address(streams, word(pc, 4)) + (<usize>at >> 3)
          draw(word(pc, 1), word(pc, 2), first + at, word(pc, 3), mask, n)
          pc += 20
          break
        }
        case PICK: {
          pick(address(streams, word(pc, 1)) + (<usize>at >> 3), address(pc, 2), address(pc, 3), n)
          pc += 16
          break
        }
        default: unreachable()
      }
    }
  }
  return true
}
