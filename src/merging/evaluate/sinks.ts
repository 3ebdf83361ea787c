/** Reductions in the making. Each is shown every strip of its planes, in order, in as many passes as it asks for. */
import type { CutoffNode, LaterNode, Reducing } from '../../core/graph.ts'
import { math } from '../../core/libm.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import { type BlockSum, isNarrowSum } from '../../kernels/measures.ts'
import { pairBytes } from '../../kernels/pair-area.ts'
import type { Measure } from '../../kernels/strip-program.ts'
import { type Cutoff, CutoffSearch, keepCount, type OpenCutoff, SEARCH_NUMBERS } from '../../kernels/selection.ts'
import { STRIP } from './evaluation.ts'
import { COUNTS_BYTES, type Spares } from './spares.ts'

/** How threads measure one tensor together: each sees parts, and what they saw is joined in shared memory. */
export interface Joining {
  /** Numbers that say all that is known, once a pass has ended. */
  readonly room: number
  load(from: Float64Array): void
  save(to: Float64Array): void
  /** What is seen from here on is one part. */
  beginPart(): void
  /** What of it has its place among the other parts. */
  endPart(): Seen
  /** Parts in order join what was known before. `again` shows this sink the part once more. */
  join(numbers: Float64Array, seen: Seen, again: () => void): void
  /** Some parts, whichever they were, join the others. */
  pour?(counts: Uint32Array): void
  /** All parts of this pass, before it ends. */
  gather(numbers: Float64Array, counts: Uint32Array): void
}

/** Numbers in the order in which they were found. */
export type Seen = readonly Float64Array[]

export interface Sink<B> {
  readonly joining: Joining
  /** One strip. `first` counts elements from the start of the scope. */
  see(planes: readonly B[], first: number, count: number): void
  /** What a program of the kernels may measure in place of `see`, in this pass. */
  measure?(offset: number): Measure | undefined
  /** That may look at narrow planes. */
  readonly narrow?: boolean
  /** In this pass, some strips will do. */
  readonly samples?: boolean
  /** A tensor of the scope has been seen whole. */
  endTensor(): void
  endPass(): void
  readonly done: boolean
  /** False once a strip held what is not finite. */
  readonly finite: boolean
  /** Of a cutoff: what is known before the last pass, which a pass over the output may stand for. */
  readonly open?: OpenCutoff | undefined
  /** That pass did not come to its end. */
  restart?(): void
  /** Of a sink that is done. */
  readonly value: unknown
  /** Gives back what it measured with, once its value is known. */
  release?(): void
}

/** Block sums, added in block order within a tensor, and tensors in the order of their names. */
class Sums<B> implements Sink<B> {
  readonly #kernels: Kernels<B>
  readonly #op: BlockSum
  readonly #pairs: readonly (readonly [number, number])[]
  readonly #finish: (sums: readonly number[]) => unknown
  readonly #inTensor: Float64Array
  readonly #sums: number[]
  /** Of a part: the sums of its blocks, of all pairs one after the other. */
  #blocks: Float64Array[] | undefined
  readonly joining: Joining
  readonly narrow: boolean
  done = false
  finite = true

  constructor(
    kernels: Kernels<B>,
    op: BlockSum,
    pairs: readonly (readonly [number, number])[],
    finish: (sums: readonly number[]) => unknown,
  ) {
    this.#kernels = kernels
    this.#op = op
    this.#pairs = pairs
    this.narrow = isNarrowSum(op, pairs)
    this.#finish = finish
    this.#inTensor = new Float64Array(pairs.length)
    this.#sums = pairs.map(() => 0)
    this.joining = {
      room: pairs.length,
      load: (from) => {
        for (let i = 0; i < from.length; i++) this.#sums[i] = from[i]!
        this.done = true
      },
      save: (to) => {
        to.set(this.#sums)
      },
      beginPart: () => {
        this.#blocks = []
      },
      endPart: () => this.#blocks!,
      join: (numbers, seen) => {
        for (const sums of seen)
          for (let at = 0; at < sums.length; at += numbers.length)
            for (let i = 0; i < numbers.length; i++) numbers[i]! += sums[at + i]!
      },
      gather: (numbers) => {
        this.#inTensor.set(numbers)
      },
    }
  }

  see(planes: readonly B[]): void {
    const into = this.#blocks ? new Float64Array(this.#pairs.length) : this.#inTensor
    for (let i = 0; i < this.#pairs.length; i++) {
      const [a, b] = this.#pairs[i]!
      const sum = into[i]! + this.#kernels.reduce(this.#op, planes[a]!, planes[b])
      if (!Number.isFinite(sum)) this.finite = false
      into[i] = sum
    }
    if (this.#blocks) this.#blocks.push(into)
  }
  measure(): Measure {
    const measure = { measure: 'sums', op: this.#op, pairs: this.#pairs, totals: this.#inTensor } as const
    return this.#blocks ? { ...measure, tellBlocks: (sums) => this.#blocks!.push(sums.slice()) } : measure
  }
  endTensor(): void {
    this.#inTensor.forEach((sum, i) => (this.#sums[i]! += sum))
    this.#inTensor.fill(0)
  }
  endPass(): void {
    this.done = true
  }
  get value(): unknown {
    return this.#finish(this.#sums)
  }
}

/** The greatest magnitude: lane by lane while strips come, across lanes at the end. Order leaves no trace. */
class Greatest<B> implements Sink<B> {
  readonly #kernels: Kernels<B>
  readonly #spares: Spares<B>
  readonly #lanes: B
  readonly #magnitudes: B
  /** Of what programs saw. */
  readonly #most = new Float64Array(1)
  readonly joining: Joining
  done = false
  finite = true

  constructor(kernels: Kernels<B>, spares: Spares<B>) {
    this.#kernels = kernels
    this.#spares = spares
    this.#lanes = spares.takePlane()
    this.#magnitudes = spares.takePlane()
    this.joining = {
      room: 1,
      load: (from) => {
        this.#most.set(from)
        this.done = true
      },
      save: (to) => {
        to.set(this.#most)
      },
      beginPart: () => undefined, // order and parts leave no trace
      endPart: () => [],
      join: (numbers) => {
        numbers[0] = Math.max(numbers[0]!, this.value)
      },
      gather: (numbers) => {
        this.#most.set(numbers)
      },
    }
  }
  see([plane]: readonly B[], _first: number, count: number): void {
    const k = this.#kernels
    const whole = count === STRIP
    const lanes = whole ? this.#lanes : k.view(this.#lanes, 0, count)
    const magnitudes = whole ? this.#magnitudes : k.view(this.#magnitudes, 0, count)
    if (!Number.isFinite(k.reduce('sum', plane!))) this.finite = false
    k.binary('max', lanes, k.unary('abs', plane!, magnitudes), lanes)
  }
  measure(): Measure {
    return { measure: 'greatest', total: this.#most }
  }
  endTensor(): void {
    // lanes know no tensors
  }
  endPass(): void {
    this.done = true
  }
  get value(): number {
    const k = this.#kernels
    for (let half = STRIP / 2; half >= 1; half /= 2) {
      const low = k.view(this.#lanes, 0, half)
      k.binary('max', low, k.view(this.#lanes, half, half), low)
    }
    return Math.max(this.#most[0]!, k.reduce('sum', k.view(this.#lanes, 0, 1)))
  }
  release(): void {
    this.#spares.givePlane(this.#lanes)
    this.#spares.givePlane(this.#magnitudes)
  }
}

class Selection<B> implements Sink<B> {
  readonly #search: CutoffSearch<B>
  readonly #spares: Spares<B>
  readonly #counts: Uint32Array
  readonly #elements: number
  readonly #withEquals: boolean
  readonly #all: boolean
  readonly joining: Joining
  readonly narrow = true
  readonly finite = true // magnitudes are compared, never added

  constructor(kernels: Kernels<B>, spares: Spares<B>, { fraction, withEquals }: CutoffNode, elements: number) {
    const kept = keepCount(fraction, elements)
    const wanted = withEquals ? Math.min(elements, kept + 1) : kept
    this.#all = wanted === elements
    this.#spares = spares
    this.#counts = spares.takeCounts()
    this.#search = new CutoffSearch(kernels, this.#counts, this.#all ? 0 : wanted, elements)
    const search = this.#search
    this.joining = {
      room: SEARCH_NUMBERS,
      load: search.load.bind(search),
      save: search.save.bind(search),
      beginPart: search.beginPart.bind(search),
      endPart: () => [Float64Array.of(search.tiesOfPart)],
      join: (numbers, [ties], again) => {
        search.join(numbers, ties![0]!, again)
      },
      pour: search.pour.bind(search),
      gather: search.gather.bind(search),
    }
    this.#elements = elements
    this.#withEquals = withEquals
  }
  see([plane]: readonly B[], first: number): void {
    this.#search.see(plane!, first)
  }
  measure(offset: number): Measure | undefined {
    return this.#search.measure(offset)
  }
  get samples(): boolean {
    return this.#search.samples
  }
  endTensor(): void {
    this.#search.endTensor()
  }
  endPass(): void {
    this.#search.endPass()
  }
  get open(): OpenCutoff | undefined {
    return this.#search.open
  }
  restart(): void {
    this.#search.restart()
  }
  get done(): boolean {
    return this.#search.cutoff !== undefined || (this.#withEquals && this.open !== undefined)
  }
  get value(): Cutoff {
    const everything = { key: 0, lastTie: this.#elements - 1 }
    if (this.#all) return everything
    const { cutoff, open } = this.#search
    return this.#withEquals ? { key: (cutoff ?? open)!.key, lastTie: everything.lastTie } : cutoff!
  }
  release(): void {
    this.#spares.giveCounts(this.#counts)
  }
}

const itself = (sums: readonly number[]): number => sums[0]!
const root = (sums: readonly number[]): number => math.sqrt(sums[0]!)

function symmetric(size: number): { pairs: [number, number][]; finish: (sums: readonly number[]) => number[][] } {
  const pairs: [number, number][] = []
  for (let i = 0; i < size; i++) for (let j = i; j < size; j++) pairs.push([i, j])
  const finish = (sums: readonly number[]): number[][] => {
    const matrix = Array.from({ length: size }, () => Array<number>(size).fill(0))
    pairs.forEach(([i, j], n) => {
      matrix[i]![j] = sums[n]!
      matrix[j]![i] = sums[n]!
    })
    return matrix
  }
  return { pairs, finish }
}

/** A sink for this reduction over `elements` elements in all. */
export function sinkFor<B>(node: Reducing, kernels: Kernels<B>, spares: Spares<B>, elements: number): Sink<B> {
  if (node.kind === 'cutoff') return new Selection(kernels, spares, node, elements)
  if (node.kind === 'pairs') {
    const { pairs, finish } = symmetric(node.planes.length)
    return new Sums(kernels, node.op === 'gram' ? 'dot' : 'squaredDistance', pairs, finish)
  }
  if (node.op === 'linf') return new Greatest(kernels, spares)
  return new Sums(kernels, node.op, [[0, node.a === node.b ? 0 : 1]], node.op === 'l2' ? root : itself)
}

/** Times the planes of a reduction are read, as far as is known before reading. */
export const passesOf = (node: LaterNode): number =>
  node.kind !== 'cutoff' ? 1 : node.withEquals || (node.fraction > 0 && node.fraction < 1) ? 5 : 0

/** Numbers that threads share of a reduction. */
export function roomOf(node: Reducing): number {
  if (node.kind === 'cutoff') return SEARCH_NUMBERS
  return node.kind === 'pairs' ? (node.planes.length * (node.planes.length + 1)) / 2 : 1
}

/** Sums of a pair over as many blocks as are seen at once. */
const BLOCK_SUMS_BYTES = 16 * 8

/** Bytes that a reduction keeps while it is measured. */
export function measuringBytesOf(node: Reducing): number {
  if (node.kind === 'cutoff') return COUNTS_BYTES
  if (node.kind === 'pairs') return pairBytes(node.planes.length) + BLOCK_SUMS_BYTES * roomOf(node)
  return node.op === 'linf' ? 2 * 8 * STRIP : 0
}

/** Who is to be shown the next pass, and whether some strips will do; undefined where all are done. */
export function nextPass<B>(
  sinks: readonly Sink<B>[],
  enough: (sink: Sink<B>) => boolean = ({ done }) => done,
): { readonly now: readonly Sink<B>[]; readonly sampled: boolean } | undefined {
  const pending = sinks.filter((sink) => !enough(sink))
  const samplers = pending.filter(({ samples }) => samples === true)
  if (pending.length === 0) return undefined
  return samplers.length > 0 ? { now: samplers, sampled: true } : { now: pending, sampled: false }
}

/** Pass after pass, until every sink has what it needs. */
export function runPasses<B>(
  sinks: Iterable<Sink<B>>,
  pass: (pending: readonly Sink<B>[], sampled: boolean) => void,
  enough?: (sink: Sink<B>) => boolean,
): void {
  const all = [...sinks]
  for (let next = nextPass(all, enough); next; next = nextPass(all, enough)) {
    pass(next.now, next.sampled)
    for (const sink of next.now) sink.endPass()
  }
}

/** The value of a sink that is done and not needed any more. */
export function settled<B>(sink: Sink<B>): unknown {
  const { value } = sink
  sink.release?.()
  return value
}
