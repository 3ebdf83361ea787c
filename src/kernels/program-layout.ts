/** A program as words with addresses: where its planes, tables and numbers lie, and what each step is to the compiled kernels. */
import { at, invariant } from '../core/invariant.ts'
import { type Ending, endingOf, factorOf } from './elect-onto.ts'
import { isNarrowSum } from './measures.ts'
import { areaBytes, isOfEveryPair, readForPairs, SUM_BYTES } from './pair-area.ts'
import { type ElectStreams, electStreamsOf } from './elect-streams.ts'
import { BINARY, BLOCK_SUM, COMPARE, DTYPES, OP, UNARY } from './program-codes.ts'
import type { AreaPlace, State, SumsPlace } from './program-places.ts'
import { keepBelow } from './reference.ts'
import { type ChangeStep, withStreamChanges } from './stream-changes.ts'
import { type SumEnding, sumEndingOf } from './sum-onto.ts'
import { type Fused, isFused, type Measure, type ProgramStep, type StripProgram } from './strip-program.ts'
import type { Address } from './wasm-instance.ts'

/** Elements of one strip: its planes fit the nearest cache. */
export const STRIP = 512
/** A line of the cache more than a strip, lest many planes begin in the same place of it. */
const PLANE_BYTES = 8 * STRIP + 64

/** Where everything of a program lies, from an address on. */
export class ProgramLayout {
  /** Addresses of the streams, then of the masks. */
  readonly streams: Address
  readonly code: Address
  readonly bytes: number
  readonly words: number[] = []
  readonly tables: { readonly address: Address; readonly words: readonly number[] }[] = []
  readonly numbers: { readonly address: Address; readonly value: number }[] = []
  readonly states: State[] = []
  readonly sums: SumsPlace[] = []
  readonly areas: AreaPlace[] = []
  readonly #planes: Address
  /** Of a program that reads for pairs of planes alone: the stream of each, and where the pairs are summed. */
  readonly #packed: ReturnType<typeof readForPairs>
  readonly #area: Address = 0
  #next: Address

  constructor(program: StripProgram, start: Address) {
    this.#planes = start
    this.#next = start + PLANE_BYTES * program.buffers
    this.streams = this.#take(4 * (program.streams.length + (program.masks ?? 0)))
    this.#packed = readForPairs(program.steps)
    if (this.#packed) this.#area = this.#take(areaBytes(this.#packed.length))
    const ending = endingOf(program)
    const sumEnding = sumEndingOf(program)
    this.#quickly(electStreamsOf(program, ending), ending, program)
    for (const step of withStreamChanges(program)) {
      if (step.do === 'readChange' || step.do === 'sumChanges') this.#change(step, program)
      else if (ending?.steps.has(step) !== true && sumEnding?.steps.has(step) !== true) this.#encode(step, program)
    }
    this.#end(ending)
    this.#endWithSum(sumEnding)
    this.words.push(0)
    this.code = this.#take(4 * this.words.length)
    this.bytes = this.#next - start
  }

  plane(buffer: number): Address {
    return this.#planes + PLANE_BYTES * buffer
  }

  #take(bytes: number): Address {
    const address = this.#next
    this.#next += Math.ceil(bytes / 16) * 16
    return address
  }

  #number(value: number): Address {
    const address = this.#take(8)
    this.numbers.push({ address, value })
    return address
  }

  /** Addresses of planes, in a table. */
  #table(planes: readonly number[]): Address {
    const address = this.#take(4 * planes.length)
    this.tables.push({ address, words: planes.map((plane) => this.plane(plane)) })
    return address
  }

  #encode(step: ProgramStep, { streams, dtype }: StripProgram): void {
    const put = (...words: readonly number[]) => this.words.push(...words.map((word) => word >>> 0))
    const plane = (buffer: number) => this.plane(buffer)
    if (isFused(step)) {
      this.#fused(step)
      return
    }
    switch (step.do) {
      case 'read': {
        if (this.#packed) return // all at once, before their pairs
        const { code } = DTYPES[at(streams, step.stream)]!
        put(step.narrow ? OP.readNarrow : OP.read, code, step.stream, plane(step.out))
        return
      }
      case 'write':
        invariant(dtype, 'what is written has a dtype')
        put(OP.write, DTYPES[dtype]!.code, plane(step.a))
        return
      case 'binary':
        put(OP.binary, BINARY[step.op], plane(step.a), plane(step.b), plane(step.out))
        return
      case 'compare':
        put(OP.binary, COMPARE[step.op], plane(step.a), plane(step.b), plane(step.out))
        return
      case 'unary':
        put(OP.unary, UNARY[step.op], plane(step.a), plane(step.out))
        return
      case 'choose':
        put(OP.choose, plane(step.mask), plane(step.a), plane(step.b), plane(step.out))
        return
      case 'keep':
        put(OP.keep, step.key.low, step.key.high, plane(step.a), plane(step.out))
        return
      case 'aboveCutoff':
        put(OP.aboveCutoff, plane(step.a), step.key, this.#number(step.lastTie - step.offset), plane(step.out))
        return
      case 'weightedSum':
        this.#weightedSum(step.planes, step.weights, step.out)
        return
      case 'sort': {
        const column = this.#take(16 * step.planes.length)
        put(OP.sort, this.#table(step.planes), this.#table(step.outs), step.planes.length, column)
        return
      }
      case 'finite':
        put(OP.finite, plane(step.a))
        return
      case 'draw': {
        const { low, high } = step.key
        put(OP.draw, low, high, keepBelow(step.probability), streams.length + step.mask)
        return
      }
      case 'pick':
        put(OP.pick, streams.length + step.mask, plane(step.a), plane(step.out))
        return
      case 'measure':
        if (this.#packed) this.#readPacked(this.#packed, streams)
        this.#measure(step.measure, step.planes, step.narrow)
        return
    }
  }

  #change(step: ChangeStep, { streams }: StripProgram): void {
    const isF32 = at(streams, step.stream) === 'F32' ? 1 : 0
    const from = [isF32, step.stream, this.plane(step.base)]
    if (step.do === 'readChange') {
      const mask = step.mask === undefined ? -1 >>> 0 : streams.length + step.mask
      this.words.push(OP.readChange, ...from, mask, this.plane(step.out))
      return
    }
    const { all, kept } = step
    const [sumOfAll, sumOfKept] = [at(this.#lanes(all), 0), at(this.#lanes(kept), 0)]
    const mask = streams.length + step.mask
    this.words.push(OP.sumChanges, ...from, mask, this.plane(step.spare), BLOCK_SUM[all.op], sumOfAll, sumOfKept)
  }

  #readPacked(packed: NonNullable<ReturnType<typeof readForPairs>>, streams: StripProgram['streams']): void {
    const address = this.#take(8 * packed.length)
    const words = packed.flatMap((stream) => [DTYPES[at(streams, stream)]!.code, stream])
    this.tables.push({ address, words })
    this.words.push(OP.readPacked, address, packed.length, this.#area)
  }

  #weightedSum(planes: readonly number[], weights: readonly number[], out: number): void {
    const [first, second] = planes
    const target = this.plane(out)
    invariant(first !== undefined, 'a sum has terms')
    if (second === undefined) this.words.push(OP.scaled, this.plane(first), this.#number(weights[0]!), target)
    else if (planes.length === 2)
      this.words.push(
        OP.scaledPair,
        this.plane(first),
        this.plane(second),
        this.#number(weights[0]!),
        this.#number(weights[1]!),
        target,
      )
    else {
      this.words.push(OP.weightedSum, this.#table(planes), this.#list(weights), planes.length, target)
    }
  }

  #fused(step: Fused): void {
    const put = (...words: readonly number[]) => this.words.push(...words.map((word) => word >>> 0))
    const plane = (buffer: number) => this.plane(buffer)
    switch (step.do) {
      case 'widen':
      case 'narrow':
        put(OP[step.do], plane(step.a), plane(step.out))
        return
      case 'change':
        put(OP.change, plane(step.a), plane(step.b), plane(step.out))
        return
      case 'scale':
        put(OP.scale, BINARY[step.op], plane(step.a), this.#number(step.by), plane(step.out))
        return
      case 'trim':
        put(OP.trim, plane(step.a), step.key, this.#number(step.lastTie - step.offset), plane(step.out))
        return
      case 'trimInTurn': {
        put(OP.trimInTurn, plane(step.a), step.key, this.#tiesOf(step.ties), plane(step.out))
        return
      }
      case 'drop': {
        const { low, high } = step.key
        put(OP.drop, low, high, keepBelow(step.probability), plane(step.a), plane(step.out))
        return
      }
      case 'votes':
        put(OP.votes, this.#table(step.planes), this.#list(step.weights), step.planes.length, this.#table(step.outs))
        return
      case 'elect': {
        const { planes, weights, divisors } = step
        const by = divisors ? this.#list(divisors) : 0
        put(OP.elect, this.#table(planes), this.#list(weights), planes.length, by, plane(step.out))
      }
    }
  }

  /** The state of a last tie that is looked for, once. */
  #tiesOf(ties: Float64Array): Address {
    const known = this.states.find(({ array }) => array === ties)
    if (known) return known.address
    const address = this.#take(16)
    this.states.push({ array: ties, stride: 8, address })
    return address
  }

  /** All in one step, before those that it stands for. */
  #quickly(quick: ElectStreams | undefined, ending: Ending | undefined, { streams }: StripProgram): void {
    if (!quick || !ending) return
    const { base, changes, mode, plan } = quick
    this.words.push(OP.electStreams, this.#floats(plan), mode, this.plane(ending.elect.out), 0)
    this.words.push(...this.#electing(ending), base, ending.proof?.isLarge ? 1 : 0)
    for (const { stream, left } of changes)
      if (!left) this.words.push(stream, 0, 0, 0)
      else if (left.do === 'pick') this.words.push(stream, streams.length + left.mask, 0, 0)
      else if (left.do === 'trim') this.words.push(stream, left.key, this.#number(left.lastTie - left.offset), 0)
      else this.words.push(stream, left.key, 0, this.#tiesOf(left.ties))
  }

  #electing({ elect, scales }: Ending): readonly number[] {
    const divisors = elect.divisors ? this.#list(elect.divisors) : 0
    return [this.#list(elect.weights), elect.planes.length, divisors, ...this.#scales(scales)]
  }

  #end(ending: Ending | undefined): void {
    if (!ending) return
    const { elect, scales, base, proof } = ending
    const planes = this.#table(elect.planes)
    if (!proof) {
      const weights = this.#list(elect.weights)
      const factors = scales.some((scale) => scale !== undefined) ? this.#list(scales.map(factorOf)) : 0
      this.words.push(OP.electOntoF32, planes, this.plane(base), weights, factors)
      return
    }
    const { isLarge, plan } = proof
    this.words.push(OP.electOnto, planes, this.plane(base), this.#floats(plan), this.plane(elect.out))
    this.words.push(...this.#electing(ending), isLarge ? 1 : 0)
  }

  #endWithSum(ending: SumEnding | undefined): void {
    if (!ending) return
    const { planes, weights, scales, base, plan } = ending
    this.words.push(OP.sumOnto, this.#table(planes), this.plane(base), this.#floats(plan))
    this.words.push(this.#list(weights), planes.length, ...this.#scales(scales))
  }

  /** What planes are multiplied by, and, as bits, which are divided instead. */
  #scales(scales: Ending['scales']): readonly number[] {
    const overs = scales.reduce((bits, scale, i) => bits | (scale?.op === 'over' ? 1 << i : 0), 0)
    return [this.#list(scales.map((scale) => scale?.by ?? 1)), overs]
  }

  #floats(numbers: readonly number[]): Address {
    const address = this.#take(4 * numbers.length)
    this.tables.push({ address, words: [...new Uint32Array(Float32Array.from(numbers).buffer)] })
    return address
  }

  #list(numbers: readonly number[]): Address {
    const address = this.#take(8 * numbers.length)
    numbers.forEach((value, i) => this.numbers.push({ address: address + 8 * i, value }))
    return address
  }

  #measure(measure: Measure, planes: readonly number[], narrow: boolean): void {
    const plane = (i: number) => this.plane(at(planes, i))
    switch (measure.measure) {
      case 'sums': {
        if (isOfEveryPair(measure.op, measure.pairs, planes.length)) {
          this.#pairs(measure, planes)
          return
        }
        const lanes = this.#lanes(measure)
        const first = at(lanes, 0)
        const op = BLOCK_SUM[measure.op]
        if (narrow) {
          invariant(isNarrowSum(measure.op, measure.pairs), 'these sums are of planes that are not narrow')
          if (measure.op === 'dot') this.words.push(OP.dotsNarrow, plane(0), plane(1), first)
          else this.words.push(OP.sumNarrow, op, plane(0), first)
        } else measure.pairs.forEach(([a, b], i) => this.words.push(OP.sum, op, plane(a), plane(b), at(lanes, i)))
        return
      }
      case 'greatest': {
        const address = this.#take(8)
        this.states.push({ array: measure.total, stride: 8, address })
        this.words.push(OP.greatest, plane(0), address)
        return
      }
      case 'nth': {
        const address = this.#take(16)
        this.states.push({ array: measure.state, stride: 8, address })
        this.words.push(OP.nth, plane(0), measure.key, this.#number(measure.offset), address)
        return
      }
      case 'histogram': {
        const { low, high, shift } = measure.range
        this.words.push(
          narrow ? OP.histogramNarrow : OP.histogram,
          plane(0),
          low,
          high,
          shift,
          measure.counts.byteOffset,
        )
      }
    }
  }

  #lanes({ pairs, totals, tellBlocks }: Extract<Measure, { measure: 'sums' }>): readonly Address[] {
    const lanes = pairs.map(() => this.#take(SUM_BYTES))
    const first = at(lanes, 0)
    this.sums.push({ first, count: lanes.length, tellBlocks })
    if (!tellBlocks) this.states.push({ array: totals, stride: SUM_BYTES, address: first + 64 })
    return lanes
  }

  #pairs({ op, totals, tellBlocks }: Extract<Measure, { measure: 'sums' }>, planes: readonly number[]): void {
    const count = totals.length
    const area = this.#packed ? this.#area : this.#take(areaBytes(planes.length))
    const sums = this.#take(8 * count)
    this.areas.push({ area, planes: planes.length, sums, count, tellBlocks })
    const address = this.#take(4 * planes.length)
    this.tables.push({ address, words: planes.map((plane) => (this.#packed ? 0 : this.plane(plane))) })
    this.words.push(OP.pairSums, BLOCK_SUM[op], address, planes.length, area)
    if (!tellBlocks) this.states.push({ array: totals, stride: 8, address: sums })
  }
}
