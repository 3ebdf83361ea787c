/** What the bytes of a run have in common: its models, what liars told, and whom the honest named for it. */
import type { ReplicaId } from '../../src/core/ids.ts'
import type { BlobName } from '../../src/storage/blob-store.ts'
import { CHUNK_BYTES } from '../../src/replication/fetch-plan.ts'
import type { Luck } from './luck.ts'
import type { Shelf } from './models.ts'

/** Mistakes with bytes that the simulator must notice. */
export interface ByteBugs {
  /** One source is asked and no other. */
  readonly asksOne?: boolean
  /** Somebody else is named than who lied. */
  readonly namesAnother?: boolean
  /** What is not synced yet is said to be durable. */
  readonly skipsSync?: boolean
  /** Each chunk is taken for what it should be. */
  readonly believesChunks?: boolean
}

export interface Naming {
  readonly by: number
  readonly source: string
  readonly what: string
}

export class ByteWorld {
  readonly luck: Luck
  readonly shelf: Shelf
  readonly bugs: ByteBugs
  /** Everything that was named, by honest replicas. */
  readonly named: Naming[] = []
  /** Failures of which nobody told in words. */
  readonly threw: string[] = []
  /** Are fetches broken off on purpose? */
  isBreaking = true
  /** Part of a tensor was written, or synced, by a fetch. */
  onFetched: (node: number, did: 'write' | 'sync') => void = () => undefined
  readonly #told = new Set<string>()
  readonly #rotten = new Set<string>()
  readonly #everRotten = new Set<string>()

  constructor(luck: Luck, shelf: Shelf, bugs: ByteBugs) {
    this.luck = luck
    this.shelf = shelf
    this.bugs = bugs
  }

  /** Whoever it is sends something else for this. */
  tells(liar: ReplicaId, what: string): void {
    this.#told.add(`${liar} ${what}`)
  }
  hasTold = (source: string, what: string): boolean => this.#told.has(`${source} ${what}`)
  get lies(): number {
    return this.#told.size
  }

  /** What rotted at a replica it gives out in good faith, and is rightly named for. */
  rots(node: number, rid: ReplicaId, { kind, digest }: BlobName, at: number): void {
    this.#rotten.add(`${node} ${digest}`)
    this.#everRotten.add(`${node} ${digest}`)
    if (kind === 'file') this.tells(rid, `the file ${digest}`)
    else for (const what of [chunkOf(digest, at), `the leaves of the tensor ${digest}`]) this.tells(rid, what)
  }
  /** Another disk is in its place, or all of it was read again and what rotted taken out. */
  isSoundAgain(node: number): void {
    for (const key of [...this.#rotten]) if (key.startsWith(`${node} `)) this.#rotten.delete(key)
  }
  hasEverRottenAt = (node: number): boolean => [...this.#everRotten].some((key) => key.startsWith(`${node} `))
  isRottenAt = (node: number): boolean => [...this.#rotten].some((key) => key.startsWith(`${node} `))
  /** An upload of the same bytes takes what is there for sound, until it is read again. */
  hasEverRotten = (node: number, digest: string): boolean => this.#everRotten.has(`${node} ${digest}`)
  hasRotten = (node: number, digest: string): boolean => this.#rotten.has(`${node} ${digest}`)
}

export const chunkOf = (root: string, at: number): string =>
  `chunk ${Math.floor(at / CHUNK_BYTES)} of the tensor ${root}`
