/**
 * Which chunks of one tensor to ask of whom: sans-I/O, a pure state machine over what arrives. Every chunk is verified
 * alone, by the leaf hashes that hash to the tensor's root; until those are here chunks are held unverified, within a bound.
 * Who sends a chunk that is not what its leaf says is dropped for this tensor, and named with the chunk.
 */
import { Bitmap } from '../core/bitmap.ts'
import { concat, equalBytes, fromHex, hex } from '../core/bytes.ts'
import type { TensorRoot } from '../core/ids.ts'
import { at, invariant } from '../core/invariant.ts'
import { treeHead } from '../core/merkle.ts'
import {
  CHUNK_BYTES,
  chunksIn,
  FETCH_LIMITS,
  type FetchLimits,
  type FetchPlan,
  type FetchRequest,
  LEAF_BYTES,
  type Lie,
  type SourceId,
} from './fetch-plan.ts'

interface Source {
  readonly id: SourceId
  failures: number
  restsUntil: number
}

interface UnderWay {
  readonly request: FetchRequest
  /** The next chunk of it that comes. */
  next: number
  heardAt: number
  readonly askedAt: number
}

interface Held {
  readonly source: SourceId
  readonly leaf: Uint8Array
}

export class BlobFetch {
  readonly root: TensorRoot
  readonly bytes: number
  readonly chunks: number
  readonly #limits: FetchLimits
  readonly #verified: Bitmap
  readonly #sources = new Map<SourceId, Source>()
  readonly #dropped = new Set<SourceId>()
  readonly #underWay = new Map<number, UnderWay>()
  readonly #held = new Map<number, Held>()
  /** How many requests under way will bring this chunk. */
  readonly #asked = new Map<number, number>()
  readonly #lies: Lie[] = []
  #leaves: readonly Uint8Array[] | undefined
  #calledOff: number[] = []
  #lastId = 0
  /** Below it nothing is missing that is not asked for. */
  #cursor = 0

  constructor({ root, bytes, chunks }: FetchPlan, limits: FetchLimits = FETCH_LIMITS) {
    invariant(bytes > 0, 'a tensor of no bytes is not fetched')
    this.root = root
    this.bytes = bytes
    this.chunks = chunksIn(bytes)
    this.#limits = limits
    this.#verified = new Bitmap(this.chunks, chunks)
    if (this.chunks === 1) this.#leaves = [fromHex(root)] // the head of one leaf is the leaf
  }

  get isWhole(): boolean {
    return this.#verified.count === this.chunks
  }
  get verifiedChunks(): number {
    return this.#verified.count
  }
  get lies(): readonly Lie[] {
    return this.#lies
  }
  /** Sources that may still be asked, now or after a rest. */
  get sourcesLeft(): number {
    return this.#sources.size
  }
  /** All of them, 32 bytes each; undefined until they are here. */
  get leaves(): Uint8Array | undefined {
    return this.#leaves && concat(...this.#leaves)
  }
  isVerified(chunk: number): boolean {
    return this.#verified.has(chunk)
  }
  /** Bytes of this chunk: the last may be short. */
  bytesOf(chunk: number): number {
    return Math.min(CHUNK_BYTES, this.bytes - chunk * CHUNK_BYTES)
  }

  /** Nothing happens where it is known, or was dropped. */
  addSource(id: SourceId): void {
    if (!this.#dropped.has(id) && !this.#sources.has(id)) this.#sources.set(id, { id, failures: 0, restsUntil: 0 })
  }

  /** It will not be asked for this tensor again; what it is sending is called off. */
  dropSource(id: SourceId): void {
    this.#dropped.add(id)
    this.#sources.delete(id)
    for (const { request } of [...this.#underWay.values()]) if (request.source === id) this.#callOff(request.id)
  }

  /** What to ask for now. */
  next(now: number): readonly FetchRequest[] {
    const requests: FetchRequest[] = []
    if (this.isWhole) return requests
    const leaves = this.#nextLeaves(now)
    if (leaves !== undefined) requests.push(leaves)
    for (;;) {
      const request = this.#nextRange(now)
      if (request === undefined) return requests
      requests.push(request)
    }
  }

  /** Requests that are not wanted any more. */
  takeCalledOff(): readonly number[] {
    const ids = this.#calledOff
    this.#calledOff = []
    return ids
  }

  /** When to ask again though nothing has happened; undefined: never. */
  nextDeadline(now: number): number | undefined {
    const stalls = [...this.#underWay.values()].map(({ heardAt }) => heardAt + this.#limits.stalledMsMax)
    const rests = [...this.#sources.values()].map(({ restsUntil }) => restsUntil).filter((until) => until > 0)
    const deadlines = [...stalls, ...rests, ...this.#twiceAt(now)]
    return deadlines.length === 0 ? undefined : Math.min(...deadlines)
  }

  /** Fails what is stalled, and wakes who has rested. */
  passTime(now: number): void {
    for (const { request, heardAt } of [...this.#underWay.values()])
      if (now - heardAt >= this.#limits.stalledMsMax) this.failed(request.id, now)
    for (const source of this.#sources.values()) if (source.restsUntil <= now) source.restsUntil = 0
  }

  /** Something of an answer came, if not a whole chunk. */
  heard(id: number, now: number): void {
    const underWay = this.#underWay.get(id)
    if (underWay !== undefined) underWay.heardAt = now
  }

  /**
   * The next chunk of a request, by its leaf hash. `keep`: write it, over whatever stands there; `drop`: it was here
   * already, is not what it should be, or is not wanted.
   */
  chunkArrived(id: number, leaf: Uint8Array, now: number): 'keep' | 'drop' {
    const underWay = this.#underWay.get(id)
    if (underWay === undefined) return 'drop'
    invariant(underWay.request.kind === 'chunks', 'chunks come for requests of chunks')
    const { source, first, count } = underWay.request
    const chunk = underWay.next
    invariant(chunk < first + count, 'a request brings no more than it asked for')
    underWay.next += 1
    underWay.heardAt = now
    this.#unask(chunk)
    if (underWay.next === first + count) this.#underWay.delete(id)
    const known = this.#sources.get(source)
    if (known !== undefined) known.failures = 0
    if (this.#verified.has(chunk) || this.#held.has(chunk)) return 'drop'
    this.#held.set(chunk, { source, leaf })
    return this.#verify(chunk) ? 'keep' : 'drop'
  }

  leavesArrived(id: number, bytes: Uint8Array): void {
    const underWay = this.#underWay.get(id)
    if (underWay === undefined) return
    this.#underWay.delete(id)
    if (this.#leaves !== undefined) return
    const leaves = Array.from({ length: Math.floor(bytes.length / LEAF_BYTES) }, (_, i) =>
      bytes.slice(i * LEAF_BYTES, (i + 1) * LEAF_BYTES),
    )
    if (bytes.length !== this.chunks * LEAF_BYTES || hex(treeHead(leaves)) !== this.root) {
      this.#lied({ source: underWay.request.source, what: 'leaves' })
      return
    }
    this.#leaves = leaves
    for (const chunk of [...this.#held.keys()]) this.#verify(chunk)
  }

  /** The source does not have it, and trying again would not change that: it is dropped, and nobody is blamed. */
  lacks(id: number): void {
    const underWay = this.#underWay.get(id)
    if (underWay !== undefined) this.dropSource(underWay.request.source)
  }

  /** A request has ended before its end: the source rests, and is dropped after too many failures. */
  failed(id: number, now: number): void {
    const underWay = this.#underWay.get(id)
    if (underWay === undefined) return
    this.#callOff(id)
    const source = this.#sources.get(underWay.request.source)
    if (source === undefined) return
    source.failures += 1
    source.restsUntil = now + this.#limits.restMs * 2 ** (source.failures - 1)
    if (source.failures >= this.#limits.failuresMax) this.dropSource(source.id)
  }

  /** True unless the leaf is known to be another. Verified, or held until the leaves are here. */
  #verify(chunk: number): boolean {
    const held = this.#held.get(chunk)
    if (this.#leaves === undefined || held === undefined) return true
    this.#held.delete(chunk)
    if (equalBytes(held.leaf, at(this.#leaves, chunk))) {
      this.#verified.add(chunk)
      if (this.isWhole) for (const id of [...this.#underWay.keys()]) this.#callOff(id)
      return true
    }
    this.#cursor = Math.min(this.#cursor, chunk)
    this.#lied({ source: held.source, what: 'chunk', chunk })
    return false
  }

  #lied(lie: Lie): void {
    this.#lies.push(lie)
    this.dropSource(lie.source)
  }

  #callOff(id: number): void {
    const underWay = this.#underWay.get(id)
    if (underWay === undefined) return
    this.#underWay.delete(id)
    this.#calledOff.push(id)
    const { request, next } = underWay
    if (request.kind === 'leaves') return
    for (let chunk = next; chunk < request.first + request.count; chunk++) this.#unask(chunk)
    this.#cursor = Math.min(this.#cursor, next)
  }

  #unask(chunk: number): void {
    const left = (this.#asked.get(chunk) ?? 0) - 1
    if (left > 0) this.#asked.set(chunk, left)
    else this.#asked.delete(chunk)
  }

  #nextLeaves(now: number): FetchRequest | undefined {
    const underWay = [...this.#underWay.values()].map(({ request }) => request)
    if (this.#leaves !== undefined || underWay.some(({ kind }) => kind === 'leaves')) return undefined
    const source = this.#idlest(now, () => true)
    return source && this.#ask({ id: ++this.#lastId, source: source.id, kind: 'leaves' }, now)
  }

  #nextRange(now: number): FetchRequest | undefined {
    const ranges = [...this.#underWay.values()].filter(({ request }) => request.kind === 'chunks')
    if (ranges.length >= this.#limits.rangesMax) return undefined
    const fresh = this.#missing()
    if (fresh !== undefined) {
      const source = this.#idlest(now, (id) => this.#rangesOf(id) < this.#limits.rangesPerSourceMax)
      return source && this.#ask({ id: ++this.#lastId, source: source.id, kind: 'chunks', ...fresh }, now)
    }
    return this.#cursor < this.chunks ? undefined : this.#nextTwice(ranges, now)
  }

  /** When what is owed will have been owed for long. */
  #twiceAt(now: number): readonly number[] {
    if (this.#cursor < this.chunks || this.#sources.size < 2) return []
    return [...this.#underWay.values()]
      .filter(({ request }) => request.kind === 'chunks')
      .map(({ askedAt }) => askedAt + this.#limits.twiceAfterMs)
      .filter((at) => at > now)
  }

  /** Near the end: what somebody owes for long is asked of another who has room, the longest owed first. */
  #nextTwice(ranges: readonly UnderWay[], now: number): FetchRequest | undefined {
    const oldest = [...ranges].sort((a, b) => a.request.id - b.request.id)
    for (const { request, next, askedAt } of oldest) {
      if (request.kind !== 'chunks' || now - askedAt < this.#limits.twiceAfterMs) continue
      const end = request.first + request.count
      let first = next
      while (first < end && this.#isHere(first)) first += 1
      if (first === end || (this.#asked.get(first) ?? 0) !== 1) continue
      const source = this.#idlest(
        now,
        (id) => id !== request.source && this.#rangesOf(id) < this.#limits.rangesPerSourceMax,
      )
      if (source === undefined) continue
      return this.#ask({ id: ++this.#lastId, source: source.id, kind: 'chunks', first, count: end - first }, now)
    }
    return undefined
  }

  /** The next run of chunks that are neither here nor asked for, as far as the windows have room. */
  #missing(): { readonly first: number; readonly count: number } | undefined {
    const { rangeChunks, windowBytes, unverifiedBytesMax } = this.#limits
    const isMissing = (chunk: number) => chunk < this.chunks && !this.#isHere(chunk) && !this.#asked.has(chunk)
    while (this.#cursor < this.chunks && !isMissing(this.#cursor)) this.#cursor += 1
    if (this.#cursor >= this.chunks) return undefined
    const asked = this.#asked.size * CHUNK_BYTES
    const unverified = this.#leaves === undefined ? this.#held.size * CHUNK_BYTES + asked : 0
    const room = Math.min(windowBytes - asked, unverifiedBytesMax - unverified)
    const most = Math.min(rangeChunks, Math.floor(room / CHUNK_BYTES))
    let count = 0
    while (count < most && isMissing(this.#cursor + count)) count += 1
    return count === 0 ? undefined : { first: this.#cursor, count }
  }

  /** Verified, or held until the leaves are here. */
  #isHere(chunk: number): boolean {
    return this.#verified.has(chunk) || this.#held.has(chunk)
  }

  #ask(request: FetchRequest, now: number): FetchRequest {
    this.#underWay.set(request.id, {
      request,
      next: request.kind === 'chunks' ? request.first : 0,
      heardAt: now,
      askedAt: now,
    })
    if (request.kind === 'chunks')
      for (let chunk = request.first; chunk < request.first + request.count; chunk++)
        this.#asked.set(chunk, (this.#asked.get(chunk) ?? 0) + 1)
    return request
  }

  #rangesOf(id: SourceId): number {
    let count = 0
    for (const { request } of this.#underWay.values()) if (request.source === id && request.kind === 'chunks') count++
    return count
  }

  /** Of those that may be asked, the one with the least to do; so the fast ones, which are soon done, get more. */
  #idlest(now: number, may: (id: SourceId) => boolean): Source | undefined {
    let best: Source | undefined
    for (const source of this.#sources.values()) {
      if (source.restsUntil > now || !may(source.id)) continue
      if (best === undefined || this.#load(source.id) < this.#load(best.id)) best = source
    }
    return best
  }

  #load(id: SourceId): number {
    return [...this.#underWay.values()].filter(({ request }) => request.source === id).length
  }
}
