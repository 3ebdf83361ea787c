/**
 * One WebAssembly memory, given out in pieces. Its size is fixed, because growing would cut off every view into it; where
 * it is used up, pieces come from outside, and are computed on more slowly but alike.
 */
import { invariant } from '../core/invariant.ts'

const PAGE_BYTES = 64 * 1024
const ALIGN_BYTES = 64
/** Between pieces: a hundred of one even size would else begin in the same few places of a cache, and drive each other out. */
const GAP_BYTES = 64

const aligned = (address: number): number => Math.ceil(address / ALIGN_BYTES) * ALIGN_BYTES

export class WasmMemory {
  readonly memory: WebAssembly.Memory
  readonly buffer: ArrayBuffer
  #first = 0
  #next = 0
  /** Below it, memory may hold what was written before. */
  #used = 0

  constructor(bytes: number) {
    const pages = Math.ceil(bytes / PAGE_BYTES)
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    this.buffer = this.memory.buffer
  }

  /** What lies below is never given out. */
  reserve(end: number): void {
    this.#first = aligned(end)
    this.#next = this.#first
    invariant(this.#first < this.buffer.byteLength, 'the memory holds more than constants')
  }

  reset(): void {
    this.#used = Math.min(this.buffer.byteLength, Math.max(this.#used, this.#next))
    this.#next = this.#first
  }

  /** Address of zeroed bytes, or −1 where there are not as many. */
  take(bytes: number): number {
    const address = this.#next
    const end = aligned(address + bytes)
    if (end > this.buffer.byteLength) return -1
    this.#next = end + GAP_BYTES
    if (address < this.#used) new Uint8Array(this.buffer, address, Math.min(bytes, this.#used - address)).fill(0)
    return address
  }

  /** Where this lies, or −1 if it lies elsewhere. */
  addressOf(piece: Float64Array | Uint8Array | Uint32Array): number {
    return piece.buffer === this.buffer ? piece.byteOffset : -1
  }
}
