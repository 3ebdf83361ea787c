/**
 * Programs over strips: straight lines of steps, each naming the planes it works on, from the bytes of streams to the bytes
 * of an output or to measures. Kernels that can run one do so in one go; a step has the bits of the primitive it is named for.
 */
import type { Binary, Compare, Unary } from '../core/graph-words.ts'
import type { RandomKey } from '../core/philox.ts'
import type { Dtype } from '../tensors/dtypes.ts'
import type { BlockSum, KeyRange } from './measures.ts'

/** Numbers name planes. */
export type Computation =
  | { readonly do: 'binary'; readonly op: Binary; readonly a: number; readonly b: number; readonly out: number }
  | { readonly do: 'unary'; readonly op: Unary; readonly a: number; readonly out: number }
  | { readonly do: 'compare'; readonly op: Compare; readonly a: number; readonly b: number; readonly out: number }
  | { readonly do: 'choose'; readonly mask: number; readonly a: number; readonly b: number; readonly out: number }
  | { readonly do: 'keep'; readonly key: RandomKey; readonly a: number; readonly out: number }
  | {
      readonly do: 'aboveCutoff'
      readonly a: number
      readonly key: number
      readonly lastTie: number
      /** Index of the tensor's first element in the cutoff's scope. */
      readonly offset: number
      /** In place of a last tie that is not known. */
      readonly ties?: Float64Array
      readonly out: number
    }
  | { readonly do: 'sort'; readonly planes: readonly number[]; readonly outs: readonly number[] }

/** What only programs say. A narrow plane holds f32, of which it knows no other than by these steps. */
export type Fused =
  | { readonly do: 'widen'; readonly a: number; readonly out: number }
  | { readonly do: 'narrow'; readonly a: number; readonly out: number }
  /** minus, then f32; all planes are narrow, as in all that follow. */
  | { readonly do: 'change'; readonly a: number; readonly b: number; readonly out: number }
  /** times or over one number, then f32. */
  | {
      readonly do: 'scale'
      readonly op: 'times' | 'over'
      readonly a: number
      readonly by: number
      readonly out: number
    }
  /** aboveCutoff, and 0 elsewhere. */
  | {
      readonly do: 'trim'
      readonly a: number
      readonly key: number
      readonly lastTie: number
      readonly offset: number
      readonly out: number
    }
  /** The same in a tensor that is gone through in order: `ties` is the state of an nth, whose element is the last tie. */
  | {
      readonly do: 'trimInTurn'
      readonly a: number
      readonly key: number
      readonly ties: Float64Array
      readonly out: number
    }
  /** keep with one probability, and 0 elsewhere. */
  | {
      readonly do: 'drop'
      readonly key: RandomKey
      readonly probability: number
      readonly a: number
      readonly out: number
    }
  /**
   * Exact sums of the products weight · plane above zero, of those below, and of the weights of either: four planes that
   * are not narrow. Sums of these weights are exact in f64 whatever the order.
   */
  | {
      readonly do: 'votes'
      readonly planes: readonly number[]
      readonly weights: readonly number[]
      readonly outs: readonly number[]
    }
  /**
   * Of such votes the camp whose sum is the greater, above zero where they are equal, over a divisor where there are any:
   * these are by the contributions in the camp, bit i of the index being set for the i-th. Weights are not negative.
   */
  | {
      readonly do: 'elect'
      readonly planes: readonly number[]
      readonly weights: readonly number[]
      readonly divisors: readonly number[] | undefined
      readonly out: number
    }

const FUSED: Readonly<Record<Fused['do'], true>> = {
  widen: true,
  narrow: true,
  change: true,
  scale: true,
  trim: true,
  trimInTurn: true,
  drop: true,
  votes: true,
  elect: true,
}
export const isFused = (step: { readonly do: string }): step is Fused => Object.hasOwn(FUSED, step.do)

/** What is known of all elements once they have been seen. Arrays go in with what was seen before, and come out. */
export type Measure =
  /**
   * Block sums of pairs of `planes`, added in block order. Where `tellBlocks` is told those of all pairs, block by block and
   * lent until it returns, nothing is added.
   */
  | {
      readonly measure: 'sums'
      readonly op: BlockSum
      readonly pairs: readonly (readonly [number, number])[]
      readonly totals: Float64Array
      readonly tellBlocks?: (sums: Float64Array) => void
    }
  | { readonly measure: 'greatest'; readonly total: Float64Array }
  | { readonly measure: 'histogram'; readonly range: KeyRange; readonly counts: Uint32Array }
  /**
   * The index of the n-th element with this key, `offset` being that of the tensor's first: `state` is how many are still
   * to come, and the index, −1 before it is known. Of narrow planes.
   */
  | { readonly measure: 'nth'; readonly key: number; readonly offset: number; readonly state: Float64Array }

export type ProgramStep =
  | Computation
  | Fused
  | { readonly do: 'read'; readonly stream: number; readonly narrow: boolean; readonly out: number }
  | {
      readonly do: 'weightedSum'
      readonly planes: readonly number[]
      readonly weights: readonly number[]
      readonly out: number
    }
  /** keep with one probability, as bits of a mask; where not all are kept. */
  | { readonly do: 'draw'; readonly key: RandomKey; readonly probability: number; readonly mask: number }
  /** A narrow plane, 0 where the mask has no bit. */
  | { readonly do: 'pick'; readonly mask: number; readonly a: number; readonly out: number }
  /** Ends the run where an element is not finite. */
  | { readonly do: 'finite'; readonly a: number }
  | { readonly do: 'write'; readonly a: number }
  | {
      readonly do: 'measure'
      readonly measure: Measure
      readonly planes: readonly number[]
      readonly narrow: boolean
    }

export interface StripProgram {
  readonly steps: readonly ProgramStep[]
  /** Planes of one number throughout. */
  readonly constants: readonly { readonly buffer: number; readonly value: number }[]
  readonly buffers: number
  readonly streams: readonly Dtype[]
  /** How many masks it draws, or picks by. */
  readonly masks?: number
  /** Of what is written. */
  readonly dtype: Dtype | undefined
}

/**
 * Runs over elements first … first + count − 1, of which `first` is a multiple of 4,096: the streams hold the bytes of just
 * these, and so the masks as bits, in words of 32. False where something is not finite; then neither `out`, nor a measure, nor
 * a mask that was drawn means anything.
 */
export type RunProgram = (
  streams: readonly Uint8Array[],
  first: number,
  count: number,
  out?: Uint8Array,
  masks?: readonly Uint8Array[],
) => boolean

/** Of a mask for as many elements. */
export const maskBytes = (elements: number): number => 4 * Math.ceil(elements / 32)
