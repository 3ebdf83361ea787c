/**
 * The tensors of a task as streams of elements: each is read from disk in tiles, the one tile at hand decoded strip by
 * strip. Buffers are as many as the tensor with the most streams has, whatever a tensor's size.
 */
import { at, invariant } from '../core/invariant.ts'
import type { Kernels } from '../kernels/kernels.ts'
import { bytesPerElement, type Dtype } from '../tensors/dtypes.ts'
import { type ByteStreams, type ReadStream, type StreamRef, STRIP } from './evaluate/evaluation.ts'
import type { OpenTileFiles } from './open-tile-files.ts'
import type { Pace } from './run.ts'
import type { MergeRule, TensorSlice } from './task.ts'

/** One buffer, and what of which stream lies in it. */
interface Tile {
  readonly bytes: Uint8Array
  /** As much of it as was read, made anew only where that is another length: views are garbage. */
  read: Uint8Array
  slice: TensorSlice | undefined
  begin: number
  end: number
}

/** Bytes of one element, at most. */
const WIDEST_BYTES = 8

export class TileStreams implements ByteStreams {
  readonly #files: OpenTileFiles
  readonly #kernels: Kernels<Float64Array>
  readonly #tileBytes: number
  readonly #rules: readonly MergeRule[]
  readonly #pace: Pace
  readonly #tiles: Tile[] = []
  #until = 0
  /** The rule at hand, and where each of its inputs stands in it. */
  #latest: { readonly rule: MergeRule; readonly places: ReadonlyMap<number, number> } | undefined

  /** `rules`: those of the evaluation's tensors. */
  constructor(
    files: OpenTileFiles,
    kernels: Kernels<Float64Array>,
    tileBytes: number,
    rules: readonly MergeRule[],
    pace: Pace,
  ) {
    this.#files = files
    this.#kernels = kernels
    this.#tileBytes = tileBytes
    this.#rules = rules
    this.#pace = pace
  }

  /** Elements from here on are not wanted for now, so they are not read ahead. */
  until(element: number): void {
    this.#until = element
  }

  get atOnce(): number {
    return Math.floor(this.#tileBytes / WIDEST_BYTES / STRIP) * STRIP
  }

  dtypeOf(stream: StreamRef, tensor: number): Dtype {
    return this.#find(at(this.#rules, tensor), stream).slice.dtype
  }

  /** Bytes as they lie on disk, lent until more of the stream is read. */
  bytes(stream: StreamRef, tensor: number, first: number, count: number): Uint8Array {
    const { slice, place } = this.#find(at(this.#rules, tensor), stream)
    const size = bytesPerElement(slice.dtype)
    return this.#tileOf(slice, place, first * size, (first + count) * size)
  }

  /** The same of one stream, which is looked for once. */
  reader(stream: StreamRef, tensor: number): (first: number, count: number) => Uint8Array {
    const { slice, place } = this.#find(at(this.#rules, tensor), stream)
    const size = bytesPerElement(slice.dtype)
    return (first, count) => this.#tileOf(slice, place, first * size, (first + count) * size)
  }

  readonly read: ReadStream<Float64Array> = (stream, tensor, first, count, into) => {
    this.#kernels.decode(this.dtypeOf(stream, tensor), this.bytes(stream, tensor, first, count), into)
  }

  #tileOf(slice: TensorSlice, place: number, begin: number, end: number): Uint8Array {
    const tile = this.#tile(place)
    if (tile.slice !== slice || begin < tile.begin || end > tile.end) this.#fill(tile, slice, begin)
    if (begin === tile.begin && end === tile.end) return tile.read
    return tile.bytes.subarray(begin - tile.begin, end - tile.begin)
  }

  #tile(place: number): Tile {
    while (this.#tiles.length <= place) {
      const bytes = this.#kernels.allocateBytes(this.#tileBytes)
      this.#tiles.push({ bytes, read: bytes, slice: undefined, begin: 0, end: 0 })
    }
    return at(this.#tiles, place)
  }

  #fill(tile: Tile, slice: TensorSlice, begin: number): void {
    this.#pace.check()
    const end = Math.min(begin + this.#tileBytes, slice.bytes, this.#until * bytesPerElement(slice.dtype))
    tile.slice = undefined
    if (tile.read.length !== end - begin) tile.read = tile.bytes.subarray(0, end - begin)
    this.#files.read(slice.path, tile.read, slice.offset + begin)
    tile.slice = slice
    tile.begin = begin
    tile.end = end
  }

  /** The stream's bytes, and which buffer is its own while this tensor is read. */
  #find(rule: MergeRule, stream: StreamRef): { slice: TensorSlice; place: number } {
    if (stream === 'base') {
      invariant(rule.base, 'a formula reads the base only where there is one')
      return { slice: rule.base, place: 0 }
    }
    const index = this.#placeOf(rule, stream.input)
    const own = at(rule.inputs, index)
    if (stream.sidecar === undefined) return { slice: own.value, place: 1 + index }
    const kinds = Object.keys(own.sidecars ?? {})
    const slice = own.sidecars?.[stream.sidecar]
    invariant(slice, `the ${stream.sidecar} of an input came with it`)
    return { slice, place: 1 + rule.inputs.length * (1 + kinds.indexOf(stream.sidecar)) + index }
  }

  #placeOf(rule: MergeRule, input: number): number {
    if (this.#latest?.rule !== rule)
      this.#latest = { rule, places: new Map(rule.inputs.map((own, place) => [own.input, place])) }
    const place = this.#latest.places.get(input)
    invariant(place !== undefined, 'a formula reads inputs of its own')
    return place
  }
}
