/**
 * Runs schedules strip by strip on buffers that are kept for the next one: nothing is allocated for a strip, and what is
 * held grows with the formula, never with the tensor.
 */
import { invariant } from '../../core/invariant.ts'
import type { ExactSums, Kernels } from '../../kernels/kernels.ts'
import { isFused } from '../../kernels/strip-program.ts'
import { type Range, type ReadStream, type StreamRef, STRIP } from './evaluation.ts'
import type { Origin, Schedule, Step } from './schedule.ts'

/** What a run of a schedule needs to know of its tensor, and whom it tells of failures. */
export interface Occasion<B> {
  readonly tensor: number
  readonly range: Range
  readonly read: ReadStream<B>
  /** Channel planes that were summed elsewhere. */
  readonly readAccumulated?: (site: number, part: string, first: number, count: number, into: B) => void
  /** These must throw. */
  readonly notFinite: {
    input(stream: StreamRef, element: number): never
    term(owner: number | undefined, element: number): never
  }
}

export class Strips<B> {
  readonly #kernels: Kernels<B>
  readonly #whole: B[] = []
  readonly #wholeSums: ExactSums<B>[] = []
  #parts: B[] = []
  #partSums: ExactSums<B>[] = []
  #partLength = 0
  readonly #lists: B[][] = []

  constructor(kernels: Kernels<B>) {
    this.#kernels = kernels
  }

  /** Shows every strip's output, in order. */
  run(schedule: Schedule<B>, occasion: Occasion<B>, each?: (first: number, output: B) => void): void {
    const k = this.#kernels
    while (this.#whole.length < schedule.buffers) this.#whole.push(k.allocate(STRIP))
    while (this.#wholeSums.length < schedule.sums) this.#wholeSums.push(k.exactSums(STRIP))
    for (const { buffer, value } of schedule.constants) k.fill(STRIP, value, this.#whole[buffer])
    const { from, to } = occasion.range
    for (let first = from; first < to; first += STRIP) {
      const count = Math.min(STRIP, to - first)
      const whole = count === STRIP
      if (!whole) this.#cut(count, schedule)
      const buffers = whole ? this.#whole : this.#parts
      const sums = whole ? this.#wholeSums : this.#partSums
      for (const step of schedule.steps) this.#step(step, buffers, sums, first, count, occasion)
      if (schedule.output !== undefined) each?.(first, buffers[schedule.output]!)
    }
  }

  /** Views for a last strip that is short. */
  #cut(count: number, schedule: Schedule<B>): void {
    const k = this.#kernels
    if (count !== this.#partLength) {
      this.#parts = []
      this.#partSums = []
      this.#partLength = count
    }
    while (this.#parts.length < schedule.buffers) this.#parts.push(k.view(this.#whole[this.#parts.length]!, 0, count))
    while (this.#partSums.length < schedule.sums) this.#partSums.push(k.exactSums(count))
  }

  /** Lists of buffers, reused from strip to strip. */
  #list(from: readonly number[], buffers: readonly B[], spare: 0 | 1): B[] {
    const lists = this.#lists
    const index = from.length * 2 + spare
    while (lists.length <= index) lists.push([])
    const list = lists[index]!
    for (let i = 0; i < from.length; i++) list[i] = buffers[from[i]!]!
    return list
  }

  #step(
    step: Step<B>,
    buffers: readonly B[],
    sums: readonly ExactSums<B>[],
    first: number,
    count: number,
    occasion: Occasion<B>,
  ): void {
    invariant(!isFused(step), `only programs say ${step.do}`)
    const k = this.#kernels
    switch (step.do) {
      case 'read': {
        const out = buffers[step.out]!
        occasion.read(step.stream, occasion.tensor, first, count, out)
        if (step.check && !this.finite(out)) occasion.notFinite.input(step.stream, first + this.notFiniteAt(out, count))
        return
      }
      case 'accumulated':
        invariant(occasion.readAccumulated, 'somebody holds the sums')
        occasion.readAccumulated(step.site, step.part, first, count, buffers[step.out]!)
        return
      case 'binary':
        k.binary(step.op, buffers[step.a]!, buffers[step.b]!, buffers[step.out])
        return
      case 'unary':
        k.unary(step.op, buffers[step.a]!, buffers[step.out])
        return
      case 'compare':
        k.compare(step.op, buffers[step.a]!, buffers[step.b]!, buffers[step.out])
        return
      case 'choose':
        k.choose(buffers[step.mask]!, buffers[step.a]!, buffers[step.b]!, buffers[step.out])
        return
      case 'keep':
        k.keep(step.key, first, buffers[step.a]!, buffers[step.out])
        return
      case 'aboveCutoff':
        k.aboveCutoff(buffers[step.a]!, step.offset + first, step.key, step.lastTie, buffers[step.out])
        return
      case 'weightedSum': {
        const planes = this.#list(step.planes, buffers, 0)
        const out = k.weightedSum(planes, step.weights, buffers[step.out])
        if (step.origin && !this.finite(out)) this.#blame(step.origin, planes, first, count, occasion)
        return
      }
      case 'clear':
        sums[step.sums]!.clear()
        return
      case 'add':
      case 'addScaled': {
        const plane = buffers[step.a]!
        if (step.origin) {
          const planes = step.do === 'add' ? [plane, buffers[step.weight]!] : [plane]
          if (!planes.every((one) => this.finite(one))) this.#blame(step.origin, planes, first, count, occasion)
        }
        if (step.do === 'add') sums[step.sums]!.add(plane, buffers[step.weight]!, 1)
        else sums[step.sums]!.addScaled(plane, step.by, 1)
        return
      }
      case 'total':
        sums[step.sums]!.read(buffers[step.out])
        return
      case 'sort':
        k.sort(this.#list(step.planes, buffers, 0), this.#list(step.outs, buffers, 1))
        return
      case 'sink':
        if (step.sink.done) return
        step.sink.see(this.#list(step.planes, buffers, 0), step.offset + first, count)
        if (!step.sink.finite) this.#blame(step.origin, this.#list(step.planes, buffers, 0), first, count, occasion)
    }
  }

  #blame(origin: Origin, planes: readonly B[], first: number, count: number, { notFinite }: Occasion<B>): void {
    origin.forEach((owner, i) => {
      const plane = planes[i]
      if (plane === undefined || this.finite(plane)) return
      const element = this.notFiniteAt(plane, count)
      if (element >= 0) notFinite.term(owner, first + element)
    })
  }

  /** A sum of finite elements may overflow, so a no is only a reason to look. */
  finite(plane: B): boolean {
    return Number.isFinite(this.#kernels.reduce('sum', plane))
  }

  /** The first element that is not finite, or −1. */
  notFiniteAt(plane: B, count: number): number {
    for (let i = 0; i < count; i++) if (!this.finite(this.#kernels.view(plane, i, 1))) return i
    return -1
  }
}
