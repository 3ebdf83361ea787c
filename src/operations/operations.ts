/**
 * The verbs of a replica, without HTTP: what the REST API and the commands are skins of. What is answered is what goes
 * out as JSON, in its public spelling (snake_case, numbers of hashed records as decimals). Failures are TributaryErrors.
 */
import type { Receipt } from '../core/receipt.ts'

/** A space's id, or its name where only one space has it. */
export type SpaceRef = string
export type Bytes = AsyncIterable<Uint8Array>

export interface SpaceView {
  readonly id: string
  readonly name: string
  readonly root: string
  readonly ops_root: string
  /** How many are visible. */
  readonly contributions: number
  readonly ops: number
  /** Of models that other replicas gave for it: what counts against the quota. */
  readonly fetched_bytes: number
  readonly policy: { readonly access: 'open' | 'members'; readonly rules: number }
  readonly base?: string
  readonly creator: string
  /** Slots that show more than one contribution. */
  readonly conflicts: readonly string[]
  readonly revoked: readonly { readonly content: string; readonly reason?: string }[]
}

export interface ModelAdded {
  readonly model: string
  readonly content: string
  /** False when the same model was here already. */
  readonly created: boolean
  readonly warnings: readonly string[]
}

export interface ModelView {
  readonly id: string
  readonly content: string
  readonly bytes: number
  readonly tensors: readonly {
    readonly name: string
    readonly dtype: string
    readonly shape: readonly number[]
    readonly bytes: number
    readonly root: string
  }[]
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
  readonly created_at: string
}

/** A file that can be read in part, as often as wanted. */
export interface FileReading {
  readonly bytes: number
  /** Strong: changes whenever a byte does. Without quotes. */
  readonly etag: string
  readonly contentType: string
  /** SHA-256 of the whole file, where it is known without reading it. */
  readonly sha256?: string
  /** Bytes [start, end). */
  read(start: number, end: number): Bytes
}

export type BlobKind = 'tensor' | 'file' | 'manifest'

export interface UploadView {
  readonly id: string
  readonly expires_at: string
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly offset: number }[]
  /** Once finished. */
  readonly model?: string
}

export interface Offer {
  /** Id of a stored model. */
  readonly model: string
  readonly name: string
  readonly weight?: number | string
  readonly kind?: string
  /** REF or content root of what it was trained from; the space's base where absent is not assumed. */
  readonly base?: string
  readonly samples?: number
  readonly license?: string
  readonly tags?: readonly string[]
  readonly sidecars?: Readonly<Record<string, string>>
  readonly meta?: readonly (readonly [string, string])[]
}

export interface Contributed {
  readonly id: string
  readonly model: string
  readonly content: string
  readonly dot: string
  readonly root: string
  /** False when the record was visible already: no op was written. */
  readonly created: boolean
}

export interface ContributionView {
  readonly id: string
  readonly name: string
  readonly model: string
  readonly content: string
  readonly weight: string
  readonly kind: string
  readonly base?: string
  readonly samples?: number
  readonly license?: string
  readonly tags?: readonly string[]
  readonly sidecars?: Readonly<Record<string, string>>
  readonly meta?: readonly (readonly [string, string])[]
  readonly dots: readonly { readonly op: string; readonly author: string; readonly at: string }[]
  /** Its slot shows more than one contribution. */
  readonly conflict: boolean
  /** Are the model's bytes on this replica? */
  readonly here: boolean
}

/** That a contribution is under the root of its space: index among `size` leaves, and siblings from the leaf up. */
export interface ProofView {
  readonly id: string
  readonly root: string
  readonly index: number
  readonly size: number
  readonly path: readonly string[]
}

export interface MemberView {
  /** The raw public key of a replica, which is its id. */
  readonly key: string
  readonly role: 'admin' | 'writer' | 'reader'
  /** Its ops count from this epoch on. */
  readonly from_epoch: number
  readonly creator: boolean
  /** Epochs in which it signed two ops for one place: what it wrote in later ones waits for an amnesty. */
  readonly forked_epochs: readonly number[]
  /** Do ops after its last forked epoch count? */
  readonly amnesty: boolean
}

export interface MemberAdded {
  readonly member: MemberView
  /** False when the key had this role already: no op was written. */
  readonly created: boolean
}

export interface AmnestyGiven {
  readonly key: string
  readonly from_epoch: number
  /** False when its ops from then on counted already: no op was written. */
  readonly created: boolean
}

export type MergeState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled' | 'blocked'

export interface MergeView {
  readonly id: string
  readonly state: MergeState
  /** Of the space when the merge was asked for. */
  readonly root: string
  readonly bytes_done: number
  readonly bytes_total: number
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string }
  /** Models whose bytes are not here. */
  readonly missing?: readonly string[]
  /** Once done: the output's model id and content root. */
  readonly model?: string
  readonly content?: string
  readonly created_at: string
  readonly warnings?: readonly string[]
}

export interface MergeStarted {
  readonly merge: MergeView
  /** False when this merge was known. */
  readonly created: boolean
}

export interface Paged<T> {
  readonly items: readonly T[]
  readonly next_cursor?: string
}

export interface StrategyView {
  readonly id: string
  readonly version: number
  readonly family: string
  readonly shape: string
  readonly title: string
  readonly summary: string
  readonly references: readonly string[]
  readonly aliases: readonly {
    readonly id: string
    readonly params: Readonly<Record<string, unknown>>
    readonly requires?: readonly string[]
  }[]
  /** JSON Schemas. */
  readonly params: unknown
  readonly per_contribution?: unknown
  readonly needs: unknown
  readonly laws: unknown
  readonly incremental: boolean
  readonly passes: number
}

/** As it is when it is told. After `missed` everything may have changed. */
export type ReplicaEvent =
  | { readonly event: 'space'; readonly space: string; readonly root?: string; readonly ops_root: string }
  | {
      readonly event: 'merge'
      readonly space: string
      readonly merge: string
      readonly state: MergeState
      readonly bytes_done: number
      readonly bytes_total: number
    }
  /** Its address, or its key where it dialed us. */
  | { readonly event: 'peer'; readonly peer: string }
  | { readonly event: 'missed' }

export interface EventWatch {
  take(): readonly ReplicaEvent[]
  end(): void
}

export interface Figures {
  readonly spaces: number
  readonly ops: number
  readonly contributions: number
  readonly models: number
  readonly receipts: number
  readonly unfinished_uploads: number
  readonly merges: Readonly<Record<MergeState, number>>
  readonly merged_bytes: number
  /** To other replicas, and from them, since the start. */
  readonly blob_bytes_given: number
  readonly blob_bytes_received: number
  /** Keys that signed two ops for one place, in any space. */
  readonly forked_keys: number
  readonly own_forked_epochs: number
  readonly fetched_bytes: number
  readonly fetched_bytes_of_largest_space: number
  readonly fetch_quota_bytes: number
  /** Not whole, since bytes of theirs rotted. */
  readonly damaged_models: number
  /** Found since the start. */
  readonly rotten_blobs: number
  readonly scrubbed_bytes: number
  readonly free_bytes: number
}

export interface Readiness {
  readonly ready: boolean
  /** `ok`, or what is wrong. */
  readonly checks: Readonly<Record<string, string>>
}

export interface Operations {
  createSpace(space: { readonly name: string; readonly base?: string; readonly access?: string }): Promise<SpaceView>
  listSpaces(): readonly SpaceView[]
  findSpace(space: SpaceRef): SpaceView

  /** One safetensors file, streamed; `bytes` where its length was announced. */
  uploadModel(body: Bytes, about?: { readonly bytes?: number; readonly signal?: AbortSignal }): Promise<ModelAdded>
  findModel(model: string): ModelView
  readModelFile(model: string, path: string): Promise<FileReading>

  startUpload(
    files: readonly { readonly path: string; readonly bytes: number; readonly sha256?: string }[],
  ): Promise<UploadView>
  findUpload(upload: string): UploadView
  /** Answers how many bytes of the file are durable now. */
  writeUpload(upload: string, path: string, offset: number, body: Bytes): Promise<number>
  finishUpload(upload: string): Promise<ModelAdded>

  contribute(space: SpaceRef, offer: Offer): Promise<Contributed>
  listContributions(space: SpaceRef): readonly ContributionView[]
  findContribution(space: SpaceRef, id: string): ContributionView
  proveContribution(space: SpaceRef, id: string): ProofView
  /** Takes away what is visible of it now; an add that this replica has not seen survives. */
  retract(space: SpaceRef, id: string): Promise<SpaceView>
  /** Withdraws content for ever: from the space, from merges, and its bytes from this disk. */
  revoke(space: SpaceRef, content: string, reason?: string): Promise<SpaceView>

  /** The creator first, then by key. */
  listMembers(space: SpaceRef): readonly MemberView[]
  addMember(space: SpaceRef, member: { readonly key: string; readonly role: string }): Promise<MemberAdded>
  /** What the member wrote that is here stays; what comes later does not count. Answers who is left. */
  removeMember(space: SpaceRef, key: string, reason?: string): Promise<readonly MemberView[]>
  /** Lets a key whose chain is forked write again, from a later epoch on. */
  giveAmnesty(
    space: SpaceRef,
    amnesty: { readonly key: string; readonly from_epoch?: number; readonly reason?: string },
  ): Promise<AmnestyGiven>

  startMerge(space: SpaceRef, recipe: unknown): Promise<MergeStarted>
  listMerges(space: SpaceRef, page?: { readonly limit?: number; readonly cursor?: string }): Paged<MergeView>
  findMerge(space: SpaceRef, merge: string): MergeView
  /** Cancels it, or drops the output of a finished one; the receipt stays. */
  cancelMerge(space: SpaceRef, merge: string): Promise<MergeView>
  /** The output as one safetensors file. */
  readOutput(space: SpaceRef, merge: string): Promise<FileReading>
  findReceipt(space: SpaceRef, merge: string): Receipt

  /** A tensor by root, a file by SHA-256, a manifest by model id: of any space, or with a ticket of that one. */
  readBlob(kind: BlobKind, digest: string, ticket?: string): Promise<FileReading>
  /** The leaf hashes of a tensor's chunks, 32 bytes each; they hash to its root. */
  readLeaves(root: string, ticket?: string): Promise<FileReading>
  /** Five minutes of leave to take the blobs of this space, for whoever may read it. */
  giveTicket(space: SpaceRef, rid: string): string

  /** `wake` says that there is something to take. */
  watchEvents(wake: () => void): EventWatch

  listStrategies(): readonly StrategyView[]
  findStrategy(id: string): StrategyView

  figures(): Promise<Figures>
  readiness(): Promise<Readiness>
  /** What this replica is: key, epoch, version. */
  identity(): { readonly replica: string; readonly epoch: number; readonly version: string }
}
