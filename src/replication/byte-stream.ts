/**
 * Reading and writing messages between replicas: bytes, varints, byte strings. A number has one spelling, the shortest;
 * what is read past the end, spelled longer or not a safe integer is refused.
 */
import { TributaryError } from '../core/errors.ts'
import { invariant } from '../core/invariant.ts'

export const malformed = (why: string): TributaryError =>
  new TributaryError('SYNC_MESSAGE_INVALID', why, { hint: 'the peer that sent it does not speak this protocol' })

export class ByteReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw malformed('the message ends too early')
    this.#at++
    return byte
  }

  /** An unsigned integer, seven bits a byte, the lowest first. */
  natural(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (!Number.isSafeInteger(value)) throw malformed('a number is not a safe integer')
      if (byte >= 0x80) continue
      if (byte === 0 && scale > 1) throw malformed('a number is spelled longer than it need be')
      return value
    }
  }

  /** A view of the next bytes, not a copy. */
  bytes(length: number): Uint8Array {
    if (length > this.left) throw malformed('the message ends too early')
    return this.#bytes.subarray(this.#at, (this.#at += length))
  }

  end(): void {
    if (this.left > 0) throw malformed('bytes follow the end of the message')
  }
}

export class ByteWriter {
  #bytes: Uint8Array
  #length = 0

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(Math.max(16, capacity))
  }

  get length(): number {
    return this.#length
  }

  byte(byte: number): void {
    this.#room(1)
    this.#bytes[this.#length++] = byte
  }

  natural(value: number): void {
    invariant(Number.isSafeInteger(value) && value >= 0, 'a natural number is a safe integer')
    this.#room(8)
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = (rest % 128) | 0x80
    this.#bytes[this.#length++] = rest
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** What was written, in a buffer of its own. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const wider = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more))
    wider.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = wider
  }
}

/** Bytes that a natural number takes. */
export function naturalBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) bytes++
  return bytes
}
