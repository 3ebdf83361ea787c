/** A header taken from a stream: eats chunks until the header is whole, then hands back what lies behind it. */
import { concat } from '../core/bytes.ts'
import { invariant } from '../core/invariant.ts'
import { headerLengthOf, LENGTH_WORD_BYTES, parseStored, type SafetensorsHeader } from './safetensors.ts'

export interface HeaderRead {
  readonly header: SafetensorsHeader
  /** The JSON with its padding, byte for byte as it came. */
  readonly stored: Uint8Array
  /** Bytes of the last chunk that lie behind the header: the beginning of the data. */
  readonly rest: Uint8Array
}

export interface HeaderReaderOptions {
  /** Size of the whole file, where it was announced: then a header that can't fit it is refused as soon as it is known. */
  readonly fileBytes?: number | undefined
  readonly headerBytesMax?: number | undefined
}

export class HeaderReader {
  readonly #fileBytes: number | undefined
  readonly #headerBytesMax: number | undefined
  /** What came before the length was known: at most nine bytes and the chunk that brought the ninth. */
  #start: Uint8Array = new Uint8Array(0)
  #stored: Uint8Array | undefined
  #filled = 0
  #done = false

  constructor({ fileBytes, headerBytesMax }: HeaderReaderOptions = {}) {
    this.#fileBytes = fileBytes
    this.#headerBytesMax = headerBytesMax
  }

  /** Undefined until the header is whole; a wrong kind of file is refused at its ninth byte. */
  push(chunk: Uint8Array): HeaderRead | undefined {
    invariant(!this.#done, 'a header is read once')
    if (this.#stored !== undefined) return this.#fill(this.#stored, chunk)
    this.#start = concat(this.#start, chunk)
    if (this.#start.length <= LENGTH_WORD_BYTES) return undefined
    this.#stored = new Uint8Array(headerLengthOf(this.#start, this.#fileBytes, this.#headerBytesMax))
    return this.#fill(this.#stored, this.#start.subarray(LENGTH_WORD_BYTES))
  }

  /** The stream is over. Refused unless the header was whole. */
  end(): void {
    if (this.#done) return
    const taken = this.#stored === undefined ? this.#start.length : LENGTH_WORD_BYTES + this.#filled
    headerLengthOf(this.#start, taken, this.#headerBytesMax)
    invariant(false, 'a stream that ended early is shorter than its header')
  }

  #fill(stored: Uint8Array, chunk: Uint8Array): HeaderRead | undefined {
    const part = chunk.subarray(0, stored.length - this.#filled)
    stored.set(part, this.#filled)
    this.#filled += part.length
    if (this.#filled < stored.length) return undefined
    this.#done = true
    const dataBytes = this.#fileBytes === undefined ? undefined : this.#fileBytes - LENGTH_WORD_BYTES - stored.length
    return { header: parseStored(stored, dataBytes), stored, rest: chunk.subarray(part.length) }
  }
}
