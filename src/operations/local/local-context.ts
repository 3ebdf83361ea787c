/** What the operations on local checkpoints work with. */
import type { Strategy } from '../../core/strategy.ts'
import type { DigestCache } from '../../merging/digest-checkpoint.ts'
import type { Merger } from '../../merging/merger.ts'
import type { FileSystem } from '../../storage/file-system.ts'
import type { MeasureCache } from './measure-cache.ts'

export interface LocalContext {
  readonly merger: Merger
  readonly files: FileSystem
  readonly strategies: readonly Strategy[]
  /** Absent where it was switched off. */
  readonly cache?: DigestCache
  /** Absent where it was switched off. */
  readonly measures?: MeasureCache
  readonly now: () => Date
  /** Name and version, for receipts. */
  readonly program: string
  readonly machine: string
}
