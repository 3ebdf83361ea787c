/** Composition root of what works on this machine's files without a server. */
import { strategies } from '../merge-strategies/index.ts'
import { VERSION } from './cli/version.ts'
import type { Merger } from './merging/merger.ts'
import { createLocalOperations } from './operations/local/create-local-operations.ts'
import type { LocalOperations } from './operations/local/local-operations.ts'
import { createNodeFileSystem } from './storage/fs/node-file-system.ts'

export const openLocal = (options: {
  /** Absent: every input is hashed every time. */
  readonly cacheDirectory?: string | undefined
  readonly merger: Merger
}): LocalOperations =>
  createLocalOperations({
    merger: options.merger,
    files: createNodeFileSystem(),
    strategies,
    version: VERSION,
    cacheDirectory: options.cacheDirectory,
  })
