/**
 * What works on checkpoints of this machine, without a server: merge, plan, audit, digest, inspect. What is answered is
 * what goes out as JSON, in its public spelling. Failures are TributaryErrors; a failed audit is an answer, not a failure.
 */
import type { AuditReport } from '../../audit/audit-report.ts'
import type { Receipt } from '../../core/receipt.ts'

export type { AuditDifference, AuditReport } from '../../audit/audit-report.ts'

export interface LocalProgress {
  readonly phase: 'hashing inputs' | 'merging' | 'verifying'
  /** What is being worked on, as a person calls it: a path or the output. */
  readonly what: string
  readonly bytes_done: number
  readonly bytes_total: number
}

export interface LocalWatch {
  readonly onProgress?: (progress: LocalProgress) => void
  /** A merge goes on where a run before it was killed. */
  readonly onResume?: (taken: { readonly tensors: number; readonly bytes: number }) => void
  readonly signal?: AbortSignal
}

export interface LocalMergeRequest {
  /** Path of the recipe file; paths in it are relative to its directory. */
  readonly recipe: string
  readonly out: string
}

export interface LocalMerge {
  /** Merge id. */
  readonly id: string
  readonly recipe_id: string
  readonly strategy: string
  readonly out: string
  /** Content root of the output. */
  readonly content: string
  readonly tensors: number
  readonly bytes: number
  /** Names of the files in the output directory. */
  readonly files: readonly string[]
  readonly inputs: readonly { readonly ref: string; readonly content: string; readonly weight: string }[]
  readonly base?: { readonly ref: string; readonly content: string }
  readonly left_out: readonly { readonly ref: string; readonly why: string }[]
  readonly warnings: readonly string[]
  readonly receipt: Receipt
}

export interface PlanInput {
  readonly ref: string
  readonly role: string
  readonly weight?: string
  readonly tensors: number
  readonly bytes: number
  readonly dtypes: readonly string[]
  /** Of tensors that are not as the reference has them. */
  readonly differing: readonly { readonly tensor: string; readonly has: string; readonly wanted: string }[]
  readonly license?: string
  /** Only where it is known without reading the data. */
  readonly content?: string
}

export interface LocalPlan {
  readonly strategy: string
  readonly inputs: readonly PlanInput[]
  readonly mismatch: string
  readonly tensors: { readonly total: number; readonly merged: number; readonly copied: number }
  readonly output: { readonly dtypes: readonly string[]; readonly bytes: number; readonly shards: number }
  readonly bytes_read: number
  readonly bytes_written: number
  readonly peak_memory_bytes: number
  /** Threads that would compute. */
  readonly workers: number
  readonly passes: number
  /** Only where every input's digest is known without reading the data. */
  readonly merge_id?: string
  readonly warnings: readonly string[]
  /** Why the merge would be refused; none where it would run. */
  readonly problems: readonly { readonly code: string; readonly message: string; readonly hint?: string }[]
  /** The same, for people. */
  readonly text: string
}

export interface DigestView {
  readonly path: string
  readonly content: string
  readonly model: string
  readonly tensors: number
  readonly bytes: number
  /** Elements that are NaN or infinite: such a model can't be merged. */
  readonly not_finite: readonly { readonly tensor: string; readonly count: number }[]
  readonly left_out: readonly { readonly path: string; readonly why: string }[]
}

export interface InspectView {
  readonly path: string
  readonly files: readonly {
    readonly path: string
    readonly bytes: number
    readonly tensors: number
    readonly metadata: readonly (readonly [string, string])[]
  }[]
  readonly tensors: readonly {
    readonly name: string
    readonly dtype: string
    readonly shape: readonly number[]
    readonly bytes: number
    readonly file: string
  }[]
  readonly dtypes: readonly { readonly dtype: string; readonly tensors: number; readonly bytes: number }[]
  readonly bytes: number
  readonly elements: number
  readonly left_out: readonly { readonly path: string; readonly why: string }[]
}

export interface LocalOperations {
  mergeLocal(request: LocalMergeRequest, watch?: LocalWatch): Promise<LocalMerge>
  planLocal(recipe: string): Promise<LocalPlan>
  /** `target` is a receipt, or a directory that holds one. */
  auditLocal(
    request: { readonly target: string; readonly inputs: readonly string[] },
    watch?: LocalWatch,
  ): Promise<AuditReport>
  digestPath(path: string, watch?: LocalWatch): Promise<DigestView>
  inspectPath(path: string): Promise<InspectView>
  close(): Promise<void>
}
