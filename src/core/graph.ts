/** What a recorded formula is made of. A program is data: what to read, reduce, sum and compute. */
import type { Binary, Compare, Reduction, Unary } from './graph-words.ts'
import type { Scope } from './strategy.ts'

export type VotePart = 'positive' | 'negative' | 'positiveWeight' | 'negativeWeight' | 'positiveCount' | 'negativeCount'
export type ChannelPart = VotePart | 'sum' | 'count' | 'largest'

/** Where elements come from: the base, or the tensor or a sidecar of the contribution at this place. */
export type Stream = 'base' | { readonly owner: number; readonly sidecar?: string }

/** An element-wise computation. `ofSet`: it depends on more than one contribution. */
export type Node = { readonly ofSet: boolean } & (
  | { readonly kind: 'input'; readonly stream: Stream }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'later'; readonly later: LaterNode }
  | { readonly kind: 'binary'; readonly op: Binary; readonly a: Node; readonly b: Node }
  | { readonly kind: 'unary'; readonly op: Unary; readonly a: Node }
  | { readonly kind: 'compare'; readonly op: Compare; readonly a: Node; readonly b: Node }
  | { readonly kind: 'logic'; readonly op: 'and' | 'or'; readonly a: Node; readonly b: Node }
  | { readonly kind: 'not'; readonly a: Node }
  | { readonly kind: 'choose'; readonly mask: Node; readonly a: Node; readonly b: Node }
  | { readonly kind: 'keep'; readonly owner: number; readonly stream: number; readonly probability: Node }
  | { readonly kind: 'aboveCutoff'; readonly a: Node; readonly cutoff: CutoffNode }
  | { readonly kind: 'channel'; readonly site: number; readonly part: ChannelPart }
  | { readonly kind: 'blend'; readonly planes: readonly Node[]; readonly coefficients: LaterNode }
  | { readonly kind: 'sort'; readonly planes: readonly Node[] }
  | { readonly kind: 'sorted'; readonly sort: SortNode; readonly rank: number }
)
export type NodeOf<K extends Node['kind']> = Extract<Node, { readonly kind: K }>
export type SortNode = NodeOf<'sort'>

/** A value that exists after a pass. */
export type LaterNode = { readonly ofSet: boolean } & (
  | { readonly kind: 'known'; readonly value: unknown }
  | {
      readonly kind: 'reduce'
      readonly op: Reduction | 'linf'
      readonly a: Node
      readonly b: Node
      readonly scope: Scope
    }
  | {
      readonly kind: 'pairs'
      readonly op: 'gram' | 'squaredDistances'
      readonly planes: readonly Node[]
      readonly scope: Scope
    }
  | {
      readonly kind: 'cutoff'
      readonly a: Node
      readonly fraction: number
      /** All equals of the last one kept, and one rank further, are kept too. */
      readonly withEquals: boolean
      readonly scope: Scope
    }
  | { readonly kind: 'map'; readonly from: LaterNode; readonly f: (value: never) => unknown }
  | { readonly kind: 'with'; readonly a: LaterNode; readonly b: LaterNode }
  | { readonly kind: 'total'; readonly site: number }
)
export type CutoffNode = Extract<LaterNode, { readonly kind: 'cutoff' }>
export type Reducing = Extract<LaterNode, { readonly kind: 'reduce' | 'pairs' | 'cutoff' }>
export type ReducingKind = Reducing['kind']

/** One Σ of the formula, with what each recorded contribution puts into it, in their order. */
export interface Site {
  readonly kind: 'sum' | 'votes' | 'count' | 'largest' | 'total'
  readonly terms: readonly { readonly plane: Node; readonly weight: Node }[]
  /** Of a total. */
  readonly scalars: readonly LaterNode[]
}

export interface Program {
  readonly output: Node
  readonly sites: readonly Site[]
  /** Each once, in the order they were first written. */
  readonly reductions: readonly Reducing[]
  /** Each once, in the order they were first written. */
  readonly nodes: readonly Node[]
}

/** A strategy that breaks the contract: a bug of its author, raised where it was written. */
export class ContractError extends Error {
  override readonly name = 'ContractError'
}

export const isReducing = (node: LaterNode): node is Reducing =>
  node.kind === 'reduce' || node.kind === 'pairs' || node.kind === 'cutoff'

/** What an element-wise node is computed from, Σ included. */
export function operandsOf(node: Node, sites: readonly Site[]): readonly Node[] {
  switch (node.kind) {
    case 'input':
    case 'number':
    case 'later':
      return []
    case 'binary':
    case 'compare':
    case 'logic':
      return [node.a, node.b]
    case 'unary':
    case 'not':
    case 'aboveCutoff':
      return [node.a]
    case 'choose':
      return [node.mask, node.a, node.b]
    case 'keep':
      return [node.probability]
    case 'channel':
      return sites[node.site]!.terms.flatMap(({ plane, weight }) => [plane, weight])
    case 'blend':
    case 'sort':
      return node.planes
    case 'sorted':
      return [node.sort]
  }
}

/** The values an element-wise node takes from passes that went before. */
export function latersOf(node: Node): readonly LaterNode[] {
  if (node.kind === 'later') return [node.later]
  if (node.kind === 'aboveCutoff') return [node.cutoff]
  return node.kind === 'blend' ? [node.coefficients] : []
}

/** The planes a reduction looks at. */
export function planesOf(node: Reducing): readonly Node[] {
  switch (node.kind) {
    case 'reduce':
      return node.a === node.b ? [node.a] : [node.a, node.b]
    case 'pairs':
      return node.planes
    case 'cutoff':
      return [node.a]
  }
}

/** The values that a value is worked out from, without a further pass. */
export function sourcesOf(node: LaterNode, sites: readonly Site[]): readonly LaterNode[] {
  switch (node.kind) {
    case 'map':
      return [node.from]
    case 'with':
      return [node.a, node.b]
    case 'total':
      return sites[node.site]!.scalars
    case 'known':
    case 'reduce':
    case 'pairs':
    case 'cutoff':
      return []
  }
}
