/**
 * The handles that formulas hold while they are recorded. The same computation written twice is one node, and a handle
 * complains where it is misused, in its author's own stack frame.
 */
import {
  ContractError,
  type CutoffNode,
  isReducing,
  type LaterNode,
  type Node,
  type Reducing,
  type Site,
} from './graph.ts'
import type { Binary, Compare, Reduction, Unary } from './graph-words.ts'
import type { Later, Mask, Operand, Plane, Scope, Term } from './strategy.ts'

export class Recorder {
  readonly strategy: string
  readonly sites: Site[] = []
  readonly reductions: Reducing[] = []
  readonly nodes: Node[] = []
  readonly #seen = new Map<string, Node | LaterNode>()
  readonly #ids = new Map<object, number>()

  constructor(strategy: string) {
    this.strategy = strategy
  }

  intern<T extends Node | LaterNode>(node: T): T {
    const key = Object.entries(node)
      .map(([field, value]) => `${field}:${this.#name(value)}`)
      .join()
    const known = this.#seen.get(key)
    if (known) return known as T
    this.#seen.set(key, node)
    if (LATER_KINDS.has(node.kind)) {
      if (isReducing(node as LaterNode)) this.reductions.push(node as Reducing)
    } else this.nodes.push(node as Node)
    return node
  }

  error(what: string): ContractError {
    return new ContractError(`${this.strategy}: ${what}`)
  }

  #name(value: unknown): string {
    if (Array.isArray(value)) return `[${value.map((item) => this.#name(item)).join('+')}]`
    if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
    if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return String(value)
    if (!('kind' in value) && 'owner' in value) return JSON.stringify(value) // a stream
    const id = this.#ids.get(value) ?? this.#ids.size
    this.#ids.set(value, id)
    return `#${id}`
  }
}

const LATER_KINDS: ReadonlySet<string> = new Set<LaterNode['kind']>([
  'known',
  'reduce',
  'pairs',
  'cutoff',
  'map',
  'with',
  'total',
])

export class RecordedLater<T> implements Later<T> {
  readonly node: LaterNode
  readonly to: Recorder
  constructor(node: LaterNode, to: Recorder) {
    this.node = to.intern(node)
    this.to = to
  }

  map<U>(f: (value: T) => U): Later<U> {
    const node = { kind: 'map', from: this.node, f: f as (value: never) => unknown, ofSet: this.node.ofSet } as const
    return new RecordedLater<U>(node, this.to)
  }

  with<U>(other: Later<U>): Later<readonly [T, U]> {
    const b = laterOf(other, this.to)
    return new RecordedLater({ kind: 'with', a: this.node, b, ofSet: this.node.ofSet || b.ofSet }, this.to)
  }
}

/** Planes and masks alike: types keep them apart, and recording checks once more. */
export class RecordedPlane implements Plane, Mask {
  readonly node: Node
  readonly to: Recorder
  constructor(node: Node, to: Recorder) {
    this.node = to.intern(node)
    this.to = to
  }

  plus(other: Operand) {
    return this.#binary('plus', other)
  }
  minus(other: Operand) {
    return this.#binary('minus', other)
  }
  times(other: Operand) {
    return this.#binary('times', other)
  }
  over(other: Operand) {
    return this.#binary('over', other)
  }
  min(other: Operand) {
    return this.#binary('min', other)
  }
  max(other: Operand) {
    return this.#binary('max', other)
  }
  abs() {
    return this.#unary('abs')
  }
  sqrt() {
    return this.#unary('sqrt')
  }
  f32() {
    return this.#unary('f32')
  }
  sign() {
    const [zero, one, minusOne] = [0, 1, -1].map((value) => this.#number(value)) as [Node, Node, Node]
    const ofSet = this.node.ofSet
    const below = this.#like({ kind: 'compare', op: 'above', a: zero, b: this.node, ofSet }).node
    const negative = this.#like({ kind: 'choose', mask: below, a: minusOne, b: zero, ofSet }).node
    return this.#like({ kind: 'choose', mask: this.above(0).node, a: one, b: negative, ofSet })
  }

  above(other: Operand) {
    return this.#compare('above', other)
  }
  atLeast(other: Operand) {
    return this.#compare('atLeast', other)
  }
  and(other: Mask) {
    return this.#logic('and', other)
  }
  or(other: Mask) {
    return this.#logic('or', other)
  }
  not() {
    return this.#like({ kind: 'not', a: this.node, ofSet: this.node.ofSet })
  }
  where(mask: Mask, otherwise: Operand = 0) {
    const m = maskOf(mask, this.to)
    const b = operandOf(otherwise, this.to)
    return this.#like({ kind: 'choose', mask: m, a: this.node, b, ofSet: this.node.ofSet || b.ofSet || m.ofSet })
  }
  largest(fraction: number, scope: Scope = 'tensor') {
    return this.#cutoff(fraction, scope, false)
  }
  largestWithEquals(fraction: number, scope: Scope = 'tensor') {
    return this.#cutoff(fraction, scope, true)
  }

  sum(scope: Scope = 'tensor') {
    return this.#reduce('sum', this.node, scope)
  }
  l1(scope: Scope = 'tensor') {
    return this.#reduce('l1', this.node, scope)
  }
  l2(scope: Scope = 'tensor') {
    return this.#reduce('l2', this.node, scope)
  }
  linf(scope: Scope = 'tensor') {
    return this.#reduce('linf', this.node, scope)
  }
  dot(other: Plane, scope: Scope = 'tensor') {
    return this.#reduce('dot', planeOf(other, this.to), scope)
  }
  term(weight: Operand = 1): Term {
    return new RecordedTerm(this.node, operandOf(weight, this.to), this.to) as unknown as Term
  }

  #like(node: Node) {
    return new RecordedPlane(node, this.to)
  }
  #number(value: number) {
    return operandOf(value, this.to)
  }
  #binary(op: Binary, other: Operand) {
    const b = operandOf(other, this.to)
    return this.#like({ kind: 'binary', op, a: this.node, b, ofSet: this.node.ofSet || b.ofSet })
  }
  #unary(op: Unary) {
    return this.#like({ kind: 'unary', op, a: this.node, ofSet: this.node.ofSet })
  }
  #compare(op: Compare, other: Operand) {
    const b = operandOf(other, this.to)
    return this.#like({ kind: 'compare', op, a: this.node, b, ofSet: this.node.ofSet || b.ofSet })
  }
  #logic(op: 'and' | 'or', other: Mask) {
    const b = maskOf(other, this.to)
    return this.#like({ kind: 'logic', op, a: this.node, b, ofSet: this.node.ofSet || b.ofSet })
  }
  #cutoff(fraction: number, scope: Scope, withEquals: boolean) {
    if (!Number.isFinite(fraction)) throw this.to.error(`largest was given the fraction ${fraction}`)
    const ofSet = this.node.ofSet
    const cutoff: CutoffNode = {
      kind: 'cutoff',
      a: this.node,
      fraction,
      withEquals,
      scope: built(scope, this.to),
      ofSet,
    }
    return this.#like({ kind: 'aboveCutoff', a: this.node, cutoff: this.to.intern(cutoff), ofSet })
  }
  #reduce(op: Reduction | 'linf', b: Node, scope: Scope): Later<number> {
    const ofSet = this.node.ofSet || b.ofSet
    return new RecordedLater({ kind: 'reduce', op, a: this.node, b, scope: built(scope, this.to), ofSet }, this.to)
  }
}

export class RecordedTerm {
  readonly plane: Node
  readonly weight: Node
  readonly to: Recorder
  constructor(plane: Node, weight: Node, to: Recorder) {
    this.plane = plane
    this.weight = weight
    this.to = to
  }
}

export function built(scope: Scope, to: Recorder): Scope {
  if (scope === 'row') throw to.error('reductions by row are not built yet')
  return scope
}

const MASKS: ReadonlySet<Node['kind']> = new Set(['compare', 'logic', 'not', 'keep', 'aboveCutoff'] as const)

function handleOf(handle: unknown, to: Recorder, what: string): Node {
  if (!(handle instanceof RecordedPlane)) throw to.error(`${what} was expected, and ${describe(handle)} was given`)
  if (handle.to !== to)
    throw to.error('a handle of another recording is used; a formula may keep nothing between calls')
  return handle.node
}
export const planeOf = (handle: Plane, to: Recorder): Node => {
  const node = handleOf(handle, to, 'a plane')
  if (MASKS.has(node.kind)) throw to.error('a mask is used where a plane is expected')
  return node
}
export const maskOf = (handle: Mask, to: Recorder): Node => {
  const node = handleOf(handle, to, 'a mask')
  if (!MASKS.has(node.kind)) throw to.error('a plane is used where a mask is expected')
  return node
}
export function laterOf(later: unknown, to: Recorder): LaterNode {
  if (!(later instanceof RecordedLater)) throw to.error(`a later value was expected, and ${describe(later)} was given`)
  if (later.to !== to) throw to.error('a later value of another recording is used')
  return later.node
}
export function operandOf(operand: Operand, to: Recorder): Node {
  if (typeof operand === 'number') {
    if (!Number.isFinite(operand)) throw to.error(`a formula uses the number ${operand}`)
    return to.intern({ kind: 'number', value: operand, ofSet: false })
  }
  if (operand instanceof RecordedLater) {
    const later = laterOf(operand, to)
    return to.intern({ kind: 'later', later, ofSet: later.ofSet })
  }
  return planeOf(operand as Plane, to)
}
export function termOf(given: unknown, to: Recorder): RecordedTerm {
  if (!(given instanceof RecordedTerm)) throw to.error(`a term was expected, and ${describe(given)} was given`)
  if (given.to !== to) throw to.error('a term of another recording is used')
  return given
}
const describe = (given: unknown): string =>
  given instanceof RecordedLater
    ? 'a later value'
    : given instanceof RecordedTerm
      ? 'a term'
      : given instanceof RecordedPlane
        ? 'a plane'
        : typeof given === 'object'
          ? 'another object'
          : JSON.stringify(given)
