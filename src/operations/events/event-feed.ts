/**
 * What changed on this replica, for whoever watches: as keys of what to look at again, each at most once in a watcher's
 * queue. What is told is read when it is taken, so it is never older than the change, and never of a commit that failed.
 */
import type { MergeId, SpaceId } from '../../core/ids.ts'
import type { JobRepository } from '../../storage/job-repository.ts'

export type Changed =
  | { readonly kind: 'space'; readonly id: SpaceId }
  | { readonly kind: 'merge'; readonly id: MergeId }
  | { readonly kind: 'peer'; readonly id: string }

/** Distinct things one watcher may have waiting. */
export const WAITING_MAX = 1024

export interface Watching {
  /** What changed since it was last asked, each once, in the order of first change. */
  take(): readonly Changed[]
  /** True once after more changed than could be kept: all that waited was dropped, and everything is to be read again. */
  hasMissed(): boolean
  end(): void
}

export class EventFeed {
  readonly #watchers = new Set<(changed: Changed) => void>()

  tell(changed: Changed): void {
    for (const hear of this.#watchers) hear(changed)
  }

  /** `wake` is called when something waits after nothing did. */
  watch(wake: () => void): Watching {
    const waiting = new Map<string, Changed>()
    let missed = false
    const hear = (changed: Changed): void => {
      if (waiting.size >= WAITING_MAX) {
        waiting.clear()
        missed = true
      }
      const wasEmpty = waiting.size === 0
      waiting.set(`${changed.kind}/${changed.id}`, changed)
      if (wasEmpty) wake()
    }
    this.#watchers.add(hear)
    return {
      take() {
        const taken = [...waiting.values()]
        waiting.clear()
        return taken
      },
      hasMissed() {
        const had = missed
        missed = false
        return had
      },
      end: () => void this.#watchers.delete(hear),
    }
  }
}

/** Tells of every merge whose job changes. */
export function toldJobs(jobs: JobRepository, feed: EventFeed): JobRepository {
  const tell = <T>(id: MergeId, outcome: T): T => {
    feed.tell({ kind: 'merge', id })
    return outcome
  }
  return {
    ...jobs,
    add: (job) => tell(job.id, jobs.add(job)),
    claimNext(nowMs) {
      const job = jobs.claimNext(nowMs)
      return job && tell(job.id, job)
    },
    progress: (id, ...rest) => tell(id, jobs.progress(id, ...rest)),
    finish: (id, ...rest) => tell(id, jobs.finish(id, ...rest)),
    fail: (id, ...rest) => tell(id, jobs.fail(id, ...rest)),
    block: (id, ...rest) => tell(id, jobs.block(id, ...rest)),
    cancel: (id, ...rest) => tell(id, jobs.cancel(id, ...rest)),
    requeue: (id, ...rest) => tell(id, jobs.requeue(id, ...rest)),
    remove: (id) => tell(id, jobs.remove(id)),
  }
}
