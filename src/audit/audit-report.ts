/** What an audit answers. A difference is an answer, not a failure. */
export interface AuditDifference {
  /** Which kind of thing is not as it should be. */
  readonly what: 'receipt' | 'statement' | 'input' | 'tensor' | 'file' | 'header' | 'index'
  readonly name: string
  readonly tensor?: string
  /** Number of the 1 MiB chunk of the tensor, from 0. */
  readonly tile?: number
  readonly expected: string
  readonly found: string
  readonly message: string
}

export interface AuditReport {
  readonly verdict: 'passed' | 'failed' | 'inputs_missing'
  readonly merge: string
  readonly statement_id: string
  readonly content: string
  readonly signed: boolean
  readonly checked: {
    readonly inputs: number
    readonly tensors: number
    readonly files: number
    readonly bytes: number
    /** Without an output beside the receipt, the replay's roots are held to the receipt alone. */
    readonly output: boolean
  }
  readonly difference?: AuditDifference
  /** Content roots that no directory holds. */
  readonly missing: readonly { readonly content: string; readonly what: string }[]
  readonly notes: readonly string[]
}

/** Thrown inside an audit: the first difference ends it. */
export class Difference extends Error {
  readonly difference: AuditDifference
  constructor(difference: AuditDifference) {
    super(difference.message)
    this.difference = difference
  }
}
