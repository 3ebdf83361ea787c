/** Merge jobs in maps. */
import { compareHex } from '../../core/bytes.ts'
import type { MergeId, SetRoot, SpaceId } from '../../core/ids.ts'
import { type JobRepository, JOB_STATES, type JobState, type MergeJob } from '../job-repository.ts'
import type { Journal } from './journal.ts'

interface Row {
  readonly job: MergeJob
  readonly queuedAtMs: number
}
interface Asking {
  readonly space: SpaceId
  readonly id: MergeId
  readonly root: SetRoot
  readonly createdAtMs: number
}

export function createMemoryJobRepository(journal: Journal): JobRepository {
  const rows = journal.map<MergeId, Row>()
  const askings = journal.map<string, Asking>()

  const inState = (state: JobState) =>
    rows
      .values()
      .filter(({ job }) => job.state === state)
      .sort((a, b) => a.queuedAtMs - b.queuedAtMs || compareHex(a.job.id, b.job.id))
      .map(({ job }) => job)

  /** Moves a job on if it is in one of these states; error and output belong to the new state alone. */
  function move(id: MergeId, from: readonly JobState[], nowMs: number, change: Partial<MergeJob>): boolean {
    const row = rows.get(id)
    if (row === undefined || !from.includes(row.job.state)) return false
    const { space, root, request, bytesTotal, bytesDone, createdAtMs, state } = row.job
    const kept = { id, space, root, request, bytesTotal, bytesDone, createdAtMs, state }
    rows.set(id, {
      job: { ...kept, ...change, updatedAtMs: nowMs },
      queuedAtMs: from.includes('failed') ? nowMs : row.queuedAtMs,
    })
    return true
  }

  const asAsked = ({ space, id, root, createdAtMs }: Asking): readonly MergeJob[] => {
    const row = rows.get(id)
    return row === undefined ? [] : [{ ...row.job, space, root, createdAtMs }]
  }
  const newestFirst = (a: Pick<Asking, 'id' | 'createdAtMs'>, b: Pick<Asking, 'id' | 'createdAtMs'>) =>
    b.createdAtMs - a.createdAtMs || compareHex(a.id, b.id)

  return {
    add({ id, space, root, request, bytesTotal, createdAtMs }) {
      const key = `${space}/${id}`
      if (askings.has(key)) return 'known'
      askings.set(key, { space, id, root, createdAtMs })
      if (rows.has(id)) return 'joined'
      const job = { id, space, root, request, bytesTotal, createdAtMs }
      rows.set(id, {
        job: { ...job, state: 'queued', bytesDone: 0, updatedAtMs: createdAtMs },
        queuedAtMs: createdAtMs,
      })
      return 'added'
    },
    find: (id) => rows.get(id)?.job,
    findInSpace(space, id) {
      const asking = askings.get(`${space}/${id}`)
      return asking === undefined ? undefined : asAsked(asking)[0]
    },
    listBySpace: (space, { limit, after }) =>
      askings
        .values()
        .filter((asking) => asking.space === space && (after === undefined || newestFirst(asking, after) > 0))
        .sort(newestFirst)
        .slice(0, limit)
        .flatMap(asAsked),
    listByState: inState,
    idsByState: (state) => inState(state).map(({ id }) => id),
    countByState: () =>
      Object.fromEntries(JOB_STATES.map((state) => [state, inState(state).length])) as Record<JobState, number>,

    claimNext(nowMs) {
      const [next] = inState('queued')
      if (next === undefined) return undefined
      move(next.id, ['queued'], nowMs, { state: 'running' })
      return rows.get(next.id)?.job
    },
    progress: (id, bytesDone, nowMs) => move(id, ['running'], nowMs, { bytesDone }),
    finish: (id, output, nowMs) =>
      move(id, ['running'], nowMs, { state: 'done', output, bytesDone: rows.get(id)?.job.bytesTotal ?? 0 }),
    fail: (id, error, nowMs) => move(id, ['queued', 'running'], nowMs, { state: 'failed', error }),
    block: (id, error, nowMs) => move(id, ['queued', 'running'], nowMs, { state: 'blocked', error }),
    cancel: (id, nowMs) => move(id, ['queued', 'running', 'blocked'], nowMs, { state: 'cancelled' }),
    requeue: (id, nowMs) => move(id, ['failed', 'cancelled', 'blocked'], nowMs, { state: 'queued', bytesDone: 0 }),
    recover(nowMs) {
      const running = inState('running')
      for (const { id } of running) move(id, ['running'], nowMs, { state: 'queued' })
      return running.length
    },
    remove(id) {
      for (const [key, asking] of askings.entries()) if (asking.id === id) askings.delete(key)
      return rows.delete(id)
    },
  }
}
