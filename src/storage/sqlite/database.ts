/**
 * One SQLite connection with our errors, our transactions, and one place where a test can make any statement fail,
 * commits included. Answers are plain: bytes are Uint8Array, a null column is an absent field.
 */
import BetterSqlite3 from 'better-sqlite3'
import { InvariantError, invariant } from '../../core/invariant.ts'
import { codeOf, storageError } from '../storage-error.ts'
import { type Transact, isThenable } from '../storage.ts'

export interface Statement<Params extends unknown[], Row = never> {
  /** Answers how many rows it changed. */
  run(...params: Params): number
  get(...params: Params): Row | undefined
  all(...params: Params): Row[]
}

export interface Database {
  prepare<Params extends unknown[], Row = never>(sql: string): Statement<Params, Row>
  /** Several statements, without answers. */
  execute(sql: string): void
  readonly transact: Transact
  /**
   * Work whose commit waits for no sync: for what a power cut may take, as it is only fetched again, where a
   * sync would hold up the whole process many times a second. What is committed after it takes it along. Inside a
   * transaction it is as durable as that.
   */
  lightly<T>(work: () => T): T
  readonly inTransaction: boolean
  close(): void
}

/** Called with the SQL before each statement, BEGIN and COMMIT too; what it throws is taken for SQLite's own error. */
export type BeforeStatement = (sql: string) => void

export interface DatabaseOptions {
  /** How long to wait for another connection's lock. */
  readonly busyTimeoutMs?: number
  readonly beforeStatement?: BeforeStatement | undefined
}

function plainRow(row: unknown): unknown {
  if (typeof row !== 'object' || row === null) return row
  const plain: Record<string, unknown> = {}
  for (const [column, value] of Object.entries(row) as [string, unknown][]) {
    if (value === null) continue
    plain[column] = Buffer.isBuffer(value) ? new Uint8Array(value.buffer, value.byteOffset, value.length) : value
  }
  return plain
}

function translated(error: unknown): unknown {
  if (error instanceof InvariantError) return error
  const code = codeOf(error)
  // a broken constraint is our own bug, not the disk's
  if (code?.startsWith('SQLITE_CONSTRAINT') === true && error instanceof Error) return new InvariantError(error.message)
  return storageError(error, 'use the database')
}

export function openConnection(path: string, options: DatabaseOptions = {}): Database {
  const { busyTimeoutMs = 5_000, beforeStatement = () => undefined } = options
  const call = <T>(sql: string, work: () => T): T => {
    try {
      beforeStatement(sql)
      return work()
    } catch (error) {
      throw translated(error)
    }
  }
  const raw = call('OPEN', () => new BetterSqlite3(path, { timeout: busyTimeoutMs }))
  let depth = 0

  /** SQLite ends a transaction by itself after some failures; what follows in it must not commit alone. */
  const stillInside = () => invariant(depth === 0 || raw.inTransaction, 'the transaction was ended by a failure in it')

  function prepare<Params extends unknown[], Row>(sql: string): Statement<Params, Row> {
    const statement = call('PREPARE', () => raw.prepare(sql))
    const answering = <T>(work: () => T): T => {
      stillInside()
      return call(sql, work)
    }
    return {
      run: (...params) => answering(() => statement.run(...params).changes),
      get: (...params) => answering(() => plainRow(statement.get(...params)) as Row | undefined),
      all: (...params) => answering(() => statement.all(...params).map(plainRow) as Row[]),
    }
  }

  const execute = (sql: string): void => {
    call(sql, () => raw.exec(sql))
  }

  const undo = (sql: string) => {
    try {
      if (raw.inTransaction) raw.exec(sql)
    } catch {
      // the failure that led here is the one to tell; closing the connection rolls back
    }
  }

  function transact<T>(work: () => T): T {
    const outermost = depth === 0
    const point = `level_${depth}`
    stillInside()
    execute(outermost ? 'BEGIN IMMEDIATE' : `SAVEPOINT ${point}`)
    depth += 1
    try {
      const answer = work()
      invariant(!isThenable(answer), 'a transaction is synchronous: await before it or after it')
      stillInside()
      execute(outermost ? 'COMMIT' : `RELEASE ${point}`)
      return answer
    } catch (error) {
      undo(outermost ? 'ROLLBACK' : `ROLLBACK TO ${point}; RELEASE ${point}`)
      throw error
    } finally {
      depth -= 1
    }
  }

  function lightly<T>(work: () => T): T {
    if (depth > 0) return work()
    execute('PRAGMA synchronous = NORMAL')
    try {
      return work()
    } finally {
      execute('PRAGMA synchronous = FULL')
    }
  }

  return {
    prepare,
    execute,
    transact: transact as Transact,
    lightly,
    get inTransaction() {
      return depth > 0
    },
    close: () => void raw.close(),
  }
}
