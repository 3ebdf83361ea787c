/** What is to be evaluated: plain facts about a model, and where its elements come from. */
import type { ContentRoot } from '../../core/ids.ts'
import type { Seed } from '../../core/seed.ts'
import type { Dtype } from '../../tensors/dtypes.ts'
import type { Strategy } from '../../core/strategy.ts'

/** Elements in one strip: what is computed at a time, and the block of the fixed-lane sums. */
export const STRIP = 4096

export interface EvaluationInput {
  readonly content: ContentRoot
  /** What a person calls it, for errors. */
  readonly label?: string
  readonly role?: string
}

export interface EvaluationTensor {
  readonly name: string
  readonly elements: number
  readonly strategy: Strategy
  /** Prepared: every default written. */
  readonly params: unknown
  readonly hasBase: boolean
  /** In canonical order. `input` points into the evaluation's list. */
  readonly inputs: readonly { readonly input: number; readonly weight: number; readonly params: unknown }[]
  /** Absent where nothing may be recalled. */
  readonly recall?: Recall
}

/** What was measured of the same bytes before. */
export interface Recall {
  /** Dtype and root of a stream; undefined where nobody knows it. */
  readonly identityOf: (stream: StreamRef) => string | undefined
  readonly known: ReadonlyMap<string, unknown>
}

/** A value that was measured, the key of what it was measured of, and whose stream that was. Plain data. */
export type Learned = readonly [key: string, value: unknown, identity: string]

export interface Evaluation {
  readonly seed: Seed
  readonly inputs: readonly EvaluationInput[]
  readonly tensors: readonly EvaluationTensor[]
}

/** Elements `from` to `to` of a tensor, `from` where a strip begins. */
export interface Range {
  readonly from: number
  readonly to: number
}

export function* partsOf({ from, to }: Range, length: number, step = length): Iterable<Range> {
  for (let begin = from; begin < to; begin += step) yield { from: begin, to: Math.min(begin + length, to) }
}

/** Of a sample: one strip in as many. */
const SAMPLED_EVERY = 16
const SAMPLE_STEP = SAMPLED_EVERY * STRIP

/** Strips of a range, the same of whatever ranges they are taken. */
export const sampleOf = ({ from, to }: Range): Iterable<Range> =>
  partsOf({ from: Math.ceil(from / SAMPLE_STEP) * SAMPLE_STEP, to }, STRIP, SAMPLE_STEP)

/** A tensor of the base or of an input, or a sidecar tensor that came with an input. */
export type StreamRef = 'base' | { readonly input: number; readonly sidecar?: string }

/** Decodes `count` elements from `first` into `into`, as the f64 values of f32s. `tensor` points into the evaluation's list. */
export type ReadStream<B> = (stream: StreamRef, tensor: number, first: number, count: number, into: B) => void

/** The same elements as the bytes they are. */
export interface ByteStreams {
  dtypeOf(stream: StreamRef, tensor: number): Dtype
  /** Elements of every stream that can be had side by side, from a multiple of as many: whole strips. */
  readonly atOnce: number
  /** Elements from here on are not wanted for now. */
  until(element: number): void
  /** Lent until elements elsewhere are asked for. */
  bytes(stream: StreamRef, tensor: number, first: number, count: number): Uint8Array
}

/** Takes one strip of the output. The plane is lent until the call returns. */
export type WriteStrip<B> = (first: number, plane: B) => void
