/** A bit for each of a known number of things, the lowest of the first byte first. */
import { invariant } from './invariant.ts'

export class Bitmap {
  readonly length: number
  readonly #bytes: Uint8Array
  #count = 0

  /** From bytes as `toBytes` gave them; bits beyond the length are not looked at. */
  constructor(length: number, bytes?: Uint8Array) {
    const size = Math.ceil(length / 8)
    invariant(bytes === undefined || bytes.length === size, `${length} bits take ${size} bytes`)
    this.length = length
    this.#bytes = new Uint8Array(size)
    if (bytes !== undefined) for (let i = 0; i < length; i++) if (((bytes[i >> 3]! >> (i & 7)) & 1) === 1) this.add(i)
  }

  get count(): number {
    return this.#count
  }

  has(index: number): boolean {
    return ((this.#bytes[index >> 3]! >> (index & 7)) & 1) === 1
  }

  add(index: number): void {
    invariant(index >= 0 && index < this.length, `no bit ${index} among ${this.length}`)
    if (this.has(index)) return
    this.#bytes[index >> 3]! |= 1 << (index & 7)
    this.#count += 1
  }

  remove(index: number): void {
    if (!this.has(index)) return
    this.#bytes[index >> 3]! &= ~(1 << (index & 7))
    this.#count -= 1
  }

  toBytes(): Uint8Array {
    return this.#bytes.slice()
  }
}
