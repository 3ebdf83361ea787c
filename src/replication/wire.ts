/** Reading and writing the bodies of frames: numbers, ids and counted bytes, each in one spelling. */
import { fromHex, fromUtf8, hex, utf8 } from '../core/bytes.ts'
import { TributaryError } from '../core/errors.ts'
import { invariant } from '../core/invariant.ts'

const ID_BYTES = 32
const SPACE_BYTES = 16

export class WireWriter {
  readonly #parts: Uint8Array[] = []

  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes)
    return this
  }
  u8(value: number): this {
    return this.raw(Uint8Array.of(value))
  }
  /** A natural number below 2⁵³, seven bits a byte, the lowest first. */
  natural(value: number): this {
    invariant(Number.isSafeInteger(value) && value >= 0, `${value} is no natural number`)
    const bytes: number[] = []
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
    bytes.push(rest)
    return this.raw(Uint8Array.from(bytes))
  }
  id(hex64: string): this {
    return this.raw(fromHex(hex64))
  }
  space(hex32: string): this {
    return this.raw(fromHex(hex32))
  }
  bytes(bytes: Uint8Array): this {
    return this.natural(bytes.length).raw(bytes)
  }
  text(text: string): this {
    return this.bytes(utf8(text))
  }
  list<T>(items: readonly T[], write: (writer: this, item: T) => void): this {
    this.natural(items.length)
    for (const item of items) write(this, item)
    return this
  }
  end(): Uint8Array {
    // by hand: so many parts are too many arguments
    const whole = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0))
    let offset = 0
    for (const part of this.#parts) {
      whole.set(part, offset)
      offset += part.length
    }
    return whole
  }
}

export class WireReader {
  readonly #bytes: Uint8Array
  readonly #what: string
  #offset = 0

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  refusal(why: string): TributaryError {
    return new TributaryError('FRAME_INVALID', `the frame ${this.#what} ${why}`, {
      details: { frame: this.#what, offset: this.#offset },
    })
  }
  /** A copy: what a frame held must not keep the whole frame in memory. */
  raw(length: number): Uint8Array {
    const end = this.#offset + length
    if (end > this.#bytes.length) throw this.refusal('ends before what it promises')
    const bytes = this.#bytes.slice(this.#offset, end)
    this.#offset = end
    return bytes
  }
  u8(): number {
    const byte = this.#bytes[this.#offset]
    if (byte === undefined) throw this.refusal('ends before what it promises')
    this.#offset++
    return byte
  }
  natural(max = Number.MAX_SAFE_INTEGER): number {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (value > max || scale > 2 ** 49) throw this.refusal(`holds a number above ${max}`)
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) throw this.refusal('spells a number in more bytes than it takes')
        return value
      }
    }
  }
  id<T extends string>(): T {
    return hex(this.raw(ID_BYTES)) as T
  }
  space<T extends string>(): T {
    return hex(this.raw(SPACE_BYTES)) as T
  }
  bytes(max: number): Uint8Array {
    return this.raw(this.natural(max))
  }
  text(max: number): string {
    return fromUtf8(this.bytes(max))
  }
  list<T>(max: number, read: (reader: this) => T): T[] {
    const items: T[] = []
    for (let left = this.natural(max); left > 0; left--) items.push(read(this))
    return items
  }
  /** A number below a small bound, in one byte. */
  below(bound: number): number {
    const value = this.u8()
    if (value >= bound) throw this.refusal(`has ${value} where less than ${bound} may stand`)
    return value
  }
  rest(): Uint8Array {
    return this.raw(this.#bytes.length - this.#offset)
  }
  end(): void {
    if (this.#offset !== this.#bytes.length) throw this.refusal('goes on after its end')
  }
}
