/** What every JobRepository promises. */
import { describe, expect, test } from 'vitest'
import type { MergeId } from '../../src/core/ids.ts'
import { JOB_STATES, type JobRepository, type JobState } from '../../src/storage/job-repository.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { aJob, idOf, spaceOf } from '../support/stored-facts.ts'

const merge = idOf<MergeId>('merge')

/** Brings a new job into a state by the shortest way. */
function inState(jobs: JobRepository, state: JobState): void {
  jobs.add(aJob())
  if (state === 'queued') return
  jobs.claimNext(2_000)
  if (state === 'done') jobs.finish(merge, idOf('output'), 3_000)
  if (state === 'failed') jobs.fail(merge, '{"why":1}', 3_000)
  if (state === 'blocked') jobs.block(merge, '{"missing":[]}', 3_000)
  if (state === 'cancelled') jobs.cancel(merge, 3_000)
}

/** Each change, and the states that it may come from. Everything else must change nothing. */
const changes: readonly [string, readonly JobState[], JobState, (jobs: JobRepository) => boolean][] = [
  ['progress', ['running'], 'running', (jobs) => jobs.progress(merge, 5, 4_000)],
  ['finish', ['running'], 'done', (jobs) => jobs.finish(merge, idOf('output'), 4_000)],
  ['fail', ['queued', 'running'], 'failed', (jobs) => jobs.fail(merge, '{}', 4_000)],
  ['block', ['queued', 'running'], 'blocked', (jobs) => jobs.block(merge, '{}', 4_000)],
  ['cancel', ['queued', 'running', 'blocked'], 'cancelled', (jobs) => jobs.cancel(merge, 4_000)],
  ['requeue', ['failed', 'cancelled', 'blocked'], 'queued', (jobs) => jobs.requeue(merge, 4_000)],
]

export function describeJobRepository(name: string, open: () => Promise<Storage>): void {
  describe(name, () => {
    test('[STO-15] a merge is one job, and each space that asks for it keeps its own root', async () => {
      const { jobs } = await open()
      const [here, there] = [spaceOf('space'), spaceOf('other')]
      expect(jobs.add(aJob())).toBe('added')
      expect(jobs.add(aJob({ request: 'again', root: idOf('later root') }))).toBe('known')
      expect(jobs.add(aJob({ space: there, root: idOf('other root'), createdAtMs: 5_000 }))).toBe('joined')
      const job = { ...aJob(), state: 'queued', bytesDone: 0, updatedAtMs: 1_000 }
      expect(jobs.find(merge)).toEqual(job)
      expect(jobs.findInSpace(here, merge)).toEqual(job)
      expect(jobs.findInSpace(there, merge)).toEqual({
        ...job,
        space: there,
        root: idOf('other root'),
        createdAtMs: 5_000,
      })
      expect(jobs.findInSpace(spaceOf('third'), merge)).toBeUndefined()
      expect(jobs.listByState('queued')).toHaveLength(1)
      expect(jobs.idsByState('queued')).toEqual(jobs.listByState('queued').map(({ id }) => id))
      expect(jobs.remove(merge)).toBe(true)
      expect([jobs.find(merge), jobs.findInSpace(there, merge), jobs.remove(merge)]).toEqual([
        undefined,
        undefined,
        false,
      ])
      expect(jobs.add(aJob())).toBe('added')
    })

    test('[STO-16] a job changes only from the states that the change names', async () => {
      for (const [change, from, to, apply] of changes)
        for (const state of JOB_STATES) {
          const { jobs } = await open()
          inState(jobs, state)
          const before = jobs.find(merge)
          const may = from.includes(state)
          expect(apply(jobs), `${change} from ${state}`).toBe(may)
          if (may) expect(jobs.find(merge)).toMatchObject({ state: to, updatedAtMs: 4_000 })
          else expect(jobs.find(merge)).toEqual(before)
        }
    })

    test('[STO-16] an error belongs to a failed or blocked job, an output to a done one', async () => {
      const { jobs } = await open()
      inState(jobs, 'failed')
      expect(jobs.find(merge)?.error).toBe('{"why":1}')
      jobs.requeue(merge, 4_000)
      expect(jobs.find(merge)).toEqual({ ...aJob(), state: 'queued', bytesDone: 0, updatedAtMs: 4_000 })
      jobs.claimNext(5_000)
      jobs.progress(merge, 40, 5_500)
      expect(jobs.find(merge)?.bytesDone).toBe(40)
      jobs.finish(merge, idOf('output'), 6_000)
      expect(jobs.find(merge)).toMatchObject({ state: 'done', bytesDone: 100, output: idOf('output') })
    })

    test('[STO-17] jobs are claimed in the order they were queued, and a requeued one waits again', async () => {
      const { jobs } = await open()
      for (const [word, at] of [
        ['b', 20],
        ['a', 10],
        ['c', 30],
      ] as const)
        jobs.add(aJob({ id: idOf(word), createdAtMs: at }))
      expect(jobs.claimNext(40)?.id).toBe(idOf('a'))
      jobs.fail(idOf('a'), '{}', 41)
      jobs.requeue(idOf('a'), 42)
      expect([jobs.claimNext(50)?.id, jobs.claimNext(50)?.id, jobs.claimNext(50)?.id, jobs.claimNext(50)]).toEqual([
        idOf('b'),
        idOf('c'),
        idOf('a'),
        undefined,
      ])
    })

    test('[STO-17] after a crash the running are queued again, in their old places', async () => {
      const { jobs } = await open()
      for (const word of ['a', 'b']) jobs.add(aJob({ id: idOf(word), createdAtMs: word === 'a' ? 1 : 2 }))
      jobs.claimNext(10)
      expect(jobs.recover(20)).toBe(1)
      expect(jobs.recover(20)).toBe(0)
      expect(jobs.claimNext(30)?.id).toBe(idOf('a'))
      expect(jobs.countByState()).toEqual({ queued: 1, running: 1, done: 0, failed: 0, cancelled: 0, blocked: 0 })
    })

    test('[STO-18] pages of a list are newest first and miss or repeat nothing', async () => {
      const { jobs } = await open()
      const times = [5, 3, 3, 3, 9, 1]
      for (const [i, createdAtMs] of times.entries()) jobs.add(aJob({ id: idOf(`m${i}`), createdAtMs }))
      jobs.add(aJob({ id: idOf('m0'), space: spaceOf('other') }))
      const space = spaceOf('space')
      const all = jobs.listBySpace(space, { limit: 100 })
      expect(all.map(({ createdAtMs }) => createdAtMs)).toEqual([9, 5, 3, 3, 3, 1])
      for (const limit of [1, 2, 4]) {
        const seen = []
        for (let page = jobs.listBySpace(space, { limit }); page.length > 0;) {
          seen.push(...page)
          page = jobs.listBySpace(space, { limit, after: page.at(-1) })
        }
        expect(seen).toEqual(all)
      }
    })
  })
}
