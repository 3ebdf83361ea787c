/** What a worker is told: plain data, so it crosses a thread, and complete, so the worker asks nothing back. */
import type { Dtype } from '../tensors/dtypes.ts'
import type { Learned } from './evaluate/evaluation.ts'

/** Part of a file. */
export interface Slice {
  readonly path: string
  readonly offset: number
  readonly bytes: number
}

/** A tensor as it lies on disk. */
export interface TensorSlice extends Slice {
  readonly dtype: Dtype
  /** Of its bytes, where it is known. */
  readonly root?: string
}

/** What a stream's elements follow from. */
export const streamIdentityOf = ({ dtype, root }: { readonly dtype: Dtype; readonly root: string }): string =>
  `${dtype} ${root}`

export interface TaskInput {
  readonly content: string
  readonly role?: string
  /** What a person calls this input, for errors. Never hashed. */
  readonly label: string
}

/** The bytes as they are. */
export interface CopyRule {
  readonly kind: 'copy'
  readonly from: TensorSlice
}

export interface MergeRule {
  readonly kind: 'merge'
  readonly strategy: string
  /** Prepared: every default written. */
  readonly params: unknown
  readonly base?: TensorSlice
  /** In the order the strategy sees them; `input` points into the task's list. */
  readonly inputs: readonly RuleInput[]
}

export interface RuleInput {
  readonly input: number
  readonly weight: number
  readonly params: unknown
  readonly value: TensorSlice
  readonly sidecars?: Readonly<Record<string, TensorSlice>>
}

export interface TaskTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly elements: number
  readonly dtype: Dtype
  readonly target: Slice
  readonly rule: CopyRule | MergeRule
  /** What earlier merges measured of the same bytes; absent where nothing may be recalled. */
  readonly recalled?: readonly Learned[]
}

export interface MergeTask {
  readonly merge: string
  readonly seed: string
  readonly inputs: readonly TaskInput[]
  readonly tensors: readonly TaskTensor[]
  /** Bytes of one tile of one stream; a multiple of 4,096 elements of any dtype. */
  readonly tileBytes: number
  /** For random masks that a thread keeps of a tensor; absent: as much as there may be. */
  readonly maskBytes?: number
  /** At most as many threads; absent: as many as there are. */
  readonly workers?: number
}

export interface TensorOutcome {
  readonly name: string
  /** Tree head over the 1 MiB chunks written. */
  readonly root: string
  readonly scalars: readonly number[]
  /** What was measured on the way, where it may be recalled. */
  readonly learned?: readonly Learned[]
}

/** Tensors whose roots are wanted, with a census of what can't be merged. */
export interface DigestTask {
  readonly tensors: readonly { readonly name: string; readonly slice: TensorSlice }[]
}

export interface DigestOutcome {
  readonly name: string
  readonly root: string
  readonly notFinite: number
}

export const taskBytes = (task: MergeTask): number => task.tensors.reduce((sum, tensor) => sum + tensor.target.bytes, 0)
/** Of every tensor that is read, once. */
export const readBytes = (task: MergeTask): number => task.tensors.reduce((sum, { rule }) => sum + ruleBytes(rule), 0)

export function ruleBytes(rule: TaskTensor['rule']): number {
  if (rule.kind === 'copy') return rule.from.bytes
  let bytes = rule.base?.bytes ?? 0
  for (const { value, sidecars } of rule.inputs) {
    bytes += value.bytes
    if (sidecars) for (const sidecar of Object.values(sidecars)) bytes += sidecar.bytes
  }
  return bytes
}

export const digestBytes = (task: DigestTask): number => task.tensors.reduce((sum, { slice }) => sum + slice.bytes, 0)
