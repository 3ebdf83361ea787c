/**
 * Threads that measure one tensor together. Each pass is dealt out in segments; what is found joins what was found before in
 * the order of segments, so the number of threads leaves no trace. Who is early goes on and joins later. All that is known
 * lies in shared memory: who comes late reads how far the others are, and goes on with them.
 */
import type { Reducing } from '../../core/graph.ts'
import { at, invariant } from '../../core/invariant.ts'
import { type Range, STRIP } from './evaluation.ts'
import { nextPass, roomOf, type Seen, type Sink } from './sinks.ts'

/** Words: the pass and its next segment, the segment whose turn it is, segments poured, who gave up, and whether all is known. */
const DEALT = 0
const TURN = 1
const POURED = 2
const GIVEN_UP = 3
const FINISHED = 4
export const TOGETHER_WORDS = 6
/** Of the first word: what is left of it counts passes. */
const SEGMENT_BITS = 20

/** Blocks of a segment: enough to be worth a turn, and so few that no thread waits long for the last. */
const SEGMENT_BLOCKS = 128
/** Segments of a pass, at least, where there are as many blocks. */
const SEGMENTS_MIN = 32
/** Sums of blocks in a segment: a block of a hundred planes is work enough. */
const BLOCK_SUMS_MAX = 2 ** 13
/** Segments that a thread has seen and that wait for their turn. */
const WAITING_MAX = 4
/** Who waits looks up after this time, should it be called off. */
const LOOK_UP_MS = 50

/** Memory that all threads share for one tensor. */
export interface TogetherMemory {
  /** Zeros at first, like the numbers. */
  readonly words: Int32Array
  readonly numbers: Float64Array
  /** Zeros whenever no pass runs; tables of counts, one for each that counts. */
  readonly counts: readonly Uint32Array[]
}

/** A sink, and the place of its numbers: one that says whether they are there, then those it has room for. */
export interface Placed<B> {
  readonly sink: Sink<B>
  readonly place: number
}

export function placed<B>(
  reductions: readonly Reducing[],
  sinks: ReadonlyMap<Reducing, Sink<B>>,
): readonly Placed<B>[] {
  let place = 0
  const found: Placed<B>[] = []
  for (const node of reductions) {
    const sink = sinks.get(node)
    if (sink) found.push({ sink, place })
    place += 1 + roomOf(node)
  }
  return found
}

/** What threads need to measure these together. */
export const demandOf = (reductions: readonly Reducing[]) => ({
  numbers: reductions.reduce((sum, node) => sum + 1 + roomOf(node), 0),
  tables: reductions.filter(({ kind }) => kind === 'cutoff').length,
})

export interface Showing<B> {
  readonly elements: number
  /** Made ready once a pass. */
  pass(now: readonly Sink<B>[]): (range: Range, sampled: boolean) => void
}

const NO_COUNTS = new Uint32Array(0)

const passOf = (word: number): number => word >>> SEGMENT_BITS
const segmentOf = (word: number): number => word & (2 ** SEGMENT_BITS - 1)

export class Together {
  readonly #words: Int32Array
  readonly #numbers: Float64Array
  readonly #counts: readonly Uint32Array[]
  readonly #check: () => void
  readonly #givenUp: () => Error

  /** `check` throws where the run is called off; `givenUp` is what is thrown where another thread has failed. */
  constructor({ words, numbers, counts }: TogetherMemory, check: () => void, givenUp: () => Error) {
    this.#words = words
    this.#numbers = numbers
    this.#counts = counts
    this.#check = check
    this.#givenUp = givenUp
  }

  get finished(): boolean {
    return Atomics.load(this.#words, FINISHED) !== 0
  }
  /** Nothing is left to measure. */
  finish(): void {
    Atomics.store(this.#words, FINISHED, 1)
  }

  /** Returns once all of these sinks are done. */
  measure<B>(all: readonly Placed<B>[], showing: Showing<B>): void {
    const open = all.filter(({ sink }) => !sink.done)
    for (;;) {
      const pass = this.#load(open)
      const next = nextPass(open.map(({ sink }) => sink))
      if (!next) return
      const now = open.filter(({ sink }) => next.now.includes(sink))
      try {
        this.#run(pass, now, next.sampled, showing)
      } catch (error) {
        Atomics.store(this.#words, GIVEN_UP, 1)
        for (const word of [DEALT, TURN]) Atomics.notify(this.#words, word)
        throw error
      }
    }
  }

  #at<B>({ sink, place }: Placed<B>): Float64Array {
    return this.#numbers.subarray(place + 1, place + 1 + sink.joining.room)
  }

  /** Sinks as they are before the pass that is running. */
  #load<B>(open: readonly Placed<B>[]): number {
    for (;;) {
      const pass = passOf(Atomics.load(this.#words, DEALT))
      for (const placed of open)
        if (this.#numbers[placed.place] === 1) placed.sink.joining.load(this.#at(placed).slice())
      if (passOf(Atomics.load(this.#words, DEALT)) === pass) return pass
    }
  }

  #run<B>(pass: number, now: readonly Placed<B>[], sampled: boolean, showing: Showing<B>): void {
    const length = segmentLength(showing.elements, now)
    const segments = Math.ceil(showing.elements / length)
    invariant(segments < 2 ** SEGMENT_BITS, 'segments are counted in a part of a word')
    const sinks = now.map(({ sink }) => sink)
    const waiting: Segment[] = []
    const joinAllBut = (most: number): void => {
      for (let next = waiting[0]; next; next = waiting[0]) {
        const { place } = next
        if (waiting.length > most) this.#until(TURN, (turn) => turn === place)
        else if (Atomics.load(this.#words, TURN) !== place) return
        this.#join(next, now, showing)
        waiting.shift()
      }
    }
    let show: ReturnType<typeof showing.pass> | undefined
    let mine = 0
    for (;;) {
      const place = this.#take(pass, segments)
      if (place < 0) break
      for (const { joining } of sinks) joining.beginPart()
      show ??= showing.pass(sinks)
      const from = place * length
      const range = { from, to: Math.min(from + length, showing.elements) }
      const failure = failureOf(show, range, sampled)
      waiting.push({ place, range, failure, seen: sinks.map(({ joining }) => joining.endPart()) })
      joinAllBut(failure ? 0 : WAITING_MAX)
      mine += 1
    }
    joinAllBut(0)
    if (mine > 0) {
      this.#tables(now).forEach(([{ sink }, counts]) => sink.joining.pour?.(counts))
      if (Atomics.add(this.#words, POURED, mine) + mine === segments) this.#end(pass, now)
    }
    this.#until(DEALT, (word) => passOf(word) !== pass)
  }

  /** A segment whose turn it is. */
  #join<B>({ place, range, failure, seen }: Segment, now: readonly Placed<B>[], showing: Showing<B>): void {
    if (failure) throw failure.error // of all failures, the first
    now.forEach((placed, i) => {
      const again = (): void => {
        showing.pass([placed.sink])(range, false)
      }
      placed.sink.joining.join(this.#at(placed), at(seen, i), again)
    })
    Atomics.store(this.#words, TURN, place + 1)
    Atomics.notify(this.#words, TURN)
  }

  /** Each with its table of counts, if it counts. */
  #tables<B>(now: readonly Placed<B>[]): readonly (readonly [Placed<B>, Uint32Array])[] {
    let next = 0
    return now.map((placed) => [placed, placed.sink.joining.pour ? at(this.#counts, next++) : NO_COUNTS])
  }

  /** The next segment of this pass, or −1 where there is none. */
  #take(pass: number, segments: number): number {
    for (;;) {
      const word = Atomics.load(this.#words, DEALT)
      if (passOf(word) !== pass || segmentOf(word) >= segments) return -1
      if (Atomics.compareExchange(this.#words, DEALT, word, word + 1) === word) return segmentOf(word)
    }
  }

  /** Every segment has joined: this thread alone is here. */
  #end<B>(pass: number, now: readonly Placed<B>[]): void {
    for (const [placed, counts] of this.#tables(now)) {
      const { sink, place } = placed
      const numbers = this.#at(placed)
      sink.joining.gather(numbers, counts)
      sink.endTensor()
      sink.endPass()
      sink.joining.save(numbers)
      this.#numbers[place] = 1
    }
    Atomics.store(this.#words, TURN, 0)
    Atomics.store(this.#words, POURED, 0)
    Atomics.store(this.#words, DEALT, (pass + 1) << SEGMENT_BITS)
    Atomics.notify(this.#words, DEALT)
  }

  #until(place: number, is: (word: number) => boolean): void {
    for (;;) {
      const word = Atomics.load(this.#words, place)
      if (is(word)) return
      if (Atomics.load(this.#words, GIVEN_UP) !== 0) throw this.#givenUp()
      this.#check()
      Atomics.wait(this.#words, place, word, LOOK_UP_MS)
    }
  }
}

interface Failure {
  readonly error: unknown
}

/** One that this thread has seen: its place among all, and what each sink saw of it. */
interface Segment {
  readonly place: number
  readonly range: Range
  readonly failure: Failure | undefined
  readonly seen: readonly Seen[]
}

/** A failure waits until those of earlier segments would have been told. */
function failureOf(
  show: (range: Range, sampled: boolean) => void,
  range: Range,
  sampled: boolean,
): Failure | undefined {
  try {
    show(range, sampled)
    return undefined
  } catch (error) {
    return { error }
  }
}

function segmentLength<B>(elements: number, now: readonly Placed<B>[]): number {
  const sums = now.reduce((sum, { sink }) => sum + sink.joining.room, 0)
  const blocks = Math.min(SEGMENT_BLOCKS, BLOCK_SUMS_MAX / sums, elements / STRIP / SEGMENTS_MIN)
  return STRIP * Math.max(1, Math.floor(blocks))
}
