/** Every verb of a replica under every single fault of disk and database: told by name, nothing half done, and repeatable. */
import { beforeAll, describe, expect, test } from 'vitest'
import { isTributaryError, type TributaryError } from '../../src/core/errors.ts'
import type { Crash } from '../../src/storage/memory/memory-file-system.ts'
import type { TestReplica } from '../support/replica.ts'
import { expectNothingDangling, type Shown, shown, shownSpaces } from './checks.ts'
import { createOutage, type Failure } from './outage.ts'
import { type Furnished, furnish, newMemory, type Verb, verbsOn } from './verbs.ts'
import { filesBelow, openReplica, setUp, type Snapshot, takeSnapshot } from './world.ts'

const CRASHES: readonly Crash[] = ['unsynced lost', 'names kept, unsynced bytes lost', 'all kept']
const LATER_MS = 1_700_003_600_000

let snapshot: Snapshot
let furnished: Furnished
/** Spaces as the snapshot shows them. */
let before: unknown

beforeAll(async () => {
  ;({ snapshot, furnished } = await takeSnapshot(furnish))
  const replica = await openReplica(await setUp(snapshot))
  before = shownSpaces(replica)
  replica.storage.close()
})

interface Undisturbed {
  readonly answer: unknown
  readonly after: unknown
  /** When all that may go is gone. */
  readonly atRest: Shown
  readonly calls: readonly string[]
}

/** Twice, as long as anything is kept without a holder. */
async function sweepEverything(replica: TestReplica): Promise<void> {
  for (let i = 0; i < 2; i++) {
    replica.tick(1e12)
    await replica.sweep()
  }
}

async function undisturbed({ act, merger }: Verb): Promise<Undisturbed> {
  const outage = createOutage()
  const world = await setUp(snapshot)
  const replica = await openReplica(world, { outage, ...(merger && { merger }) })
  outage.plan(0)
  const answer = await act(replica, newMemory())
  const { calls } = outage
  outage.plan(0)
  const after = shownSpaces(replica)
  await expectNothingDangling(replica)
  await sweepEverything(replica)
  const atRest = await shown(replica)
  replica.storage.close()
  return { answer, after, atRest, calls }
}

/** Answers whether the fault came: after the last call of a verb there is none to fail. */
async function disturbed(verb: Verb, normal: Undisturbed, failure: Failure, atCall: number): Promise<boolean> {
  const { act, merger } = verb
  const outage = createOutage()
  const world = await setUp(snapshot)
  const replica = await openReplica(world, { outage, ...(merger && { merger }) })
  const { epoch } = replica.identity()
  const memory = newMemory()
  outage.plan(atCall, failure)
  const failed = await act(replica, memory).then(
    () => undefined,
    (error: unknown) => error,
  )
  const { hit, calls } = outage
  if (failed !== undefined) {
    expect(isTributaryError(failed), String((failed as Error).stack)).toBe(true)
    const { code } = failed as TributaryError
    const queued = code === 'MERGE_NOT_DONE' && verb.name === 'merging' // its turn comes when storage answers again
    if (!queued) expect(code).toBe(failure === 'ENOSPC' ? 'DISK_FULL' : 'STORAGE_FAILED')
  }
  expectNoSecondSync(hit, calls.slice(atCall))
  if (failure === 'EIO') {
    outage.plan(0)
    await expectNothingDangling(replica)
    expect(await act(replica, memory)).toEqual(normal.answer) // it goes on without a restart
  }
  await replica.stop()
  outage.plan(0)
  replica.storage.close()
  if (failure === 'power cut') world.disk.crash(CRASHES[atCall % CRASHES.length]!)

  const again = await openReplica(world, { startMs: LATER_MS, ...(merger && { merger }) })
  expect(again.identity().epoch).toBe(epoch + 1)
  const spaces = JSON.stringify(shownSpaces(again))
  const either = failed === undefined || failure === 'EIO' ? [normal.after] : [before, normal.after]
  expect(either.map((one) => JSON.stringify(one))).toContain(spaces)
  await expectNothingDangling(again)
  again.start()
  expect(await act(again, memory)).toEqual(normal.answer)
  expect(shownSpaces(again)).toEqual(normal.after)
  await expectNothingDangling(again)
  await sweepEverything(again)
  expect(await shown(again)).toEqual(normal.atRest)
  expect(await filesBelow(world.disk, `${world.directory}/tmp`)).toEqual([])
  expect(again.faults).toEqual([])
  again.storage.close()
  return hit !== undefined
}

/** After a sync that failed the kernel has dropped the pages: a second one would succeed and promise nothing. */
function expectNoSecondSync(hit: string | undefined, after: readonly string[]): void {
  if (hit?.startsWith('sync ') === true) expect(after.filter((call) => call === hit)).toEqual([])
}

const VERBS = [
  'making a space',
  'uploading a model',
  'uploading in pieces',
  'contributing',
  'replacing a contribution',
  'retracting',
  'revoking',
  'merging',
  'dropping an output',
  'cancelling a merge',
  'cancelling a merge half done',
  'sweeping',
]

describe('one call fails', () => {
  test('[FLT-1] the table of verbs is the one that is worked through', () =>
    expect(verbsOn(furnished).map(({ name }) => name)).toEqual(VERBS))

  for (const name of VERBS)
    for (const failure of ['EIO', 'ENOSPC', 'power cut'] as const)
      test(`[FLT-1] [FLT-2] [FLT-3] ${name}: ${failure}`, async () => {
        const verb = verbsOn(furnished).find((one) => one.name === name)!
        await undisturbed(verb) // a process remembers manifests, and does not read them again
        const normal = await undisturbed(verb)
        let atCall = 1
        const where = (error: unknown): never => {
          throw new Error(`at call ${atCall}, ${normal.calls[atCall - 1] ?? 'beyond the last'}`, { cause: error })
        }
        while (await disturbed(verb, normal, failure, atCall).catch(where)) atCall += 1
        expect(atCall).toBeGreaterThan(normal.calls.length) // each call was made to fail once
      })
})
