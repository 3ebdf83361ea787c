/**
 * What the threads of one run share: whose turn is next, how far it is, whether it is still wanted, and the chunks and leaves
 * of every tensor. All of it lies in shared memory, so a thread that works is neither asked nor told by messages.
 */
import { hex } from '../core/bytes.ts'
import { at, invariant } from '../core/invariant.ts'
import { treeHead } from '../core/merkle.ts'
import { CHUNK_BYTES, type HashedTensor } from '../tensors/tensor-hasher.ts'

export interface SharedBoard {
  readonly words: SharedArrayBuffer
  readonly leaves: SharedArrayBuffer
  /** For what threads measure together; empty where one works alone. */
  readonly measures: SharedArrayBuffer
  /** For masks of what they measure together. */
  readonly masks: SharedArrayBuffer
}

const LEAF_BYTES = 32
const NONE = 0x7fffffff
/** Places of the words, each of 32 bits, and of 64 bits the bytes done. */
const CANCELLED = 0
const NEXT = 1
const FAILED = 2
const DONE = 2
const WORDS = 6

const chunksOf = (bytes: number): number => Math.ceil(bytes / CHUNK_BYTES)
/** A tensor without bytes is finished once, like any other. */
const piecesOf = (bytes: number): number => Math.max(1, chunksOf(bytes))

export class RunBoard {
  readonly shared: SharedBoard
  readonly #words: Int32Array
  readonly #done: BigInt64Array
  /** Of each tensor: pieces that are not finished yet. */
  readonly #open: Int32Array
  /** Of each tensor: elements that no merge could take. */
  readonly #notFinite: BigInt64Array
  /** Of each chunk that several write: bytes that are written. */
  readonly #filled: Int32Array
  readonly #leaves: Uint8Array
  readonly #firstLeaf: readonly number[]
  readonly #bytes: readonly number[]

  /** `bytes` of each tensor. Who begins a run makes the memory, so much of it for measures and masks; who joins it gets that. */
  constructor(bytes: readonly number[], shared?: SharedBoard, measureBytes = 0, maskBytes = 0) {
    this.#bytes = bytes
    const first: number[] = []
    let leaves = 0
    for (const size of bytes) {
      first.push(leaves)
      leaves += chunksOf(size)
    }
    this.#firstLeaf = first
    const even = bytes.length + (bytes.length % 2)
    this.shared = shared ?? {
      words: new SharedArrayBuffer(4 * (WORDS + even) + 8 * bytes.length + 4 * leaves),
      leaves: new SharedArrayBuffer(LEAF_BYTES * leaves),
      measures: new SharedArrayBuffer(measureBytes),
      masks: new SharedArrayBuffer(maskBytes),
    }
    const { words } = this.shared
    this.#words = new Int32Array(words, 0, WORDS)
    this.#done = new BigInt64Array(words, 0, WORDS / 2)
    this.#open = new Int32Array(words, 4 * WORDS, bytes.length)
    this.#notFinite = new BigInt64Array(words, 4 * (WORDS + even), bytes.length)
    this.#filled = new Int32Array(words, 4 * (WORDS + even) + 8 * bytes.length, leaves)
    this.#leaves = new Uint8Array(this.shared.leaves)
    if (shared) return
    this.#words[FAILED] = NONE
    this.#open.set(bytes.map(piecesOf))
  }

  /** The run is no longer wanted. */
  cancel(): void {
    Atomics.store(this.#words, CANCELLED, 1)
  }

  /** The next unit that nobody has taken; units are dealt out in order. */
  take(): number {
    return Atomics.add(this.#words, NEXT, 1)
  }

  /**
   * Units before one that failed are still done and later ones are not. Units are dealt in order, so the first of all
   * failures is always among those that are told, and it is the one that counts.
   */
  fail(unit: number): void {
    for (;;) {
      const first = Atomics.load(this.#words, FAILED)
      if (first <= unit || Atomics.compareExchange(this.#words, FAILED, first, unit) === first) return
    }
  }

  isWanted(unit: number): boolean {
    return Atomics.load(this.#words, CANCELLED) === 0 && unit <= Atomics.load(this.#words, FAILED)
  }

  /** Bytes that all have done before these. */
  advance(bytes: number): number {
    return Number(Atomics.add(this.#done, DONE, BigInt(bytes)))
  }

  /** Bytes of one chunk that several write are written: true for who writes the last of it, and so may finish it. */
  fill(tensor: number, begin: number, end: number): boolean {
    const chunk = Math.floor(begin / CHUNK_BYTES)
    const bytes = Math.min(CHUNK_BYTES, at(this.#bytes, tensor) - chunk * CHUNK_BYTES)
    const filled = Atomics.add(this.#filled, at(this.#firstLeaf, tensor) + chunk, end - begin) + end - begin
    invariant(filled <= bytes, 'a byte is written once')
    return filled === bytes
  }

  /** Consecutive pieces of a tensor, from byte `begin` on. True when they were the last that were missing. */
  finish(tensor: number, begin: number, { leaves }: Pick<HashedTensor, 'leaves'>, notFinite = 0): boolean {
    const first = at(this.#firstLeaf, tensor) + begin / CHUNK_BYTES
    leaves.forEach((leaf, i) => {
      this.#leaves.set(leaf, LEAF_BYTES * (first + i))
    })
    if (notFinite > 0) Atomics.add(this.#notFinite, tensor, BigInt(notFinite))
    const pieces = Math.max(1, leaves.length)
    const open = Atomics.sub(this.#open, tensor, pieces)
    invariant(open >= pieces, 'a piece is finished once')
    return open === pieces
  }

  isFinished(tensor: number): boolean {
    return Atomics.load(this.#open, tensor) === 0
  }

  /** Of a tensor that is whole. */
  rootOf(tensor: number): string {
    const first = at(this.#firstLeaf, tensor)
    const count = chunksOf(at(this.#bytes, tensor))
    const leaf = (i: number) => this.#leaves.slice(LEAF_BYTES * (first + i), LEAF_BYTES * (first + i + 1))
    return hex(treeHead(Array.from({ length: count }, (_, i) => leaf(i))))
  }

  notFiniteOf(tensor: number): number {
    return Number(Atomics.load(this.#notFinite, tensor))
  }
}
