/** The seeds of the test command, a test for every few of them. SIM_SEED=n replays one run alone. */
import { expect, test } from 'vitest'
import { type Scenario, simulate } from './simulate.ts'

const BATCH = 10
const asked = process.env['SIM_SEED']

export const told = (seed: number, failures: readonly string[]): string[] =>
  failures.map((failure) => `SIM_SEED=${seed}: ${failure}`)

export function seedsBetween(rule: string, first: number, last: number): void {
  if (asked !== undefined && (Number(asked) < first || Number(asked) > last) && first > 1) {
    // another file runs the seed that was asked for
    test.skip(`${rule} seeds ${first} to ${last}`, () => undefined)
    return
  }
  const seeds = asked === undefined ? Array.from({ length: last - first + 1 }, (_, i) => first + i) : [Number(asked)]
  for (let from = 0; from < seeds.length; from += BATCH) {
    const some = seeds.slice(from, from + BATCH)
    test(`${rule} seeds ${some[0]} to ${some.at(-1)}`, async () => {
      const failures: string[] = []
      for (const seed of some) failures.push(...told(seed, (await simulate(seed)).failures))
      expect(failures).toEqual([])
    })
  }
}

/** Whether an oracle notices it in one of these seeds. */
export async function notices(what: RegExp, scenario: Scenario, first = 1, seeds = 40): Promise<boolean> {
  for (let seed = first; seed < first + seeds; seed++) if (what.test(await failuresOf(seed, scenario))) return true
  return false
}

async function failuresOf(seed: number, scenario: Scenario): Promise<string> {
  try {
    return (await simulate(seed, scenario)).failures.join()
  } catch (error) {
    return `threw: ${String(error)}`
  }
}
