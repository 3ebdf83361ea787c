/**
 * The ids of a space's ops in the order of time, with the sum of each range at hand. Ids lie in buckets that know their
 * sums, so the fingerprint of any range costs a look at each bucket and at no more than two buckets' ids.
 */
import { createHash } from 'node:crypto'
import type { OpId } from '../core/ids.ts'
import { invariant } from '../core/invariant.ts'

/** Ops by their authors' clocks, then by id. A clock that lies costs bytes and nothing else. */
export interface TimedId {
  /** The op's hlc. */
  readonly ms: number
  readonly id: OpId
}

/** Everything before it is below: ids that begin with `prefix` (hex of whole bytes) are not. */
export interface Bound {
  readonly ms: number
  readonly prefix: string
}

export const FINGERPRINT_BYTES = 16
const BUCKET_MAX = 256
const WORDS = 8

const isBelow = (ms: number, id: string, bound: Bound): boolean =>
  ms < bound.ms || (ms === bound.ms && id < bound.prefix)

class Bucket {
  readonly ms: number[] = []
  readonly ids: OpId[] = []
  /** The ids as eight numbers of 32 bits each, the highest first. */
  readonly words = new Uint32Array(BUCKET_MAX * WORDS)
  /** Of the words, without carries: exact in f64 for two million buckets. */
  readonly sum = new Float64Array(WORDS)

  insert(at: number, { ms, id }: TimedId): void {
    this.words.copyWithin((at + 1) * WORDS, at * WORDS, this.ids.length * WORDS)
    const raw = Buffer.from(id, 'hex')
    for (let word = 0; word < WORDS; word++) this.words[at * WORDS + word] = raw.readUInt32BE(4 * word)
    this.ms.splice(at, 0, ms)
    this.ids.splice(at, 0, id)
    addWords(this.sum, this.words, at, at + 1)
  }

  delete(at: number): void {
    for (let word = 0; word < WORDS; word++) this.sum[word]! -= this.words[at * WORDS + word]!
    this.words.copyWithin(at * WORDS, (at + 1) * WORDS, this.ids.length * WORDS)
    this.ms.splice(at, 1)
    this.ids.splice(at, 1)
  }

  /** Places of what is below. */
  countBelow(bound: Bound): number {
    let [low, high] = [0, this.ids.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isBelow(this.ms[middle]!, this.ids[middle]!, bound)) low = middle + 1
      else high = middle
    }
    return low
  }
}

function addWords(sum: Float64Array, words: Uint32Array, from: number, to: number): void {
  for (let i = from * WORDS; i < to * WORDS; i += WORDS)
    for (let word = 0; word < WORDS; word++) sum[word]! += words[i + word]!
}

export class OrderedIds {
  readonly #buckets: Bucket[] = []
  /** Ids before each bucket; undefined where they must be counted anew. */
  #starts: number[] | undefined
  #size = 0

  constructor(items: Iterable<TimedId> = []) {
    for (const item of [...items].sort((a, b) => a.ms - b.ms || (a.id < b.id ? -1 : 1))) this.insert(item)
  }

  get size(): number {
    return this.#size
  }

  has(item: TimedId): boolean {
    return this.#find(item).there
  }

  /** False where it is there already. */
  insert(item: TimedId): boolean {
    const { index, at, there } = this.#find(item)
    if (there) return false
    const bucket = this.#buckets[index] ?? this.#open(index)
    if (bucket.ids.length < BUCKET_MAX) bucket.insert(at, item)
    // what is new comes at the end: buckets that only grow there stay full
    else if (index === this.#buckets.length - 1 && at === BUCKET_MAX) this.#open(index + 1).insert(0, item)
    else {
      this.#halve(index)
      const half = BUCKET_MAX / 2
      this.#buckets[at > half ? index + 1 : index]!.insert(at > half ? at - half : at, item)
    }
    this.#size++
    this.#starts = undefined
    return true
  }

  /** False where it is not there. */
  delete(item: TimedId): boolean {
    const { index, at, there } = this.#find(item)
    if (!there) return false
    const bucket = this.#buckets[index]!
    bucket.delete(at)
    if (bucket.ids.length === 0) this.#buckets.splice(index, 1)
    this.#size--
    this.#starts = undefined
    return true
  }

  /** How many are below. */
  countBelow(bound: Bound): number {
    const { index, at } = this.#place(bound)
    return index < this.#buckets.length ? this.#startsOf()[index]! + at : this.#size
  }

  at(rank: number): TimedId {
    invariant(rank >= 0 && rank < this.#size, `no op ${rank} among ${this.#size}`)
    const index = this.#bucketAt(rank)
    const at = rank - this.#startsOf()[index]!
    const bucket = this.#buckets[index]!
    return { ms: bucket.ms[at]!, id: bucket.ids[at]! }
  }

  ids(from: number, to: number): OpId[] {
    const found: OpId[] = []
    this.#overlap(from, to, (bucket, low, high) => found.push(...bucket.ids.slice(low, high)))
    return found
  }

  /** First 16 bytes of SHA-256(sum of the ids mod 2²⁵⁶ ‖ count), both big-endian, the count of 8 bytes. */
  fingerprint(from: number, to: number): Uint8Array {
    const sum = new Float64Array(WORDS)
    this.#overlap(from, to, (bucket, low, high) => {
      if (high - low < bucket.ids.length) addWords(sum, bucket.words, low, high)
      else for (let word = 0; word < WORDS; word++) sum[word]! += bucket.sum[word]!
    })
    const bytes = new Uint8Array(4 * WORDS + 8)
    const view = new DataView(bytes.buffer)
    let carry = 0
    for (let word = WORDS - 1; word >= 0; word--) {
      const whole = sum[word]! + carry
      carry = Math.floor(whole / 2 ** 32)
      view.setUint32(4 * word, whole - carry * 2 ** 32)
    }
    view.setBigUint64(4 * WORDS, BigInt(to - from))
    return new Uint8Array(createHash('sha256').update(bytes).digest().subarray(0, FINGERPRINT_BYTES))
  }

  #overlap(from: number, to: number, visit: (bucket: Bucket, low: number, high: number) => void): void {
    const starts = this.#startsOf()
    for (let index = this.#bucketAt(from); index < this.#buckets.length && starts[index]! < to; index++) {
      const bucket = this.#buckets[index]!
      visit(bucket, Math.max(0, from - starts[index]!), Math.min(bucket.ids.length, to - starts[index]!))
    }
  }

  /** The first place that is not below. */
  #place(bound: Bound): { readonly index: number; readonly at: number } {
    let [low, high] = [0, this.#buckets.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      const { ms, ids } = this.#buckets[middle]!
      if (isBelow(ms.at(-1)!, ids.at(-1)!, bound)) low = middle + 1
      else high = middle
    }
    return { index: low, at: this.#buckets[low]?.countBelow(bound) ?? 0 }
  }

  #find({ ms, id }: TimedId): { readonly index: number; readonly at: number; readonly there: boolean } {
    const { index, at } = this.#place({ ms, prefix: id })
    const bucket = this.#buckets[index]
    if (bucket !== undefined) return { index, at, there: bucket.ids[at] === id && bucket.ms[at] === ms }
    // behind everything: at the end of the last bucket
    const last = Math.max(0, this.#buckets.length - 1)
    return { index: last, at: this.#buckets[last]?.ids.length ?? 0, there: false }
  }

  #open(index: number): Bucket {
    const bucket = new Bucket()
    this.#buckets.splice(index, 0, bucket)
    return bucket
  }

  #halve(index: number): void {
    const [full, upper] = [this.#buckets[index]!, this.#open(index + 1)]
    const half = BUCKET_MAX / 2
    upper.ms.push(...full.ms.splice(half))
    upper.ids.push(...full.ids.splice(half))
    upper.words.set(full.words.subarray(half * WORDS))
    addWords(upper.sum, upper.words, 0, half)
    for (let word = 0; word < WORDS; word++) full.sum[word]! -= upper.sum[word]!
  }

  #startsOf(): readonly number[] {
    if (this.#starts !== undefined) return this.#starts
    let before = 0
    this.#starts = this.#buckets.map(({ ids }) => (before += ids.length) - ids.length)
    return this.#starts
  }

  /** The bucket that holds this rank, the last one for what is behind it. */
  #bucketAt(rank: number): number {
    const starts = this.#startsOf()
    let [low, high] = [0, starts.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (starts[middle]! <= rank) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }
}
