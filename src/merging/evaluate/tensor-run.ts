/**
 * One tensor of an evaluation: its recorded program, and what earlier passes found out about it. Values are worked out when
 * they are first asked for, all reductions of one depth in one pass.
 */
import { TributaryError } from '../../core/errors.ts'
import {
  type CutoffNode,
  type LaterNode,
  type Node,
  type NodeOf,
  type Program,
  type Reducing,
} from '../../core/graph.ts'
import { at } from '../../core/invariant.ts'
import { randomKey } from '../../core/seed.ts'
import { exactSum } from '../../kernels/exact.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { Cutoff, OpenCutoff } from '../../kernels/selection.ts'
import type { Dtype } from '../../tensors/dtypes.ts'
import { Depths, reach, type Reached, reachTerms } from './depth.ts'
import {
  type ByteStreams,
  type Evaluation,
  type EvaluationTensor,
  type Learned,
  partsOf,
  type Range,
  type ReadStream,
  sampleOf,
  type StreamRef,
} from './evaluation.ts'
import { Lowering, type Surroundings } from './lower.ts'
import { drawnFor, type MaskRoom, Masks } from './masks.ts'
import { type Mean, meanOf } from './mean.ts'
import { Measuring, type WriteRange } from './measuring.ts'
import { recordFor, type Recording, type Recordings, scalarsOf } from './recordings.ts'
import { compiled, type Ground, running, runningPlain } from './running.ts'
import type { Schedule } from './schedule.ts'
import type { Sink } from './sinks.ts'
import type { Spares } from './spares.ts'
import type { Together } from './together.ts'
import type { Occasion, Strips } from './strips.ts'

/** What all tensors of an evaluation share. */
export interface Setting<B> {
  readonly evaluation: Evaluation
  readonly kernels: Kernels<B>
  readonly read: ReadStream<B>
  /** The same streams as bytes, where there are such. */
  readonly streams: ByteStreams | undefined
  readonly strips: Strips<B>
  readonly spares: Spares<B>
  readonly recordings: Recordings
  /** Where threads measure this tensor together. */
  together(tensor: number): Together | undefined
  /** Where its masks may be kept. */
  maskRoom(tensor: number): MaskRoom
  modelScope(run: TensorRun<B>): ModelMeasures<B>
}

/** What is measured over several tensors. */
export interface ModelMeasures<B> {
  /** The value of one of this tensor's reductions of the whole model. */
  value(run: TensorRun<B>, node: Reducing): unknown
  /** Elements of the scope before this tensor's first. */
  offsetOf(run: TensorRun<B>): number
}

/** Sums that were made elsewhere, as the channels of this tensor's output. */
export interface Accumulated<B> {
  total(site: number): number
  read(site: number, part: string, first: number, count: number, into: B): void
}

export class TensorRun<B> implements Surroundings {
  readonly index: number
  readonly tensor: EvaluationTensor
  readonly program: Program
  readonly reached: Reached
  readonly #setting: Setting<B>
  readonly #recording: Recording | undefined
  readonly #depths: Depths
  readonly #known: Map<LaterNode, unknown>
  readonly #measuring: Measuring<B>
  readonly #checked = new Set<string>()
  #masks: Masks | undefined
  readonly #held: Accumulated<B> | undefined

  /** For its output; for what it puts into each Σ; or for an output whose Σ were made elsewhere. */
  constructor(setting: Setting<B>, index: number, purpose: 'output' | 'terms' | Accumulated<B> = 'output') {
    this.#setting = setting
    this.index = index
    this.tensor = at(setting.evaluation.tensors, index)
    if (purpose === 'output') {
      this.#recording = setting.recordings.of(this.tensor)
      this.program = this.#recording.program
      this.reached = this.#recording.reached
      this.#depths = this.#recording.depths
    } else {
      this.program = recordFor(setting.evaluation, this.tensor)
      this.reached = purpose === 'terms' ? reachTerms(this.program) : reach(this.program, [this.program.output])
      this.#depths = new Depths(this.program)
    }
    this.#known = this.#recording?.isPlain === true ? this.#recording.known : new Map<LaterNode, unknown>()
    this.#measuring = new Measuring(this, setting.kernels, setting.spares)
    this.#held = typeof purpose === 'object' ? purpose : undefined
  }

  /** Computes a plane strip by strip. A zero is +0. */
  compute(node: Node, each: (first: number, plane: B) => void, range?: Range): void {
    const schedule = Lowering.output<B>(node, this)
    this.#setting.strips.run(schedule, this.#occasion(range), each)
    if (!range) this.#markChecked(schedule)
  }

  /** The output as bytes of this dtype, in one go; undefined where the kernels have none for this formula. */
  inOneGo(dtype: Dtype): WriteRange | undefined {
    if (this.#held) return undefined
    const write = this.#writing(dtype)
    if (!this.#measuring.isOpen) return write
    if (write) return this.#measuring.inTurn(write)
    this.#measuring.close()
    return this.#writing(dtype)
  }

  /** A formula that nothing but elements enters is compiled once for all tensors of the same dtypes. */
  #writing(dtype: Dtype): WriteRange | undefined {
    const ground = this.#ground()
    if (!ground) return undefined
    const schedule = () => Lowering.atOnce<B>(this.program.output, this)
    if (this.#recording?.isPlain !== true) return running(schedule(), dtype, ground, false)
    const { source } = ground
    const known = this.#recording.compiled
    const dtypes = this.tensor.inputs.map(({ input }) => source.dtypeOf({ input }, this.index))
    const key = [dtype, ...(this.tensor.hasBase ? [source.dtypeOf('base', this.index)] : []), ...dtypes].join()
    if (!known.has(key)) known.set(key, compiled(schedule(), dtype, ground))
    const plain = known.get(key)
    return plain && runningPlain(plain, ground)
  }

  /** One pass that shows the sinks every strip, or, where some will do, one in a few. */
  show(sinks: ReadonlyMap<Reducing, Sink<B>>, sampled = false): void {
    const whole = { from: 0, to: this.tensor.elements }
    this.pass(sinks)(whole, sampled)
    if (!sampled) this.#markChecked(Lowering.sinks<B>(sinks, this))
    for (const sink of sinks.values()) sink.endTensor()
  }

  /** A pass over whatever parts: in one go, where the kernels have a way of doing that. */
  pass(sinks: ReadonlyMap<Reducing, Sink<B>>): (part: Range, sampled: boolean) => void {
    const ground = this.#ground()
    const run = ground && running(Lowering.sinks<B>(sinks, this, true), undefined, ground, true)
    const { streams, strips } = this.#setting
    const atOnce = (run && streams?.atOnce) ?? this.tensor.elements
    let singly: Schedule<B> | undefined
    return (part, sampled) => {
      for (const range of sampled ? sampleOf(part) : partsOf(part, atOnce)) {
        streams?.until(sampled ? part.to : range.to)
        // what is not finite, the primitives name
        if (run?.(range.from, range.to - range.from) !== true)
          strips.run((singly ??= Lowering.sinks<B>(sinks, this)), this.#occasion(range))
      }
    }
  }

  /** What programs run on; undefined where there are no bytes. */
  #ground(): Ground<B> | undefined {
    const { kernels, spares, streams: source } = this.#setting
    return source && { kernels, spares, source, tensor: this.index, masks: (this.#masks ??= this.#masksOf()) }
  }

  #masksOf(): Masks | undefined {
    const drawn = drawnFor(this.program, this.reached)
    if (this.#held || drawn.length === 0) return undefined
    const wanted = drawn.map(({ node, probability }) => ({ key: this.key(node), probability }))
    return new Masks(this.#setting.maskRoom(this.index), this.index, this.tensor.elements, wanted)
  }

  cutoff(node: CutoffNode, inTurn: boolean): Cutoff & Partial<OpenCutoff> {
    return inTurn && node.scope === 'tensor' ? this.#measuring.cutoff(node) : (this.later(node) as Cutoff)
  }

  later(node: LaterNode): unknown {
    if (!this.#known.has(node)) this.#known.set(node, this.#work(node))
    return this.#known.get(node)
  }

  /** Reductions of the whole model that this tensor's output needs, in the order they were written. */
  get modelReductions(): readonly Reducing[] {
    return this.program.reductions.filter((node) => node.scope === 'model' && this.reached.laters.has(node))
  }

  /** The output as a weighted sum of whole input tensors over a number, where it is no more than that. */
  mean(): Mean | undefined {
    if (this.#held) return undefined
    if (this.#recording?.isPlain !== true) return meanOf(this)
    this.#recording.mean ??= { found: meanOf(this) }
    return this.#recording.mean.found
  }

  /** The number that all elements of this plane are, if that is known. */
  numberOf(node: Node): number | undefined {
    if (node.kind === 'number') return node.value
    return node.kind === 'later' ? (this.later(node.later) as number) : undefined
  }

  depthOf(node: Reducing): number {
    return this.#depths.ofLater(node)
  }

  #work(node: LaterNode): unknown {
    switch (node.kind) {
      case 'known':
        return node.value
      case 'map':
        return node.f(this.later(node.from) as never)
      case 'with':
        return [this.later(node.a), this.later(node.b)]
      case 'total':
        return this.#held ? this.#held.total(node.site) : this.#total(node.site)
      case 'reduce':
      case 'pairs':
      case 'cutoff':
        if (node.scope === 'model') return this.#setting.modelScope(this).value(this, node)
        return this.#measuring.value(node)
    }
  }

  #total(site: number): number {
    const scalars = this.program.sites[site]!.scalars.map((scalar) => this.later(scalar) as number)
    if (!scalars.every(Number.isFinite)) throw this.#failure('a summand of a total is not finite')
    return exactSum(scalars)
  }

  weight(value: unknown): number {
    const weight = Math.fround(value as number)
    if (!Number.isFinite(weight)) throw this.#failure(`a weight is ${String(value)}, which no f32 holds`)
    return weight
  }

  stream({ stream }: NodeOf<'input'>): StreamRef {
    if (stream === 'base') return stream
    const { owner, sidecar } = stream
    const { input } = at(this.tensor.inputs, owner)
    return sidecar === undefined ? { input } : { input, sidecar }
  }

  unchecked(node: NodeOf<'input'>): boolean {
    return !this.#checked.has(nameOf(this.stream(node)))
  }

  key({ owner, stream }: NodeOf<'keep'>) {
    const { seed, inputs } = this.#setting.evaluation
    const { content } = at(inputs, at(this.tensor.inputs, owner).input)
    return randomKey({ seed, strategy: this.tensor.strategy.id, content, tensor: this.tensor.name, stream })
  }

  offset(node: Reducing): number {
    return node.scope === 'model' ? this.#setting.modelScope(this).offsetOf(this) : 0
  }

  get together(): Together | undefined {
    return this.#setting.together(this.index)
  }
  /** What was measured here and may be recalled another time. */
  get learned(): readonly Learned[] {
    return this.#measuring.learned
  }
  get sites() {
    return this.program.sites
  }
  get elements(): number {
    return this.tensor.elements
  }
  get accumulated(): boolean {
    return this.#held !== undefined
  }

  #occasion(range: Range = { from: 0, to: this.tensor.elements }): Occasion<B> {
    return {
      tensor: this.index,
      range,
      read: this.#setting.read,
      ...(this.#held && { readAccumulated: this.#held.read.bind(this.#held) }),
      notFinite: {
        input: (stream, element) => {
          const who = stream === 'base' ? 'the base' : this.#called(stream.input)
          throw new TributaryError(
            'TENSOR_NOT_FINITE',
            `${this.tensor.name} of ${who} has NaN or infinity at element ${element}`,
            { details: this.#where(element), hint: 'leave this model out, or repair it' },
          )
        },
        term: (owner, element) => {
          const who =
            owner === undefined
              ? 'what is computed'
              : `what ${this.#called(at(this.tensor.inputs, owner).input)} contributes`
          throw this.#failure(`${who} is too large for f32 at element ${element}`, element)
        },
      },
    }
  }

  /** The numbers from earlier passes that entered the output, in the order the formula wrote them. */
  scalars(): readonly number[] {
    const laters = this.#recording?.scalars ?? scalarsOf(this.program, this.reached)
    const numbers = laters.flatMap((later) => this.later(later) as number | number[])
    if (!numbers.every(Number.isFinite)) throw this.#failure('a coefficient is not finite')
    return numbers
  }

  notFiniteOutput(element: number): never {
    throw this.#failure(`the merged value is not finite at element ${element}`, element)
  }

  #failure(what: string, element?: number): TributaryError {
    return new TributaryError('MERGE_NOT_FINITE', `${this.tensor.strategy.id}, tensor ${this.tensor.name}: ${what}`, {
      details: this.#where(element),
      hint: 'use smaller weights, or leave out the contribution that is far from the others',
    })
  }
  #where(element?: number) {
    return { tensor: this.tensor.name, ...(element !== undefined && { element }) }
  }
  #called(input: number): string {
    const { label, content } = at(this.#setting.evaluation.inputs, input)
    return label ?? content.slice(0, 12)
  }

  /** A stream is looked at once, in the first pass that reads it. */
  #markChecked({ steps }: Schedule<B>): void {
    for (const step of steps) if (step.do === 'read') this.#checked.add(nameOf(step.stream))
  }
}

const nameOf = (stream: StreamRef): string => (stream === 'base' ? stream : `${stream.input}/${stream.sidecar ?? ''}`)
