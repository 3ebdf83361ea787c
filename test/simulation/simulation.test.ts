import { describe, expect, test } from 'vitest'
import { ALL_PARTS } from '../../src/replication/space-sync.ts'
import { told } from './seeds.ts'
import { type Scenario, simulate } from './simulate.ts'

/** Runs that once failed, and what was wrong. */
const REGRESSIONS: readonly { readonly was: string; readonly seed: number; readonly scenario?: Scenario }[] = [
  { seed: 2, was: 'news for one peer had a hole in a chain, where that peer had brought an op itself' },
  {
    seed: 54,
    was: 'two ops for one place pushed out the one that follows its chain, and newcomers could keep neither',
  },
  { seed: 67, was: 'a stored fork of which the smaller id does not follow its chain could not be read again' },
  {
    seed: 102297,
    scenario: { steps: 130 },
    was: 'the simulator expected an op that rot and an old backup together had taken from every disk',
  },
]

test.each(REGRESSIONS)('[SIM-1] seed $seed, where once $was', ({ seed, scenario }) => {
  expect(told(seed, simulate(seed, { steps: 200, ...scenario }).failures)).toEqual([])
})

test('[SIM-2] the same seed gives the same run', () => {
  const [once, again, other] = [simulate(7), simulate(7), simulate(8)]
  expect(again).toEqual(once)
  expect(other.trace).not.toBe(once.trace)
})

test('[SIM-3] without faults every op is everywhere within seconds, told by few messages, and there is no fork', () => {
  const run = simulate(3, { honest: 12, byzantine: 0, faults: false, steps: 100 })
  expect(run.failures).toEqual([])
  expect(run.forks).toBe(0)
  expect(run.healMs).toBeLessThanOrEqual(1000)
  // each op reaches eleven others; what comes twice is less than twice that again
  expect(run.metrics.get('frames.update')).toBeLessThan(3 * run.ops * 11)
  expect(run.metrics.get('ops.known') ?? 0).toBeLessThan(2 * run.ops * 11)
})

test('[SYN-11] members that tell roots they do not have cost themselves alone', () => {
  const lies: Scenario = { honest: 4, byzantine: 2, behaviours: ['lie-root', 'equivocate'], steps: 120 }
  for (const seed of [1, 2, 3, 4, 5]) expect(told(seed, simulate(seed, lies).failures)).toEqual([])
})

test.each([4, 12, 30])('[EVD-3] a fork that %i replicas see is proved by few ops', (honest) => {
  const run = simulate(5, { honest, byzantine: 1, behaviours: ['equivocate'], faults: false, steps: 40 })
  expect(run.failures).toEqual([])
  expect(run.proofs.length).toBeGreaterThan(0)
  expect(Math.max(...run.proofs)).toBeLessThanOrEqual(3)
})

describe('[SIM-4] the oracles notice', () => {
  /** Whether it is noticed in one of the first seeds. */
  const notices = (what: RegExp, scenario: Scenario, seeds = 20): boolean =>
    Array.from({ length: seeds }, (_, i) => i + 1).some((seed) => what.test(simulate(seed, scenario).failures.join()))
  const equivocates: Scenario = { honest: 4, byzantine: 1, behaviours: ['equivocate', 'branches'] }

  test('a replica that tells before it is durable and goes on in its epoch', () => {
    expect(notices(/fork: of an honest replica/, { byzantine: 0, bugs: { tellsEarly: true } })).toBe(true)
  })
  test('sync by state vectors alone, with one that equivocates', () => {
    const parts = { ...ALL_PARTS, comparesIds: false, pushesForks: false }
    expect(notices(/diverged/, { ...equivocates, bugs: { parts } })).toBe(true)
  })
  test('a push of forks in place of the exchange of ids', () => {
    const parts = { ...ALL_PARTS, pushStarvesIds: true }
    expect(notices(/diverged/, { ...equivocates, bugs: { parts } })).toBe(true)
  })
  test('that the first branch seen wins', () => {
    expect(notices(/diverged/, { ...equivocates, bugs: { firstBranchWins: true } })).toBe(true)
  })
  test('none of these where there is no mistake', () => {
    expect(notices(/./, equivocates, 4)).toBe(false)
  })
})
