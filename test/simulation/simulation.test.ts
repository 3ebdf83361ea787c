import { describe, expect, test } from 'vitest'
import { ALL_PARTS } from '../../src/replication/space-sync.ts'
import { notices, told } from './seeds.ts'
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
  {
    seed: 300938,
    scenario: { steps: 130 },
    was: 'the simulator took what follows an op that an old backup had lost for something to come',
  },
  { seed: 76, scenario: { steps: 130 }, was: 'the simulator took own records from a disk whose epoch went on' },
  {
    seed: 44,
    scenario: { steps: 130 },
    was: 'the simulator lost the papers of members where nobody could give them back',
  },
  {
    seed: 450690,
    scenario: { steps: 130 },
    was: 'the simulator left a copy of a replica with no neighbour but its original and one that misbehaves',
  },
]

test.each(REGRESSIONS)('[SIM-1] seed $seed, where once $was', async ({ seed, scenario }) => {
  expect(told(seed, (await simulate(seed, { steps: 200, ...scenario })).failures)).toEqual([])
})

test('[SIM-2] the same seed gives the same run', async () => {
  const [once, again, other] = [await simulate(7), await simulate(7), await simulate(8)]
  expect(again).toEqual(once)
  expect(other.trace).not.toBe(once.trace)
})

test('[SIM-3] without faults every op is everywhere within seconds, told by few messages, and there is no fork', async () => {
  const run = await simulate(3, { honest: 12, byzantine: 0, access: 'open', faults: false, steps: 100 })
  expect(run.failures).toEqual([])
  expect(run.forks).toBe(0)
  expect(run.healMs).toBeLessThanOrEqual(1000)
  // each op reaches eleven others; what comes twice is less than twice that again
  expect(run.metrics.get('frames.update')).toBeLessThan(3 * run.ops * 11)
  expect(run.metrics.get('ops.known') ?? 0).toBeLessThan(2 * run.ops * 11)
})

test('[SYN-11] members that tell roots they do not have cost themselves alone', async () => {
  const lies: Scenario = { honest: 4, byzantine: 2, behaviours: ['lie-root', 'equivocate'], steps: 120 }
  for (const seed of [1, 2, 3, 4, 5]) expect(told(seed, (await simulate(seed, lies)).failures)).toEqual([])
})

test.each([4, 12, 30])('[EVD-3] a fork that %i replicas see is proved by few ops', async (honest) => {
  const run = await simulate(5, { honest, byzantine: 1, behaviours: ['equivocate'], faults: false, steps: 40 })
  expect(run.failures).toEqual([])
  expect(run.proofs.length).toBeGreaterThan(0)
  expect(Math.max(...run.proofs)).toBeLessThanOrEqual(3)
})

describe('[SIM-4] the oracles notice', () => {
  const equivocates: Scenario = { honest: 4, byzantine: 1, behaviours: ['equivocate', 'branches'] }

  /** What each of them breaks, and from which seed on it is looked for. */
  const MISTAKES: readonly [what: string, oracle: RegExp, scenario: Scenario, first?: number][] = [
    [
      'a replica that tells before it is durable and goes on in its epoch',
      /fork: of an honest replica/,
      { byzantine: 0, bugs: { tellsEarly: true } },
    ],
    [
      'sync by state vectors alone, with one that equivocates',
      /diverged/,
      { ...equivocates, bugs: { parts: { ...ALL_PARTS, comparesIds: false, pushesForks: false } } },
    ],
    [
      'a push of forks in place of the exchange of ids',
      /diverged/,
      { ...equivocates, bugs: { parts: { ...ALL_PARTS, pushStarvesIds: true } } },
      18,
    ],
    ['that the first branch seen wins', /diverged/, { ...equivocates, bugs: { firstBranchWins: true } }],
    ['a client that is answered too early', /acknowledged/, { byzantine: 0, bugs: { answersEarly: true } }],
    [
      'roots that are never told',
      /liveness/,
      { byzantine: 0, faults: { loss: 0.3 }, bugs: { settings: { rootsAfterChangeMs: 1e9, rootsEveryMs: 1e9 } } },
    ],
    [
      'roots that are told all the time',
      /budget/,
      {
        byzantine: 0,
        faults: false,
        bugs: { settings: { rootsAfterChangeMs: 0, rootsEveryMs: 0, differMs: 0 } },
      },
    ],
    [
      'queues that are longer than they may be',
      /caps/,
      {
        honest: 8,
        byzantine: 0,
        faults: { narrow: true, slowDisk: true },
        bugs: { settings: { waitingFrames: 1e6, lazyIds: 1e6, awaitedIds: 1e6 } },
      },
    ],
    [
      'ops that stay parked for ever',
      /parked: ops are left/,
      { byzantine: 1, behaviours: ['gap-spam'], bugs: { settings: { parkedMs: 1e9 } } },
    ],
    [
      'a clock that others can push',
      /clock/,
      { byzantine: 1, behaviours: ['far-clock'], bugs: { followsClocks: true } },
    ],
    ['a state that shows what fell out behind a fork', /ops_root/, { ...equivocates, bugs: { showsWhatFell: true } }],
    [
      'rotten records that are believed',
      /root|visible|threw/,
      { byzantine: 0, faults: { flips: true, crashes: true }, bugs: { readsRot: true } },
    ],
    [
      'a rate so low that honest peers are let go',
      /score/,
      { byzantine: 0, faults: false, bugs: { settings: { bytesPerSecond: 50 } } },
    ],
  ]
  test.each(MISTAKES)('%s', async (_, oracle, scenario, first) => {
    expect(await notices(oracle, scenario, first)).toBe(true)
  })
  test('none of these where there is no mistake', async () => {
    expect(await notices(/./, equivocates, 1, 4)).toBe(false)
  })
})
