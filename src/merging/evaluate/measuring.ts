/**
 * What is measured of one tensor: all reductions of one depth in one pass. The last tie that a cutoff keeps is left open where
 * the output may find it on its way, so that nothing is read once more for it.
 */
import type { CutoffNode, LaterNode, Program, Reducing } from '../../core/graph.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { Cutoff, OpenCutoff } from '../../kernels/selection.ts'
import type { Reached } from './depth.ts'
import type { EvaluationTensor, Learned, Range } from './evaluation.ts'
import { measureOf, recalled } from './measure-key.ts'
import { runPasses, settled, type Sink, sinkFor } from './sinks.ts'
import type { Spares } from './spares.ts'
import { placed, type Together } from './together.ts'

/** Whose measures they are. */
export type Measured<B> = Parameters<typeof measureOf>[2] & {
  readonly tensor: EvaluationTensor
  readonly program: Program
  readonly reached: Reached
  depthOf(node: Reducing): number
  /** One pass that shows the sinks every strip, or, where some will do, one in a few. */
  show(sinks: ReadonlyMap<Reducing, Sink<B>>, sampled: boolean): void
  /** The same over whatever parts. */
  pass(sinks: ReadonlyMap<Reducing, Sink<B>>): (part: Range, sampled: boolean) => void
  /** Where threads measure it together. */
  readonly together: Together | undefined
}

/** Writes elements first … first + count − 1 of the output; false where that failed, and must be done otherwise. */
export type WriteRange = (first: number, count: number, out?: Uint8Array) => boolean

export class Measuring<B> {
  /** What was measured here and may be recalled another time. */
  readonly learned: Learned[] = []
  readonly #run: Measured<B>
  readonly #with: { readonly kernels: Kernels<B>; readonly spares: Spares<B> }
  readonly #known = new Map<LaterNode, unknown>()
  readonly #open = new Map<Reducing, Sink<B>>()

  constructor(run: Measured<B>, kernels: Kernels<B>, spares: Spares<B>) {
    this.#run = run
    this.#with = { kernels, spares }
  }

  value(node: Reducing): unknown {
    this.#reduce(node)
    if (!this.#known.has(node)) this.close()
    return this.#known.get(node)
  }

  /** For a pass over the whole tensor in order. */
  cutoff(node: CutoffNode): Cutoff & Partial<OpenCutoff> {
    this.#reduce(node)
    const open = this.#open.get(node)?.open
    return open ? { ...open, lastTie: Number.NaN } : (this.#known.get(node) as Cutoff)
  }

  get isOpen(): boolean {
    return this.#open.size > 0
  }

  /** From the first element to the last; what was open is known when the last of its ties has been seen. */
  inTurn(write: WriteRange): WriteRange {
    let next = 0
    return (first, count, out) => {
      if (first !== next || !write(first, count, out)) return false
      next = first + count
      for (const [node, sink] of this.#open) {
        if (sink.open!.ties[0] !== 0) continue
        sink.endPass()
        this.#learn(node, sink)
      }
      return true
    }
  }

  /** Finds what is open in a pass of its own. */
  close(): void {
    const sinks = new Map(this.#open)
    for (const sink of sinks.values()) sink.restart?.()
    this.#show(sinks)
    for (const [node, sink] of sinks) this.#learn(node, sink)
  }

  /** This one and all others of its depth. */
  #reduce(asked: Reducing): void {
    if (this.#known.has(asked) || this.#open.has(asked)) return
    const { program, reached, tensor } = this.#run
    const { kernels, spares } = this.#with
    const depth = this.#run.depthOf(asked)
    const sinks = new Map<Reducing, Sink<B>>()
    for (const node of program.reductions) {
      if (node.scope !== 'tensor' || this.#run.depthOf(node) !== depth || !reached.laters.has(node)) continue
      const value = recalled(node, tensor, this.#run)
      if (value === undefined) sinks.set(node, sinkFor(node, kernels, spares, tensor.elements))
      else this.#known.set(node, value)
    }
    this.#show(sinks, ({ done, open }) => done || open !== undefined)
    for (const [node, sink] of sinks) {
      if (sink.done) this.#learn(node, sink)
      else this.#open.set(node, sink)
    }
  }

  #show(sinks: ReadonlyMap<Reducing, Sink<B>>, enough?: (sink: Sink<B>) => boolean): void {
    const { program, tensor, together } = this.#run
    const among = (now: readonly Sink<B>[]) => new Map([...sinks].filter(([, sink]) => now.includes(sink)))
    if (together) {
      // each thread writes some parts of the output, so none of them sees all ties
      const showing = { elements: tensor.elements, pass: (now: readonly Sink<B>[]) => this.#run.pass(among(now)) }
      together.measure(placed(program.reductions, sinks), showing)
      return
    }
    const pass = (now: readonly Sink<B>[], sampled: boolean): void => {
      this.#run.show(among(now), sampled)
    }
    runPasses(sinks.values(), pass, enough)
  }

  #learn(node: Reducing, sink: Sink<B>): void {
    const value = settled(sink)
    this.#open.delete(node)
    this.#known.set(node, value)
    const { key, identity } = measureOf(node, this.#run.tensor, this.#run)
    if (key !== undefined && identity !== undefined) this.learned.push([key, value, identity])
  }
}
