/** The strategy contract: all that a strategy imports. Four shapes, simplest first: sum, gather, matrix, search. */
export * from './strategy-planes.ts'
export * from './strategy-matrix.ts'
export * from './strategy-search.ts'
