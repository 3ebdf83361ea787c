/** Programs over strips on the compiled kernels: loaded where planes lie, run, and their measures taken out. */
import { invariant } from '../core/invariant.ts'
import { BLOCK } from './measures.ts'
import { restOf, SUM_BYTES } from './pair-area.ts'
import { DTYPES } from './program-codes.ts'
import { ProgramLayout, STRIP } from './program-layout.ts'
import { maskBytes, type RunProgram, type StripProgram } from './strip-program.ts'
import type { Address, WasmWords } from './wasm-instance.ts'
import type { WasmMemory } from './wasm-memory.ts'

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
  /** Sums of blocks, until they are told. */
  #blocks: { readonly address: Address; readonly numbers: number } | undefined

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
    this.#blocks = undefined
  }

  compile(program: StripProgram): RunProgram | undefined {
    if (!hasWords(program, this.#memory)) return undefined
    const bytes = new ProgramLayout(program, 0).bytes
    return (streams, first, count, out, masks = []) => {
      invariant(first % BLOCK === 0, 'a run begins with a block')
      const loaded = this.#load(program, bytes)
      return loaded !== undefined && this.#run(loaded, streams, first, count, out, masks)
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
    const layout = new ProgramLayout(program, this.#area.address)
    this.#words.set(layout.words, layout.code / 4)
    for (const { address, words } of layout.tables) this.#words.set(words, address / 4)
    for (const { address, value } of layout.numbers) this.#floats[address / 8] = value
    for (const { buffer, value } of program.constants) this.#wasm.fill(layout.plane(buffer), value, STRIP)
    for (const { area, planes } of layout.areas) {
      const { first, bytes } = restOf(area, planes)
      this.#words.fill(0, first / 4, (first + bytes) / 4)
    }
    return (this.#loaded = { program, layout })
  }

  #run(
    { program, layout }: Loaded,
    streams: readonly Uint8Array[],
    first: number,
    count: number,
    out: Uint8Array | undefined,
    masks: readonly Uint8Array[],
  ): boolean {
    invariant(streams.length === program.streams.length, 'every stream has its bytes')
    for (let i = 0; i < streams.length; i++) {
      const bytes = streams[i]!
      const from = this.#memory.addressOf(bytes)
      if (from < 0) return false
      invariant(bytes.length === count * DTYPES[program.streams[i]!]!.bytes, 'bytes of as many elements')
      this.#words[layout.streams / 4 + i] = from
    }
    invariant(masks.length === (program.masks ?? 0), 'every mask has its bits')
    for (let i = 0; i < masks.length; i++) {
      const from = this.#memory.addressOf(masks[i]!)
      if (from < 0) return false
      invariant(masks[i]!.length === maskBytes(count), 'bits of as many elements')
      this.#words[layout.streams / 4 + streams.length + i] = from
    }
    let to = 0
    if (program.dtype !== undefined) {
      invariant(out?.length === count * DTYPES[program.dtype]!.bytes, 'room for as many elements')
      to = this.#memory.addressOf(out)
      if (to < 0) return false
    }
    const floats = this.#floats
    if (!this.#clearSums(layout, Math.ceil(count / BLOCK))) return false
    for (const { array, stride, address } of layout.states) {
      for (let i = 0; i < array.length; i++) floats[(address + i * stride) / 8] = array[i]!
    }
    if (this.#wasm.runProgram(layout.code, layout.streams, to, first, count) === 0) return false
    for (const { array, stride, address } of layout.states)
      for (let i = 0; i < array.length; i++) array[i] = floats[(address + i * stride) / 8]!
    return finite(layout) && this.#tellBlocks(layout, Math.ceil(count / BLOCK))
  }

  /** False where there is no room for what the blocks add up to. */
  #clearSums({ sums, areas }: ProgramLayout, blocks: number): boolean {
    const numbers = blocks * [...sums, ...areas].reduce((sum, place) => sum + (place.tellBlocks ? place.count : 0), 0)
    if (numbers > (this.#blocks?.numbers ?? 0)) {
      const address = this.#memory.take(8 * numbers)
      if (address < 0) return false
      this.#blocks = { address, numbers }
    }
    let to = this.#blocks?.address ?? 0
    for (const place of sums) {
      const { first, count } = place
      this.#floats.fill(0, first / 8, (first + SUM_BYTES * count) / 8)
      if (!place.tellBlocks) continue
      for (let i = 0; i < count; i++) {
        const at = (first + SUM_BYTES * i + 72) / 4
        this.#words[at] = to + 8 * i
        this.#words[at + 1] = 8 * count
      }
      to += 8 * count * blocks
    }
    for (const place of areas) {
      const { area, count } = place
      this.#words.set(place.tellBlocks ? [to, 8 * count, 1] : [place.sums, 0, 1], area / 4)
      if (place.tellBlocks) to += 8 * count * blocks
    }
    return true
  }

  /** False, and nothing told, where one is not finite. */
  #tellBlocks({ sums, areas }: ProgramLayout, blocks: number): boolean {
    let from = (this.#blocks?.address ?? 0) / 8
    const told = [...sums, ...areas].flatMap(({ count, tellBlocks }) =>
      tellBlocks ? [{ sums: this.#floats.subarray(from, (from += count * blocks)), tellBlocks }] : [],
    )
    if (!told.every(({ sums }) => allFinite(sums))) return false
    for (const { sums, tellBlocks } of told) tellBlocks(sums)
    return true
  }
}

const finite = ({ states }: ProgramLayout): boolean => states.every(({ array }) => allFinite(array))

/** Nothing but what is not finite differs from itself. */
function allFinite(numbers: Float64Array): boolean {
  let differences = 0
  for (let i = 0; i < numbers.length; i++) differences += numbers[i]! - numbers[i]!
  return differences === 0
}

interface Loaded {
  readonly program: StripProgram
  readonly layout: ProgramLayout
}
