/**
 * Lowering: from the nodes of a program to the steps of a schedule, once the values they take from earlier passes are
 * known. Σ over few contributions is one step; over many, accumulators take one contribution at a time.
 */
import {
  type ChannelPart,
  type CutoffNode,
  type LaterNode,
  type Node,
  type NodeOf,
  planesOf,
  type Reducing,
  type Site,
} from '../../core/graph.ts'
import type { RandomKey } from '../../core/philox.ts'
import { sumsExactly } from '../../kernels/exact.ts'
import { keepBelow } from '../../kernels/reference.ts'
import type { Cutoff, OpenCutoff } from '../../kernels/selection.ts'
import { elected } from './elected.ts'
import type { StreamRef } from './evaluation.ts'
import { layOut, type Origin, type Schedule, type Step } from './schedule.ts'
import { narrowed, used, widenedLate } from './narrow.ts'
import { holdsF32, isBounded, ownerOf } from './node-facts.ts'
import type { Sink } from './sinks.ts'

/** Contributions whose strips are held at once; beyond, one at a time. Either way gives the same bits. */
const TOGETHER_MAX = 8
/** The same in a program, whose strips are an eighth as long. */
const ATONCE_MAX = 64

/** What lowering asks about the tensor at hand. */
export interface Surroundings {
  readonly sites: readonly Site[]
  /** Of the tensor. */
  readonly elements: number
  later(node: LaterNode): unknown
  /** For a pass over the whole tensor in order, the last tie may be left to that. */
  cutoff(node: CutoffNode, inTurn: boolean): Cutoff & Partial<OpenCutoff>
  /** A weight, rounded to f32, or a failure by name. */
  weight(value: unknown): number
  stream(node: NodeOf<'input'>): StreamRef
  /** Whether this stream's elements still have to be looked at. */
  unchecked(node: NodeOf<'input'>): boolean
  key(node: NodeOf<'keep'>): RandomKey
  offset(node: Reducing): number
  /** Sums that exist already: channels are read instead of computed. */
  readonly accumulated: boolean
}

type Term = Site['terms'][number]

const CAMPS: readonly ChannelPart[] = ['positive', 'negative', 'positiveWeight', 'negativeWeight']

export class Lowering<B> {
  readonly #about: Surroundings
  readonly #together: number
  /** For a program. */
  readonly #atOnce: boolean
  readonly #inTurn: boolean
  readonly #votes = new Map<number, readonly number[]>()
  readonly #steps: Step<B>[] = []
  readonly #values = new Map<Node, number>()
  /** Values that are rounded to f32. */
  readonly #rounds = new Set<number>()
  readonly #sorted = new Map<Node, readonly number[]>()
  readonly #constants = new Map<number, number>()
  #made = 0
  #sums = 0

  constructor(about: Surroundings, atOnce = false, inTurn = false) {
    this.#inTurn = inTurn
    this.#about = about
    this.#atOnce = atOnce
    this.#together = atOnce ? ATONCE_MAX : TOGETHER_MAX
  }

  /** A schedule that ends with this plane, for programs that hold all contributions at once and write a zero as +0. */
  static atOnce<B>(node: Node, about: Surroundings): Schedule<B> {
    const lowering = new Lowering<B>(about, true, true)
    return lowering.#laid(lowering.#value(node))
  }

  /** A schedule that ends with this plane, a zero being +0. */
  static output<B>(node: Node, about: Surroundings): Schedule<B> {
    const lowering = new Lowering<B>(about)
    const plane = lowering.#value(node)
    const output = lowering.#emit((out) => ({ do: 'binary', op: 'plus', a: plane, b: lowering.#constant(0), out }))
    return lowering.#laid(output)
  }

  /** A schedule that shows each sink the planes of its reduction. */
  static sinks<B>(sinks: ReadonlyMap<Reducing, Sink<B>>, about: Surroundings, atOnce = false): Schedule<B> {
    const lowering = new Lowering<B>(about, atOnce)
    for (const [node, sink] of sinks) {
      const planes = planesOf(node).map((plane) => lowering.#value(plane))
      const origin = planesOf(node).map((plane) => ownerOf(plane, about.sites))
      lowering.#steps.push({ do: 'sink', sink, planes, origin, offset: about.offset(node) })
    }
    return lowering.#laid(undefined)
  }

  #laid(output: number | undefined): Schedule<B> {
    const steps = this.#atOnce ? widenedLate(used(this.#narrowed(), output)) : this.#steps
    return layOut(steps, this.#constants, this.#sums, output)
  }

  #narrowed(): readonly Step<B>[] {
    return narrowed(elected(this.#steps, this.#constants), this.#constants, () => this.#made++)
  }

  #emit(step: (out: number) => Step<B>): number {
    const out = this.#made++
    this.#steps.push(step(out))
    return out
  }

  #constant(value: number): number {
    for (const [made, known] of this.#constants) if (Object.is(known, value)) return made
    this.#constants.set(this.#made, value)
    return this.#made++
  }

  #value(node: Node): number {
    const known = this.#values.get(node)
    if (known !== undefined) return known
    const value = this.#lower(node)
    this.#values.set(node, value)
    return value
  }

  #lower(node: Node): number {
    const about = this.#about
    switch (node.kind) {
      case 'input':
        return this.#emit((out) => ({ do: 'read', stream: about.stream(node), check: about.unchecked(node), out }))
      case 'number':
        return this.#constant(node.value)
      case 'later':
        return this.#constant(about.later(node.later) as number)
      case 'binary': {
        const a = this.#value(node.a)
        if ((node.op === 'times' || node.op === 'over') && this.#number(node.b) === 1) return a
        const b = this.#value(node.b)
        return this.#emit((out) => ({ do: 'binary', op: node.op, a, b, out }))
      }
      case 'unary':
        return node.op === 'f32' ? this.#rounded(node.a) : this.#unary(node.op, this.#value(node.a))
      case 'compare':
        return this.#compare(node.op, this.#value(node.a), this.#value(node.b))
      case 'logic': {
        const [a, b] = [this.#value(node.a), this.#value(node.b)]
        return this.#emit((out) => ({ do: 'binary', op: node.op === 'and' ? 'min' : 'max', a, b, out }))
      }
      case 'not': {
        const b = this.#value(node.a)
        return this.#emit((out) => ({ do: 'binary', op: 'minus', a: this.#constant(1), b, out }))
      }
      case 'choose':
        if (this.#isWhole(node.mask)) return this.#value(node.a)
        return this.#choose(this.#value(node.mask), this.#value(node.a), this.#value(node.b))
      case 'keep': {
        const a = this.#value(node.probability)
        return this.#emit((out) => ({ do: 'keep', key: about.key(node), a, out }))
      }
      case 'aboveCutoff': {
        const cutoff = about.cutoff(node.cutoff, this.#inTurn)
        const a = this.#value(node.a)
        return this.#emit((out) => ({ do: 'aboveCutoff', a, ...cutoff, offset: about.offset(node.cutoff), out }))
      }
      case 'channel':
        return this.#channel(node)
      case 'blend': {
        const coefficients = about.later(node.coefficients) as readonly number[]
        const used = node.planes.flatMap((plane, i) =>
          coefficients[i] === 0 ? [] : [[plane, coefficients[i]!] as const],
        )
        const planes = used.map(([plane]) => this.#value(plane))
        const weights = used.map(([, coefficient]) => coefficient)
        return this.#emit((out) => ({ do: 'weightedSum', planes, weights, origin: undefined, out }))
      }
      case 'sort': {
        const planes = node.planes.map((plane) => this.#value(plane))
        const outs = planes.map(() => this.#made++)
        this.#steps.push({ do: 'sort', planes, outs })
        this.#sorted.set(node, outs)
        return outs[0]!
      }
      case 'sorted':
        this.#value(node.sort)
        return this.#sorted.get(node.sort)![node.rank]!
    }
  }

  #unary(op: 'abs' | 'sqrt' | 'f32', a: number): number {
    return this.#emit((out) => ({ do: 'unary', op, a, out }))
  }

  /** A mask of all elements, whatever they are. */
  #isWhole(mask: Node): boolean {
    if (mask.kind === 'keep') {
      const probability = this.#number(mask.probability)
      return probability !== undefined && keepBelow(probability) === 2 ** 32
    }
    if (mask.kind !== 'aboveCutoff') return false
    const { key, lastTie } = this.#about.cutoff(mask.cutoff, this.#inTurn)
    return key === 0 && lastTie - this.#about.offset(mask.cutoff) >= this.#about.elements - 1
  }

  #compare(op: 'above' | 'atLeast', a: number, b: number): number {
    return this.#emit((out) => ({ do: 'compare', op, a, b, out }))
  }
  #choose(mask: number, a: number, b: number): number {
    return this.#emit((out) => ({ do: 'choose', mask, a, b, out }))
  }

  /** A plane rounded to f32; planes that hold f32 values already are left alone. */
  #rounded(node: Node): number {
    const a = this.#value(node)
    if (holdsF32(node) || this.#rounds.has(a)) return a
    const rounded = this.#unary('f32', a)
    this.#rounds.add(rounded)
    return rounded
  }

  /** The number that all elements of this plane are, if that is known. */
  #number(node: Node): number | undefined {
    if (node.kind === 'number') return node.value
    return node.kind === 'later' ? (this.#about.later(node.later) as number) : undefined
  }

  #channel({ site, part }: NodeOf<'channel'>): number {
    if (this.#about.accumulated) return this.#emit((out) => ({ do: 'accumulated', site, part, out }))
    const { terms } = this.#about.sites[site]!
    if (part === 'largest') return this.#largest(terms)
    const camp = this.#atOnce ? CAMPS.indexOf(part) : -1
    const votes = camp < 0 ? undefined : this.#votesOf(site, terms)
    if (votes) return votes[camp]!
    const weighted = terms.map((term, owner) => ({ ...this.#weighing(term), term, owner }))
    const scalars = weighted.every(({ scalar }) => scalar !== undefined)
    const origin = terms.every(({ plane }) => isBounded(plane)) ? undefined : terms.map((_, owner) => owner)
    if (scalars && terms.length <= this.#together) {
      const entering = weighted.map((own) => this.#entering(part, own.term, own.scalar, own.weight))
      const planes = entering.map(({ plane }) => plane)
      const weights = entering.map(({ by }) => by as number)
      return this.#emit((out) => ({ do: 'weightedSum', planes, weights, origin, out }))
    }
    const sums = this.#sums++
    this.#steps.push({ do: 'clear', sums })
    for (const { term, scalar, weight, owner } of weighted) {
      const { plane, by, byPlane } = this.#entering(part, term, scalar, weight)
      const from: Origin | undefined = origin && [owner, owner]
      if (byPlane === undefined) this.#steps.push({ do: 'addScaled', sums, a: plane, by: by, origin: from })
      else this.#steps.push({ do: 'add', sums, a: plane, weight: byPlane, origin: from })
    }
    return this.#emit((out) => ({ do: 'total', sums, out }))
  }

  /** The camps of a vote in one step; undefined where a weight is not a number, or a sum of weights may round. */
  #votesOf(site: number, terms: readonly Term[]): readonly number[] | undefined {
    const known = this.#votes.get(site)
    if (known) return known
    const weights = terms.map((term) => this.#weighing(term).scalar)
    if (terms.length === 0 || terms.length > this.#together) return undefined
    if (!weights.every((weight) => weight !== undefined) || !sumsExactly(weights)) return undefined
    const planes = terms.map(({ plane }) => this.#rounded(plane))
    const outs = CAMPS.map(() => this.#made++)
    this.#steps.push({ do: 'votes', planes, weights, outs })
    this.#votes.set(site, outs)
    return outs
  }

  #weighing({ weight }: Term): { readonly scalar: number | undefined; readonly weight: Node } {
    const value = this.#number(weight)
    return { scalar: value === undefined ? undefined : this.#about.weight(value), weight }
  }

  /** What one term puts into one part of a Σ: a plane, and what it is multiplied by. */
  #entering(part: ChannelPart, term: Term, scalar: number | undefined, weight: Node) {
    const plane = this.#rounded(term.plane)
    if (part === 'sum' || part === 'count' || part === 'largest')
      return scalar === undefined ? { plane, byPlane: this.#rounded(weight) } : { plane, by: scalar }
    const positive = part.startsWith('positive')
    const zero = this.#constant(0)
    if (scalar !== undefined) {
      // the product has the sign wanted where the plane has the weight's sign times it
      if (scalar === 0) return { plane: zero, by: 1 }
      const up = positive === scalar > 0
      if (part === 'positive' || part === 'negative') {
        const op = up ? 'max' : 'min'
        return { plane: this.#emit((out) => ({ do: 'binary', op, a: plane, b: zero, out })), by: scalar }
      }
      const agrees = up ? this.#compare('above', plane, zero) : this.#compare('above', zero, plane)
      return { plane: agrees, by: part.endsWith('Weight') ? scalar : 1 }
    }
    const byPlane = this.#rounded(weight)
    const product = this.#emit((out) => ({ do: 'binary', op: 'times', a: plane, b: byPlane, out }))
    const agrees = positive ? this.#compare('above', product, zero) : this.#compare('above', zero, product)
    if (part === 'positive' || part === 'negative') return { plane: this.#choose(agrees, plane, zero), byPlane }
    return part.endsWith('Weight') ? { plane: agrees, byPlane } : { plane: agrees, by: 1 }
  }

  #largest(terms: readonly Term[]): number {
    const zero = this.#constant(0)
    const [first, ...others] = terms.map(({ plane }) => this.#rounded(plane))
    if (first === undefined) return zero
    const best = others.reduce((best, plane) => {
      const [size, sizeOfBest] = [this.#unary('abs', plane), this.#unary('abs', best)]
      const greater = this.#compare('above', size, sizeOfBest)
      const equal = this.#compare('atLeast', size, sizeOfBest)
      const above = this.#compare('above', plane, best)
      const positive = this.#emit((out) => ({ do: 'binary', op: 'min', a: equal, b: above, out }))
      const better = this.#emit((out) => ({ do: 'binary', op: 'max', a: greater, b: positive, out }))
      return this.#choose(better, plane, best)
    }, first)
    return this.#emit((out) => ({ do: 'binary', op: 'plus', a: best, b: zero, out })) // −0 and +0 are one
  }
}
