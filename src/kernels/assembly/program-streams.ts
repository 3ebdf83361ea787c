/** Streams of a program, and what it writes: elements of any of three dtypes, from one of them on. */
import { decodeBf16, decodeF16, decodeF32 } from './decode'
import { encodeBf16, encodeF16, encodeF32 } from './encode'
import { narrow, readBf16, readF32 } from './narrow'

@inline export const BF16: i32 = 0
@inline export const F16: i32 = 1

export function read(dtype: i32, stream: usize, out: usize, at: i32, n: i32): bool {
  if (dtype == BF16) return decodeBf16(stream + (<usize>at << 1), out, n)
  if (dtype == F16) return decodeF16(stream + (<usize>at << 1), out, n)
  return decodeF32(stream + (<usize>at << 2), out, n)
}

/** Zeros behind the last element, up to a whole row. */
@inline
export function clearRest(plane: usize, n: i32): void {
  memory.fill(plane + (<usize>n << 2), 0, <usize>(((n + 15) & ~15) - n) << 2)
}

/** As f32; behind the last element there are zeros up to a whole row. */
export function readNarrow(dtype: i32, stream: usize, out: usize, at: i32, n: i32): bool {
  let finite = true
  if (dtype == BF16) finite = readBf16(stream + (<usize>at << 1), out, n)
  else if (dtype == F16) {
    finite = decodeF16(stream + (<usize>at << 1), out, n)
    narrow(out, out, n)
  } else finite = readF32(stream + (<usize>at << 2), out, n)
  clearRest(out, n)
  return finite
}

/** Of a stream, from element `at` on. */
@inline
export function elementsOf(isF32: bool, stream: usize, at: i32): usize {
  return stream + (<usize>at << (isF32 ? 2 : 1))
}

export function write(dtype: i32, plane: usize, out: usize, at: i32, n: i32): bool {
  if (dtype == BF16) return encodeBf16(plane, out + (<usize>at << 1), n) < 0
  if (dtype == F16) return encodeF16(plane, out + (<usize>at << 1), n) < 0
  return encodeF32(plane, out + (<usize>at << 2), n) < 0
}
