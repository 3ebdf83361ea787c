/**
 * Port: merge jobs. A merge is one job however many spaces ask for it; each asking keeps its own root. States move only
 * along queued → running → done | failed | blocked | cancelled (and back to queued), so a late worker changes nothing.
 */
import type { MergeId, ModelId, SetRoot, SpaceId } from '../core/ids.ts'

export const JOB_STATES = ['queued', 'running', 'done', 'failed', 'cancelled', 'blocked'] as const
export type JobState = (typeof JOB_STATES)[number]

export interface NewJob {
  readonly id: MergeId
  readonly space: SpaceId
  /** Root of the space when it was asked for. */
  readonly root: SetRoot
  /** Canonical text with all that is needed to run it again. */
  readonly request: string
  readonly bytesTotal: number
  readonly createdAtMs: number
}
export interface MergeJob extends NewJob {
  readonly state: JobState
  readonly bytesDone: number
  readonly updatedAtMs: number
  /** JSON: of failed, what went wrong; of blocked, which bytes are missing. */
  readonly error?: string
  /** Of done. */
  readonly output?: ModelId
}

export interface JobPage {
  readonly limit: number
  readonly after?: { readonly id: MergeId; readonly createdAtMs: number } | undefined
}

export interface JobRepository {
  /**
   * 'added': a new job, queued. 'joined': the merge was known and this space asks for the first time. 'known': this
   * space had asked; nothing changes.
   */
  add(job: NewJob): 'added' | 'joined' | 'known'
  /** With the space and root of the first asking. */
  find(id: MergeId): MergeJob | undefined
  /** With this space's root, and `createdAtMs` of its asking. */
  findInSpace(space: SpaceId, id: MergeId): MergeJob | undefined
  /** Newest asking first, ties by id. */
  listBySpace(space: SpaceId, page: JobPage): readonly MergeJob[]
  listByState(state: JobState): readonly MergeJob[]
  /** In the same order, without reading what they were asked with. */
  idsByState(state: JobState): readonly MergeId[]
  countByState(): Readonly<Record<JobState, number>>

  /** The job queued longest becomes running and is answered. */
  claimNext(nowMs: number): MergeJob | undefined
  /** Each is one durable commit: say it about once a second, not once a tile. False unless running. */
  progress(id: MergeId, bytesDone: number, nowMs: number): boolean
  /** running → done; false when it was cancelled meanwhile, and then the output is not kept. */
  finish(id: MergeId, output: ModelId, nowMs: number): boolean
  /** queued, running → failed. */
  fail(id: MergeId, error: string, nowMs: number): boolean
  /** queued, running → blocked. */
  block(id: MergeId, error: string, nowMs: number): boolean
  /** queued, running, blocked → cancelled. */
  cancel(id: MergeId, nowMs: number): boolean
  /** failed, cancelled, blocked → queued, from the start. */
  requeue(id: MergeId, nowMs: number): boolean
  /** running → queued: said once at start, when no worker can be alive. Answers how many. */
  recover(nowMs: number): number
  /** Forgets a job in every space, such as one whose output is dropped. Its receipt stays. */
  remove(id: MergeId): boolean
}
