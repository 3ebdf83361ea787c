/** A hook for the database that counts statements, commits included, and fails one of them as SQLite would. */
export interface FaultyStatements {
  readonly beforeStatement: (sql: string) => void
  /** Fails the n-th statement from now on, counted from 1; undefined: none. */
  plan(atStatement: number | undefined, code?: 'SQLITE_IOERR' | 'SQLITE_FULL'): void
  readonly statements: readonly string[]
}

export function createFaultyStatements(): FaultyStatements {
  let failing: { readonly at: number; readonly code: string } | undefined
  let statements: string[] = []
  return {
    beforeStatement(sql) {
      statements.push(sql)
      if (failing?.at === statements.length)
        throw Object.assign(new Error(`${failing.code}: planned`), { code: failing.code })
    },
    plan(atStatement, code = 'SQLITE_IOERR') {
      failing = atStatement === undefined ? undefined : { at: atStatement, code }
      statements = []
    },
    get statements() {
      return statements
    },
  }
}
