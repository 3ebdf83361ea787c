/** Receipts in SQLite. Append-only: the first receipt of a merge stands, by the key. */
import type { MergeId, StatementId } from '../../core/ids.ts'
import { invariant } from '../../core/invariant.ts'
import type { ReceiptRepository, StoredReceipt } from '../receipt-repository.ts'
import type { Database } from './database.ts'

export function createSqliteReceiptRepository(db: Database): ReceiptRepository {
  const columns = `merge_id AS merge, statement, statement_id AS statementId, about, about_id AS aboutId,
    created_at_ms AS createdAtMs`
  const insert = db.prepare<[StoredReceipt]>(`
    INSERT INTO receipts (merge_id, statement, statement_id, about, about_id, created_at_ms)
    VALUES (@merge, @statement, @statementId, @about, @aboutId, @createdAtMs)
    ON CONFLICT (merge_id) DO NOTHING`)
  const select = db.prepare<[MergeId], StoredReceipt>(`SELECT ${columns} FROM receipts WHERE merge_id = ?`)
  const selectByStatement = db.prepare<[StatementId], StoredReceipt>(
    `SELECT ${columns} FROM receipts WHERE statement_id = ? ORDER BY merge_id LIMIT 1`,
  )
  const countAll = db.prepare<[], { count: number }>('SELECT count(*) AS count FROM receipts')
  return {
    put(receipt) {
      insert.run(receipt)
      const stands = select.get(receipt.merge)
      invariant(stands !== undefined, 'a receipt was just put')
      return stands
    },
    find: (merge) => select.get(merge),
    findByStatement: (statementId) => selectByStatement.get(statementId),
    count: () => countAll.get()?.count ?? 0,
  }
}
