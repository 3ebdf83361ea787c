/** The built replica, killed again and again in the middle of its work: what it acknowledged is there afterwards. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { afterAll, expect, test } from 'vitest'
import { parseOp } from '../../src/core/op.ts'
import { fold } from '../../src/core/or-set.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite-storage.ts'
import { type ProductReplica, PROGRAM, upProduct } from '../support/product.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'
import { Diary, numbersFrom, Unanswered } from './diary.ts'

const ROUNDS = 50
/** Every so many rounds the start itself is cut short. */
const START_CUT_EVERY = 10
const KILL_AFTER_MS = [1, 200] as const
/** In every other round the moment is counted in what was done, so that a slow machine does as much as a quick one. */
const KILL_AFTER_DONE = [1, 30] as const
const THEN_AFTER_MS = [0, 20] as const
/** Some 50 starts of a process, on a machine that may be busy. */
const TIMEOUT_MS = 600_000

let running: ProductReplica | undefined
afterAll(() => running?.process.kill('SIGKILL'))

const within = ([from, to]: readonly [number, number], number: number): number => from + number * (to - from)
const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Only a killed replica may leave a question unanswered. */
const untilKilled = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    (error: unknown) => {
      if (error instanceof Unanswered) return false
      throw error
    },
  )

function killWhileStarting(directory: string, afterMs: number): Promise<unknown> {
  const child = spawn(process.execPath, [PROGRAM, 'up', '--data', directory, '--port', '0'], { stdio: 'ignore' })
  setTimeout(() => child.kill('SIGKILL'), afterMs)
  return new Promise((resolve) => child.on('close', resolve))
}

test(
  '[FLT-9] killed at any moment, a replica keeps what it acknowledged and goes on in a new epoch',
  { timeout: TIMEOUT_MS },
  async () => {
    const directory = join(await temporaryDirectory(), 'data')
    const number = numbersFrom(20)
    const diaries = [new Diary('first', 1), new Diary('second', 2)]
    let cutStarts = 0
    const first = (running = await upProduct(directory))
    for (const diary of diaries) await diary.begin(first.url)
    await first.end('SIGKILL')

    for (let round = 1; round <= ROUNDS; round++) {
      const delayMs = within(KILL_AFTER_MS, number())
      if (round % START_CUT_EVERY === 0) {
        cutStarts += 1
        await killWhileStarting(directory, 5 * delayMs)
      }
      const replica = (running = await upProduct(directory))
      const check = () => Promise.all(diaries.map((diary) => untilKilled(diary.check(replica.url))))
      let left = round % 2 === 0 ? Infinity : Math.round(within(KILL_AFTER_DONE, number()))
      const thenMs = within(THEN_AFTER_MS, number())
      if (left < Infinity) expect(await check()).toEqual([true, true])
      let killed = left < Infinity ? undefined : later(delayMs).then(() => replica.end('SIGKILL'))
      if (left === Infinity) await check() // may be cut short
      const onDone = () => {
        left -= 1
        if (left === 0) killed = later(thenMs).then(() => replica.end('SIGKILL'))
      }
      const worked = await Promise.all(diaries.map((diary) => untilKilled(diary.work(replica.url, onDone))))
      await killed
      expect(worked).toEqual([false, false])
    }

    const replica = (running = await upProduct(directory))
    for (const diary of diaries) {
      for (const id of diary.merges.keys()) await diary.awaitMerge(replica.url, id)
      await diary.check(replica.url, Infinity)
    }
    expect(await replica.end('SIGTERM')).toBe(0)

    const database = new BetterSqlite3(join(directory, 'tributary.db'), { readonly: true })
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok')
    expect(database.pragma('foreign_key_check')).toEqual([])
    const lease = database.prepare('SELECT epoch, clean FROM leases').get() as { epoch: number; clean: number }
    database.close()
    // one more for each kill, and for a start that was cut short where it had taken the lease already
    expect(lease.clean).toBe(1)
    expect(lease.epoch).toBeGreaterThanOrEqual(1 + ROUNDS)
    expect(lease.epoch).toBeLessThanOrEqual(1 + ROUNDS + cutStarts)

    const storage = await openSqliteStorage(directory)
    for (const { id } of storage.spaces.list()) {
      const ops = storage.ops.forSpace(id).map(({ bytes }) => parseOp(bytes))
      expect([...fold(ops).ignored]).toEqual([])
      const places = ops.map(({ record: { ep, seq } }) => `${ep} ${seq}`) // of the only author
      expect(new Set(places).size).toBe(places.length) // two ops in one place would be a fork
    }
    for await (const { name } of storage.blobs.list()) expect(await storage.blobs.verify(name)).toBe('sound')
    for (const { id } of storage.models.list({ limit: 100_000 }))
      for (const blob of storage.models.blobs(id)) expect(await storage.blobs.has(blob)).toBe(true)
    storage.close()
  },
)
