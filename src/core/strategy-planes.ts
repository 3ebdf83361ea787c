/**
 * The strategy contract: what a merge strategy says about itself, and the words it may say it in.
 *
 * A strategy is a declaration and one formula. The formula is an ordinary function over opaque handles: no number of a
 * tensor ever reaches it, so it can't loop over elements, branch on them, or tell how the tensor was cut. Calling it
 * computes nothing; it writes down what is to be computed, and the engine decides on passes, memory, caches and kernels.
 */
import type { Static, TObject } from 'typebox'
import type { ErrorCode } from './errors.ts'

export { at } from './invariant.ts'
export { math } from './libm.ts'
export { Type } from 'typebox'

/** Where a reduction ends: one result per row (all axes but the first), per tensor, or for the whole model. */
export type Scope = 'row' | 'tensor' | 'model'

/** A value that is known once a pass over the data has ended. Plain arithmetic on it goes into `map`. */
export interface Later<T> {
  map<U>(f: (value: T) => U): Later<U>
  with<U>(other: Later<U>): Later<readonly [T, U]>
}

export type Operand = Plane | Later<number> | number

/** One f64 for each element of a tensor. Every operation is one of IEEE 754 per element, in the order written. */
export interface Plane {
  plus(other: Operand): Plane
  minus(other: Operand): Plane
  times(other: Operand): Plane
  over(other: Operand): Plane
  min(other: Operand): Plane
  max(other: Operand): Plane
  abs(): Plane
  sqrt(): Plane
  /** Every element rounded to the nearest f32. */
  f32(): Plane
  /** 1, 0 or −1. */
  sign(): Plane

  /** Greater than. */
  above(other: Operand): Mask
  /** Greater than or equal. */
  atLeast(other: Operand): Mask
  /** Itself where the mask holds, `otherwise` (by default 0) elsewhere. */
  where(mask: Mask, otherwise?: Operand): Plane
  /** The ⌊fraction · n⌋ elements of greatest magnitude, as f32 values; among equals the lowest index wins. Exact. */
  largest(fraction: number, over?: Scope): Mask
  /** As `largest` for one element more, and with all equals of the last one: the trimming that TIES was published with. */
  largestWithEquals(fraction: number, over?: Scope): Mask

  sum(over?: Scope): Later<number>
  l1(over?: Scope): Later<number>
  l2(over?: Scope): Later<number>
  /** The greatest magnitude. */
  linf(over?: Scope): Later<number>
  dot(other: Plane, over?: Scope): Later<number>

  /** What may enter Σ: this plane and its weight (by default 1), both rounded to f32, so that their product is exact. */
  term(weight?: Operand): Term
}

export interface Mask {
  and(other: Mask): Mask
  or(other: Mask): Mask
  not(): Mask
}

declare const term: unique symbol
/** An exact product, ready to be summed. Only `Plane.term` makes one. */
export interface Term {
  readonly [term]: true
}

/** Randomness by counter, keyed by seed, strategy, content, tensor and stream, and indexed by element. */
export interface Random {
  /** True with the given probability, which is rounded to a multiple of 2⁻³². */
  keep(probability: Operand, stream?: number): Mask
}

/** One contribution as a formula sees it: its own tensor, its own weight, its own parameters. */
export interface Own<N extends Needs, O> {
  readonly value: Plane
  /** Already rounded to f32. */
  readonly weight: number
  readonly params: O
  /** The part that the recipe gave it. */
  readonly role?: string
  readonly sidecars: { readonly [S in keyof N['sidecars']]: Plane }
  readonly random: N['stochastic'] extends true ? Random : undefined
}

/** Exact sums of the terms that ended up positive, and of those that ended up negative. Zero votes for neither. */
export interface Votes {
  readonly positive: Plane
  readonly negative: Plane
  readonly positiveWeight: Plane
  readonly negativeWeight: Plane
  readonly positiveCount: Plane
  readonly negativeCount: Plane
  /** Per element the positive camp where the mask holds, the negative one elsewhere. */
  side(up: Mask): { readonly sum: Plane; readonly weight: Plane; readonly count: Plane }
}

/** Σ over contributions. Each is exact, free of order, and gives a contribution back out again (`largest` excepted). */
export interface Sums<N extends Needs, O> {
  readonly sum: (of: (own: Own<N, O>) => Term) => Plane
  readonly votes: (of: (own: Own<N, O>) => Term) => Votes
  readonly count: (of: (own: Own<N, O>) => Mask) => Plane
  readonly total: (of: (own: Own<N, O>) => number | Later<number>) => Later<number>
  /** The f32 value of greatest magnitude; at equal magnitude the positive one. Can be added to, not taken from. */
  readonly largest: (of: (own: Own<N, O>) => Plane) => Plane
}

export type BaseOf<N extends Needs> = N['base'] extends 'required'
  ? Plane
  : N['base'] extends 'optional'
    ? Plane | undefined
    : undefined

export interface SumContext<N extends Needs, O> extends Sums<N, O> {
  readonly base: BaseOf<N>
}

/** Small k × k numbers for `map`. */
export type SquareMatrix = readonly (readonly number[])[]

export interface GatherContext<N extends Needs, O> {
  readonly base: BaseOf<N>
  /** All of them: in canonical order, or in the recipe's where the strategy's order is explicit. */
  readonly contributions: readonly Own<N, O>[]
  /** Σ cᵢ·xᵢ: each product is rounded once, their exact sum once. */
  readonly blend: (planes: readonly Plane[], coefficients: readonly number[] | Later<readonly number[]>) => Plane
  /** The same planes, ascending per element. */
  readonly sort: (planes: readonly Plane[]) => readonly Plane[]
  readonly gram: (planes: readonly Plane[], over?: Scope) => Later<SquareMatrix>
  readonly squaredDistances: (planes: readonly Plane[], over?: Scope) => Later<SquareMatrix>
}

export interface Needs {
  readonly base: 'none' | 'optional' | 'required'
  /** How many contributions the method takes. */
  readonly contributions: { readonly min: number; readonly max?: number }
  readonly weights: 'any' | 'nonNegative' | 'positive' | 'ignored'
  /** Published for two: more are folded, in canonical order, and `plan` says so. */
  readonly reduce?: 'fold'
  /** Tensors that come with a contribution, one for each model tensor, of the same shape. */
  readonly sidecars?: Readonly<Record<string, { readonly summary: string; readonly missing: 'refuse' | number }>>
  /** Parts contributions may play, given in the recipe; each at most once. */
  readonly roles?: readonly string[]
  readonly stochastic?: true
}

/** Claims about the function. Each becomes a property test: a true one must hold, a false one must be refuted. */
export interface Laws {
  /** free: no trace of order. canonical: a fold along the canonical order. explicit: an input, hashed with the recipe. */
  readonly order: 'free' | 'canonical' | 'explicit'
  /** Contributing one model several times over gives that model. */
  readonly idempotent: boolean
  /** If every contribution equals the base, so does the output. */
  readonly fixesBase: boolean
  /** Doubling every weight changes nothing. */
  readonly weightScaleFree: boolean
  /** Every element of the output lies between the smallest and the largest of the inputs. */
  readonly bounded: boolean
  /** How many of so many contributions may be arbitrary while the output stays within the span of the others. */
  readonly tolerates?: (count: number) => number
}

/** Another name, which fills in parameters. It is spent when a recipe is resolved and enters no digest. */
export interface Alias {
  readonly id: string
  readonly params: Readonly<Record<string, unknown>>
  /** Parameters that have no default under this name. */
  readonly requires?: readonly string[]
}

export type Family =
  'linear' | 'spherical' | 'task-vector' | 'subspace' | 'importance' | 'robust' | 'learned' | 'adapter'

export interface Description<P extends TObject, O extends TObject, N extends Needs> {
  /** snake_case; the file name is the same in kebab-case. */
  readonly id: string
  /** Raised whenever any output byte may change. Hashed into every merge. */
  readonly version: number
  readonly family: Family
  readonly title: string
  readonly summary: string
  readonly references: readonly string[]
  readonly aliases?: readonly Alias[]
  /** For the whole merge; a recipe may vary each by tensor. */
  readonly params: P
  /** For each contribution; weight is not among them, every contribution has one. */
  readonly perContribution?: O
  readonly needs: N
  readonly laws: Laws
  /** What schemas can't say, checked before a byte is read. */
  readonly check?: (facts: Facts<Static<P>, Static<O>>) => Refusal | undefined
}

export interface Facts<P, O> {
  readonly params: P
  readonly inputs: readonly { readonly weight: number; readonly params: O; readonly role?: string }[]
}

/** A failure the caller can act on, by name. */
export interface Refusal {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
  /** JSON pointer into {params, inputs}. */
  readonly pointer?: string
}

export interface SumStrategy<
  P extends TObject = TObject,
  O extends TObject = TObject,
  N extends Needs = Needs,
> extends Description<P, O, N> {
  readonly shape: 'sum'
  readonly merge: (context: SumContext<N, Static<O>>, params: Static<P>) => Plane
}

export interface GatherStrategy<
  P extends TObject = TObject,
  O extends TObject = TObject,
  N extends Needs = Needs,
> extends Description<P, O, N> {
  readonly shape: 'gather'
  readonly merge: (context: GatherContext<N, Static<O>>, params: Static<P>) => Plane
}

/** A strategy whose types the engine no longer knows. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the one place where they are forgotten
export type Strategy = SumStrategy<any, any, any> | GatherStrategy<any, any, any>

type Said<T> = Omit<T, 'shape'>
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- no property is declared
type Nothing = TObject<{}>

/** The output is made of exact Σ, each term of which looks only at its own contribution: incremental by construction. */
export const defineSum = <P extends TObject, const N extends Needs, O extends TObject = Nothing>(
  it: Said<SumStrategy<P, O, N>>,
): SumStrategy<P, O, N> => ({ shape: 'sum', ...it })

/** The formula sees all contributions of a tensor at once. */
export const defineGather = <P extends TObject, const N extends Needs, O extends TObject = Nothing>(
  it: Said<GatherStrategy<P, O, N>>,
): GatherStrategy<P, O, N> => ({ shape: 'gather', ...it })

/** Below this a divisor counts as zero. */
const NO_DIVISOR = 1e-8
/** Below this a norm is too small to be matched. */
const NO_NORM = 1e-7

/** Divisors: what is next to zero becomes one. */
export const orOne = (divisor: Plane): Plane => divisor.where(divisor.abs().atLeast(NO_DIVISOR), 1)
/** The same for a number that is known later. */
export const orOneLater = (divisor: Later<number>): Later<number> =>
  divisor.map((value) => (Math.abs(value) >= NO_DIVISOR ? value : 1))

/** What is left of a plane, scaled up to the norm of the whole; as it is where either norm is next to nothing. */
export function matchNorm(left: Plane, whole: Plane, norm: 'l1' | 'l2' | 'linf'): Plane {
  const before = whole[norm]()
  const after = left[norm]()
  return left.times(before.with(after).map(([b, a]) => (b < NO_NORM || a < NO_NORM ? 1 : b / a)))
}
