/**
 * Keeps a snapshot of each large space not much older than the space: another thread reads the ops, folds them and
 * encodes what came out. It starts from the ops alone, so it also tells whether what this replica shows is right.
 */
import { TributaryError } from '../core/errors.ts'
import type { SetRoot, SpaceId } from '../core/ids.ts'
import type { SpaceState } from '../core/or-set.ts'
import { decodeSnapshot, type SnapshotHead } from '../core/snapshot-format.ts'
import type { Storage } from '../storage/storage.ts'

export interface Compactor {
  /** Undefined where there is no snapshot of it to be had. */
  compact(space: SpaceId): Promise<Uint8Array | undefined>
  close(): Promise<void>
}

/** A snapshot is made again when so large a part of the space is newer. */
const NEWER_PART = 1 / 16

interface CompactionParts {
  readonly storage: Storage
  readonly compactor: Compactor
  readonly opsMin: number
  readonly report: (what: string, error: unknown) => void
  readonly current: (space: SpaceId) => SpaceState | undefined
  /** What it shows is not what its ops say: it is to be folded again. */
  readonly distrust: (space: SpaceId) => void
}

export class Compaction {
  readonly #parts: CompactionParts
  /** Ops that the stored snapshot has, or was tried to be made of. */
  readonly #covered = new Map<SpaceId, number>()
  #running: Promise<void> | undefined

  constructor(parts: CompactionParts) {
    this.#parts = parts
  }

  /** The snapshot that is stored has so many ops. */
  covers(space: SpaceId, ops: number): void {
    this.#covered.set(space, ops)
  }

  /** The space was read, or has changed. */
  mind({ space, ops }: SpaceState): void {
    const newer = ops.size - (this.#covered.get(space) ?? 0)
    if (this.#running !== undefined || newer < Math.max(this.#parts.opsMin, ops.size * NEWER_PART)) return
    this.#covered.set(space, ops.size)
    this.#running = this.#compact(space)
      .catch((error: unknown) => this.#parts.report('compacting a space', error))
      .finally(() => (this.#running = undefined))
  }

  /** Resolves when no snapshot is being made. */
  async idle(): Promise<void> {
    await this.#running
  }

  async stop(): Promise<void> {
    await this.#parts.compactor.close()
    await this.#running
  }

  async #compact(space: SpaceId): Promise<void> {
    const { storage, compactor } = this.#parts
    const bytes = await compactor.compact(space)
    const head = bytes && decodeSnapshot(bytes)?.head
    if (bytes === undefined || head === undefined) return
    storage.snapshots.put(space, bytes)
    this.#covered.set(space, head.ops)
    this.#compare(space, head)
  }

  #compare(space: SpaceId, { root, opsRoot }: SnapshotHead): void {
    const { current, distrust, report } = this.#parts
    const state = current(space)
    if (state?.opsRoot !== (opsRoot as SetRoot) || state.root === (root as SetRoot)) return
    distrust(space)
    report(
      'compacting a space',
      new TributaryError('DIGEST_MISMATCH', `the space ${space} showed ${state.root}, and its ops make ${root}`, {
        details: { space, shown: state.root, folded: root },
        hint: 'it is folded again; please report this',
      }),
    )
  }
}
