/** Port: receipts, append-only. A merge has one statement for good: the first. A receipt outlives its output. */
import type { AboutId, MergeId, StatementId } from '../core/ids.ts'

export interface StoredReceipt {
  readonly merge: MergeId
  /** Canonical bytes, identical on every run of the merge. */
  readonly statement: Uint8Array
  readonly statementId: StatementId
  /** Canonical bytes about this run. */
  readonly about: Uint8Array
  readonly aboutId: AboutId
  readonly createdAtMs: number
}

export interface ReceiptRepository {
  /** Answers the receipt that stands: the first one put. Another `statementId` in it means two runs disagreed. */
  put(receipt: StoredReceipt): StoredReceipt
  find(merge: MergeId): StoredReceipt | undefined
  findByStatement(statementId: StatementId): StoredReceipt | undefined
  count(): number
}
