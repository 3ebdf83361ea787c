/**
 * Random masks as bits: those that a tensor is measured with are kept for the passes that follow, as far as there is room.
 * Of each block of each mask it is known whether it is there; who misses one draws it again, so keeping leaves no trace.
 */
import type { Program } from '../../core/graph.ts'
import type { RandomKey } from '../../core/philox.ts'
import { keepBelow } from '../../kernels/reference.ts'
import { maskBytes } from '../../kernels/strip-program.ts'
import { OWNER_BYTES } from '../boards.ts'
import { reach, type Reached } from './depth.ts'
import { STRIP } from './evaluation.ts'

/** Of one block of a mask: its bits, and whether they are there. */
const BLOCK_BYTES = 1 + maskBytes(STRIP)

/** Room that as many masks of a tensor take. */
export const masksBytes = (masks: number, elements: number): number => masks * Math.ceil(elements / STRIP) * BLOCK_BYTES

/** What may be kept: masks of one probability that reductions over the tensor read, so that a later pass may want them. */
export function drawnFor(program: Program, { laters }: Pick<Reached, 'laters'>) {
  const reductions = program.reductions.filter((node) => node.scope === 'tensor' && laters.has(node))
  return [...reach(program, [], reductions).nodes].flatMap((node) => {
    if (node.kind !== 'keep' || node.probability.kind !== 'number') return []
    const probability = node.probability.value
    return keepBelow(probability) < 2 ** 32 ? [{ node, probability }] : []
  })
}

/** Room for the masks of one tensor at a time. */
export interface MaskRoom {
  readonly roomBytes: number
  /** The room, its first bytes zeros when it was another's; undefined while it still is. */
  claim(tensor: number, bytes: number, zeros: number): Uint8Array | undefined
}

/** Of one thread. */
export class OwnMasks implements MaskRoom {
  readonly roomBytes: number
  #bytes = new Uint8Array(0)
  #owner = -1

  constructor(roomBytes: number) {
    this.roomBytes = roomBytes
  }

  claim(tensor: number, bytes: number, zeros: number): Uint8Array {
    if (this.#owner === tensor) return this.#bytes
    this.#owner = tensor
    if (this.#bytes.length < bytes) this.#bytes = new Uint8Array(bytes)
    else this.#bytes.fill(0, 0, zeros)
    return this.#bytes
  }
}

const FREE = 0
const CHANGING = -1

/** Of all threads, for tensors that they measure together. */
export class SharedMasks implements MaskRoom {
  readonly roomBytes: number
  readonly #owner: Int32Array
  readonly #bytes: Uint8Array
  readonly #isWritten: (tensor: number) => boolean

  /** `isWritten`: nobody asks for masks of this tensor any more. */
  constructor(memory: SharedArrayBuffer, isWritten: (tensor: number) => boolean) {
    this.#owner = new Int32Array(memory, 0, 1)
    this.#bytes = new Uint8Array(memory, OWNER_BYTES)
    this.roomBytes = this.#bytes.length
    this.#isWritten = isWritten
  }

  static bytesFor(roomBytes: number): number {
    return OWNER_BYTES + roomBytes
  }

  claim(tensor: number, _bytes: number, zeros: number): Uint8Array | undefined {
    const owner = Atomics.load(this.#owner, 0)
    if (owner === 1 + tensor) return this.#bytes
    if (owner === CHANGING || (owner !== FREE && !this.#isWritten(owner - 1))) return undefined
    if (Atomics.compareExchange(this.#owner, 0, owner, CHANGING) !== owner) return undefined
    this.#bytes.fill(0, 0, zeros)
    Atomics.store(this.#owner, 0, 1 + tensor)
    return this.#bytes
  }
}

const idOf = ({ low, high }: RandomKey, probability: number): string => `${low} ${high} ${keepBelow(probability)}`

/** Those of one tensor. */
export class Masks {
  readonly #room: MaskRoom
  readonly #tensor: number
  readonly #blocks: number
  readonly #places: ReadonlyMap<string, number>

  /** The first of `wanted` that there is room for: every thread comes to the same. */
  constructor(
    room: MaskRoom,
    tensor: number,
    elements: number,
    wanted: readonly { readonly key: RandomKey; readonly probability: number }[],
  ) {
    this.#room = room
    this.#tensor = tensor
    this.#blocks = Math.ceil(elements / STRIP)
    const ids = [...new Set(wanted.map(({ key, probability }) => idOf(key, probability)))]
    const kept = ids.slice(0, Math.floor(room.roomBytes / masksBytes(1, elements)))
    this.#places = new Map(kept.map((id, place) => [id, place]))
  }

  placeOf(key: RandomKey, probability: number): number | undefined {
    return this.#places.get(idOf(key, probability))
  }

  /** Of elements from `first` on, a whole number of blocks or up to the last; false where one is not there. */
  recall(places: readonly number[], first: number, into: readonly Uint8Array[]): boolean {
    const bytes = this.#claim()
    if (!bytes) return false
    return places.every((place, i) => {
      const { flag, bits } = this.#placed(place, first)
      const mask = into[i]!
      for (let block = 0; block * maskBytes(STRIP) < mask.length; block++)
        if (Atomics.load(bytes, flag + block) === 0) return false
      mask.set(bytes.subarray(bits, bits + mask.length))
      return true
    })
  }

  /** The same, once they are drawn. */
  keep(places: readonly number[], first: number, from: readonly Uint8Array[]): void {
    const bytes = this.#claim()
    if (!bytes) return
    places.forEach((place, i) => {
      const { flag, bits } = this.#placed(place, first)
      const mask = from[i]!
      bytes.set(mask, bits)
      for (let block = 0; block * maskBytes(STRIP) < mask.length; block++) Atomics.store(bytes, flag + block, 1)
    })
  }

  #claim(): Uint8Array | undefined {
    const count = this.#places.size
    return this.#room.claim(this.#tensor, count * this.#blocks * BLOCK_BYTES, count * this.#blocks)
  }

  #placed(place: number, first: number): { readonly flag: number; readonly bits: number } {
    const block = place * this.#blocks + first / STRIP
    return { flag: block, bits: this.#places.size * this.#blocks + block * maskBytes(STRIP) }
  }
}
