/** Merge jobs in SQLite. Each change names the states it may come from, so a late worker finds nothing to change. */
import type { MergeId, ModelId, SetRoot, SpaceId } from '../../core/ids.ts'
import { type JobRepository, JOB_STATES, type JobState, type MergeJob, type NewJob } from '../job-repository.ts'
import type { Database } from './database.ts'

export function createSqliteJobRepository(db: Database): JobRepository {
  const shared = `jobs.merge_id AS id, request, state, bytes_done AS bytesDone, bytes_total AS bytesTotal, error, output,
    updated_at_ms AS updatedAtMs`
  const first = `${shared}, jobs.space AS space, jobs.root AS root, created_at_ms AS createdAtMs`
  const asked = `${shared}, job_askings.space AS space, job_askings.root AS root, asked_at_ms AS createdAtMs`
  const askings = 'job_askings JOIN jobs USING (merge_id)'

  const insert = db.prepare<[NewJob]>(`
    INSERT INTO jobs (merge_id, space, root, request, state, bytes_done, bytes_total, created_at_ms, queued_at_ms, updated_at_ms)
    VALUES (@id, @space, @root, @request, 'queued', 0, @bytesTotal, @createdAtMs, @createdAtMs, @createdAtMs)
    ON CONFLICT (merge_id) DO NOTHING`)
  const insertAsking = db.prepare<[SpaceId, MergeId, SetRoot, number]>(`
    INSERT INTO job_askings (space, merge_id, root, asked_at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`)
  const select = db.prepare<[MergeId], MergeJob>(`SELECT ${first} FROM jobs WHERE merge_id = ?`)
  const selectInSpace = db.prepare<[SpaceId, MergeId], MergeJob>(
    `SELECT ${asked} FROM ${askings} WHERE job_askings.space = ? AND merge_id = ?`,
  )
  const selectPage = db.prepare<[SpaceId, number, number, string, number], MergeJob>(`
    SELECT ${asked} FROM ${askings}
    WHERE job_askings.space = ? AND (asked_at_ms < ? OR (asked_at_ms = ? AND merge_id > ?))
    ORDER BY asked_at_ms DESC, merge_id LIMIT ?`)
  const selectByState = db.prepare<[JobState], MergeJob>(
    `SELECT ${first} FROM jobs WHERE state = ? ORDER BY queued_at_ms, merge_id`,
  )
  const selectIdsByState = db.prepare<[JobState], { id: MergeId }>(
    'SELECT merge_id AS id FROM jobs WHERE state = ? ORDER BY queued_at_ms, merge_id',
  )
  const countStates = db.prepare<[], { state: JobState; count: number }>(
    'SELECT state, count(*) AS count FROM jobs GROUP BY state',
  )
  const claim = db.prepare<[number], { id: MergeId }>(`
    UPDATE jobs SET state = 'running', updated_at_ms = ?
    WHERE merge_id = (SELECT merge_id FROM jobs WHERE state = 'queued' ORDER BY queued_at_ms, merge_id LIMIT 1)
    RETURNING merge_id AS id`)
  const progress = db.prepare<[number, number, MergeId]>(
    `UPDATE jobs SET bytes_done = ?, updated_at_ms = ? WHERE merge_id = ? AND state = 'running'`,
  )
  const finish = db.prepare<[ModelId, number, MergeId]>(`
    UPDATE jobs SET state = 'done', bytes_done = bytes_total, output = ?, updated_at_ms = ?
    WHERE merge_id = ? AND state = 'running'`)
  const stop = db.prepare<[JobState, string, number, MergeId]>(`
    UPDATE jobs SET state = ?, error = ?, updated_at_ms = ? WHERE merge_id = ? AND state IN ('queued', 'running')`)
  const cancel = db.prepare<[number, MergeId]>(`
    UPDATE jobs SET state = 'cancelled', error = NULL, updated_at_ms = ?
    WHERE merge_id = ? AND state IN ('queued', 'running', 'blocked')`)
  const requeue = db.prepare<[number, number, MergeId]>(`
    UPDATE jobs SET state = 'queued', bytes_done = 0, error = NULL, queued_at_ms = ?, updated_at_ms = ?
    WHERE merge_id = ? AND state IN ('failed', 'cancelled', 'blocked')`)
  const recover = db.prepare<[number]>(`UPDATE jobs SET state = 'queued', updated_at_ms = ? WHERE state = 'running'`)
  const remove = db.prepare<[MergeId]>('DELETE FROM jobs WHERE merge_id = ?')

  return {
    add: (job) =>
      db.transact(() => {
        const isNew = insert.run(job) === 1
        const asks = insertAsking.run(job.space, job.id, job.root, job.createdAtMs) === 1
        return isNew ? 'added' : asks ? 'joined' : 'known'
      }),
    find: (id) => select.get(id),
    findInSpace: (space, id) => selectInSpace.get(space, id),
    listBySpace: (space, { limit, after }) => {
      const before = after?.createdAtMs ?? Number.MAX_SAFE_INTEGER
      return selectPage.all(space, before, before, after?.id ?? '', limit)
    },
    listByState: (state) => selectByState.all(state),
    idsByState: (state) => selectIdsByState.all(state).map(({ id }) => id),
    countByState() {
      const counts = Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as Record<JobState, number>
      for (const { state, count } of countStates.all()) counts[state] = count
      return counts
    },
    claimNext: (nowMs) => {
      const claimed = claim.get(nowMs)
      return claimed === undefined ? undefined : select.get(claimed.id)
    },
    progress: (id, bytesDone, nowMs) => progress.run(bytesDone, nowMs, id) === 1,
    finish: (id, output, nowMs) => finish.run(output, nowMs, id) === 1,
    fail: (id, error, nowMs) => stop.run('failed', error, nowMs, id) === 1,
    block: (id, error, nowMs) => stop.run('blocked', error, nowMs, id) === 1,
    cancel: (id, nowMs) => cancel.run(nowMs, id) === 1,
    requeue: (id, nowMs) => requeue.run(nowMs, nowMs, id) === 1,
    recover: (nowMs) => recover.run(nowMs),
    remove: (id) => remove.run(id) === 1,
  }
}
