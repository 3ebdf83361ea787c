/** Programs over strips as the compiled kernels run them: steps become words with addresses, written where planes lie. */
import { type Binary, BINARIES, COMPARES, UNARIES } from '../core/graph-words.ts'
import { at, invariant } from '../core/invariant.ts'
import type { Dtype } from '../tensors/dtypes.ts'
import { BLOCK, type BlockSum, DIGITS } from './measures.ts'
import type { Measure, ProgramStep, RunProgram, StripProgram } from './strip-program.ts'
import type { Address, WasmWords } from './wasm-instance.ts'
import type { WasmMemory } from './wasm-memory.ts'

/** Elements of one strip: its planes fit the nearest cache. */
const STRIP = 512
const PLANE_BYTES = 8 * STRIP
/** Lanes and a total. */
const SUM_BYTES = 72

export const codes = <Word extends string>(words: readonly Word[], first = 0) =>
  Object.fromEntries(words.map((word, i) => [word, first + i])) as Readonly<Record<Word, number>>
const BLOCK_SUMS: readonly BlockSum[] = ['sum', 'l1', 'l2', 'dot', 'squaredDistance']
export const BINARY = codes<Binary>(BINARIES)
export const COMPARE = codes(COMPARES, BINARIES.length)
export const UNARY = codes(UNARIES)
export const BLOCK_SUM = codes(BLOCK_SUMS)

const DTYPES: Partial<Record<Dtype, { readonly code: number; readonly bytes: number }>> = {
  BF16: { code: 0, bytes: 2 },
  F16: { code: 1, bytes: 2 },
  F32: { code: 2, bytes: 4 },
}

const OP = codes(
  [
    'read',
    'write',
    'binary',
    'unary',
    'choose',
    'keep',
    'aboveCutoff',
    'scaled',
    'scaledPair',
    'weightedSum',
    'sort',
    'finite',
    'sum',
    'greatest',
    'histogram',
  ],
  1,
)

/** What a measure reads and writes, and where its state lies while a program runs. */
interface State {
  readonly array: Float64Array
  /** Bytes from one number of the array to the next. */
  readonly stride: number
  readonly address: Address
}

/** Whether this set has words for all of it. */
function hasWords({ steps, streams, dtype }: StripProgram, memory: WasmMemory): boolean {
  return (
    [...streams, ...(dtype === undefined ? [] : [dtype])].every((one) => DTYPES[one] !== undefined) &&
    steps.every((step) => {
      if (step.do === 'weightedSum') return step.planes.length > 0
      if (step.do !== 'measure' || step.measure.measure !== 'histogram') return true
      return memory.addressOf(step.measure.counts) >= 0
    })
  )
}

export class WasmPrograms {
  readonly #wasm: WasmWords
  readonly #memory: WasmMemory
  readonly #words: Uint32Array
  readonly #floats: Float64Array
  #area: { readonly address: Address; readonly bytes: number } | undefined
  #loaded: Loaded | undefined

  constructor(wasm: WasmWords, memory: WasmMemory) {
    this.#wasm = wasm
    this.#memory = memory
    this.#words = new Uint32Array(memory.buffer)
    this.#floats = new Float64Array(memory.buffer)
  }

  /** The memory has been given back. */
  reset(): void {
    this.#area = undefined
    this.#loaded = undefined
  }

  compile(program: StripProgram): RunProgram | undefined {
    if (!hasWords(program, this.#memory)) return undefined
    const bytes = new Layout(program, 0).bytes
    return (streams, first, count, out) => {
      invariant(first % BLOCK === 0, 'a run begins with a block')
      const loaded = this.#load(program, bytes)
      return loaded !== undefined && this.#run(loaded, streams, first, count, out)
    }
  }

  #load(program: StripProgram, bytes: number): Loaded | undefined {
    if (this.#loaded?.program === program) return this.#loaded
    this.#loaded = undefined
    if (!this.#area || this.#area.bytes < bytes) {
      const address = this.#memory.take(bytes)
      if (address < 0) return undefined
      this.#area = { address, bytes }
    }
    const layout = new Layout(program, this.#area.address)
    this.#words.set(layout.words, layout.code / 4)
    for (const { address, words } of layout.tables) this.#words.set(words, address / 4)
    for (const { address, value } of layout.numbers) this.#floats[address / 8] = value
    for (const { buffer, value } of program.constants) this.#wasm.fill(layout.plane(buffer), value, STRIP)
    return (this.#loaded = { program, layout })
  }

  #run(
    { program, layout }: Loaded,
    streams: readonly Uint8Array[],
    first: number,
    count: number,
    out: Uint8Array | undefined,
  ): boolean {
    invariant(streams.length === program.streams.length, 'every stream has its bytes')
    for (let i = 0; i < streams.length; i++) {
      const bytes = streams[i]!
      const from = this.#memory.addressOf(bytes)
      if (from < 0) return false
      invariant(bytes.length === count * DTYPES[program.streams[i]!]!.bytes, 'bytes of as many elements')
      this.#words[layout.streams / 4 + i] = from
    }
    let to = 0
    if (program.dtype !== undefined) {
      invariant(out?.length === count * DTYPES[program.dtype]!.bytes, 'room for as many elements')
      to = this.#memory.addressOf(out)
      if (to < 0) return false
    }
    const floats = this.#floats
    for (const { array, stride, address } of layout.states) {
      for (let i = 0; i < array.length; i++) floats[(address + i * stride) / 8] = array[i]!
    }
    for (const sums of layout.lanes) floats.fill(0, sums / 8, sums / 8 + 8)
    if (this.#wasm.runProgram(layout.code, layout.streams, to, first, count) === 0) return false
    for (const { array, stride, address } of layout.states)
      for (let i = 0; i < array.length; i++) array[i] = floats[(address + i * stride) / 8]!
    return layout.states.every(({ array }) => array.every(Number.isFinite))
  }
}

interface Loaded {
  readonly program: StripProgram
  readonly layout: Layout
}

/** Where everything of a program lies, from an address on. */
class Layout {
  readonly streams: Address
  readonly code: Address
  readonly bytes: number
  readonly words: number[] = []
  readonly tables: { readonly address: Address; readonly words: readonly number[] }[] = []
  readonly numbers: { readonly address: Address; readonly value: number }[] = []
  readonly states: State[] = []
  /** Sums whose lanes are to be cleared. */
  readonly lanes: Address[] = []
  readonly #planes: Address
  #next: Address

  constructor(program: StripProgram, start: Address) {
    this.#planes = start
    this.#next = start + PLANE_BYTES * program.buffers
    this.streams = this.#take(4 * program.streams.length)
    for (const step of program.steps) this.#encode(step, program)
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
    switch (step.do) {
      case 'read':
        put(OP.read, DTYPES[at(streams, step.stream)]!.code, step.stream, plane(step.out))
        return
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
      case 'measure':
        this.#measure(step.measure, step.planes)
    }
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
      const list = this.#take(8 * weights.length)
      weights.forEach((value, i) => this.numbers.push({ address: list + 8 * i, value }))
      this.words.push(OP.weightedSum, this.#table(planes), list, planes.length, target)
    }
  }

  #measure(measure: Measure, planes: readonly number[]): void {
    const plane = (i: number) => this.plane(at(planes, i))
    switch (measure.measure) {
      case 'sums': {
        const first = this.#next
        for (const [a, b] of measure.pairs) {
          const lanes = this.#take(SUM_BYTES)
          this.lanes.push(lanes)
          this.words.push(OP.sum, BLOCK_SUM[measure.op], plane(a), plane(b), lanes)
        }
        const stride = Math.ceil(SUM_BYTES / 16) * 16
        this.states.push({ array: measure.totals, stride, address: first + 64 })
        return
      }
      case 'greatest': {
        const address = this.#take(8)
        this.states.push({ array: measure.total, stride: 8, address })
        this.words.push(OP.greatest, plane(0), address)
        return
      }
      case 'histogram': {
        const { shift, bits } = DIGITS[measure.digit]
        this.words.push(OP.histogram, plane(0), shift, bits, measure.prefix, measure.counts.byteOffset)
      }
    }
  }
}
