/**
 * Updates as they travel: ops are JSON full of hex digits, so many of them deflate to a third. Small updates stay as they
 * are: packing them saves less than it costs. Unpacking stops at the size that an update may have.
 */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import { TributaryError } from '../core/errors.ts'
import { UPDATE_LIMITS } from './update-format.ts'

const PLAIN = 0
const DEFLATED = 1
const WORTH_BYTES = 1024

const marked = (mark: number, bytes: Uint8Array): Uint8Array => {
  const whole = new Uint8Array(1 + bytes.length)
  whole[0] = mark
  whole.set(bytes, 1)
  return whole
}

export const packUpdate = (update: Uint8Array): Uint8Array =>
  update.length < WORTH_BYTES
    ? marked(PLAIN, update)
    : marked(DEFLATED, deflateRawSync(update, { level: constants.Z_BEST_SPEED }))

/** Throws FRAME_INVALID for what packUpdate can't have written. */
export function unpackUpdate(packed: Uint8Array, bytesMax = UPDATE_LIMITS.bytes): Uint8Array {
  const body = packed.subarray(1)
  if (packed[0] === PLAIN) return body
  if (packed[0] !== DEFLATED) throw refusal('begins neither with 0 nor with 1')
  let inflated: { readonly buffer: Uint8Array; readonly engine: { readonly bytesWritten: number } }
  try {
    // the types don't know what `info` answers
    inflated = inflateRawSync(body, { maxOutputLength: bytesMax, info: true }) as unknown as typeof inflated
  } catch (cause) {
    throw refusal(`does not unpack to at most ${bytesMax} bytes`, cause)
  }
  if (inflated.engine.bytesWritten !== body.length) throw refusal('goes on after its end')
  return inflated.buffer
}

const refusal = (why: string, cause?: unknown): TributaryError =>
  new TributaryError('FRAME_INVALID', `the packed update ${why}`, { cause })
