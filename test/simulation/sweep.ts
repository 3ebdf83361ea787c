/** One of several processes of a soak: runs every so-many-th seed and tells its parent what became of it. */
import { type Run, simulate } from './simulate.ts'

const [first = 1, count = 100, worker = 0, workers = 1] = process.argv.slice(2).map(Number)

const outcome = async (seed: number): Promise<Partial<Run>> => {
  try {
    return await simulate(seed)
  } catch (error) {
    return { seed, failures: [`threw: ${error instanceof Error ? error.stack : String(error)}`] }
  }
}

for (let seed = first + worker; seed < first + count; seed += workers) {
  const { failures = [], ...run } = await outcome(seed)
  const none = { ops: 0, acknowledged: 0, frames: 0, crashes: 0, rollbacks: 0, byzantine: 0, forks: 0 }
  process.send?.({ ...none, ...run, failures, metrics: undefined })
}
process.disconnect()
