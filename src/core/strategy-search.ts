/**
 * The search shape: strategies that propose recipes and learn from scores. None touches a tensor. State is plain data, so a
 * search is hashed, stopped and resumed; its result is a recipe, and auditing that merge does not need the search.
 */
import type { Static, TObject } from 'typebox'
import type { Description, Needs } from './strategy-planes.ts'

export type Genome = readonly number[]

export interface Scored {
  readonly genome: Genome
  readonly score: number
}

export interface Problem {
  /** Contributions to be merged. */
  readonly count: number
  /** Groups of tensors, such as layers, that may be weighted apart. */
  readonly groups: readonly string[]
}

/** The part of a recipe that a genome stands for. */
export interface Proposal {
  readonly strategy: string
  readonly params: Readonly<Record<string, unknown>>
  /** By group: a weight for each contribution. */
  readonly weights: Readonly<Record<string, readonly number[]>>
}

/** Counter-based: `normal(stream, index)` is the same number wherever it is asked for. */
export interface NumberSource {
  normal(stream: number, index: number): number
}

export interface SearchStrategy<
  P extends TObject = TObject,
  O extends TObject = TObject,
  N extends Needs = Needs,
  S = unknown,
> extends Description<P, O, N> {
  readonly shape: 'search'
  readonly start: (problem: Problem, params: Static<P>) => S
  readonly ask: (state: S, random: NumberSource, params: Static<P>) => readonly Genome[]
  readonly tell: (state: S, scored: readonly Scored[], params: Static<P>) => S
  readonly best: (state: S) => Genome
  readonly express: (genome: Genome, problem: Problem, params: Static<P>) => Proposal
}

// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- no property is declared
type Nothing = TObject<{}>

/** Proposes, is told scores, and answers a recipe. */
export const defineSearch = <P extends TObject, const N extends Needs, S, O extends TObject = Nothing>(
  it: Omit<SearchStrategy<P, O, N, S>, 'shape'>,
): SearchStrategy<P, O, N, S> => ({ shape: 'search', ...it })
