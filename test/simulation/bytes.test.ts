/** Models that travel between whole replicas, and what their sources do to them. */
import { describe, expect, test } from 'vitest'
import { BYTE_BEHAVIOURS } from './byte-liar.ts'
import { notices, told } from './seeds.ts'
import { type Scenario, simulate } from './simulate.ts'

test('[SIM-5] without faults every replica that wants a model has it within seconds, and nobody is named', async () => {
  const run = await simulate(3, { bytes: true, byzantine: 0, access: 'open', faults: false })
  expect([run.failures, run.lies, run.namings]).toEqual([[], 0, 0])
  expect(run.bytesHealMs).toBeLessThanOrEqual(5000)
})

test.each(BYTE_BEHAVIOURS)('[SIM-5] a member that gives %s costs the others time alone', async (behaviour) => {
  const run = await simulate(5, { bytes: [behaviour], byzantine: 1, behaviours: ['lie-root'] })
  expect(told(5, run.failures)).toEqual([])
})

test.each([
  { seed: 111, was: 'a row of a fetch outlived its file, and what it said was believed of an empty one' },
  {
    seed: 405450,
    was: 'an answer of which the last chunk was a lie, and whose end never came, held up a fetch for ever',
  },
  { seed: 405803, was: 'who was stopped for long took an answer that it had not read for a lie' },
  { seed: 407041, was: 'the simulator missed a lie of two halves' },
  { seed: 407469, was: 'the simulator took a copy and its original for neighbours' },
  { seed: 450305, was: 'a blob that a killed process had only renamed was believed, and a power cut took it' },
  { seed: 21, was: 'the simulator took a replica whose disk rots for one that nobody may let go' },
])('[SIM-5] seed $seed, where once $was', async ({ seed }) => {
  expect(told(seed, (await simulate(seed)).failures)).toEqual([])
})

test('[SIM-5] whoever lies is named with the chunk, by the replicas that met the lie', async () => {
  let namings = 0
  for (const seed of [4, 9]) {
    const run = await simulate(seed, { bytes: ['bad-chunks'], byzantine: 1, behaviours: ['lie-root'], faults: false })
    expect(told(seed, run.failures)).toEqual([]) // among them: each naming is of a lie that was told
    namings += run.namings!
  }
  expect(namings).toBeGreaterThan(1)
})

describe('[SIM-6] the oracles notice', () => {
  const lies: Scenario = { bytes: ['bad-chunks'], byzantine: 1, faults: false }
  const breaks: Scenario = {
    bytes: true,
    byzantine: 0,
    faults: { crashes: true, loss: 0.2, partitions: true, slowDisk: true },
  }
  const MISTAKES: readonly [string, RegExp, Scenario, number?][] = [
    [
      'a chunk that is taken without proof',
      /stored: a blob/,
      { ...lies, bugs: { bytes: { believesChunks: true } } },
      9,
    ],
    [
      'one source that is asked and no other',
      /bytes: a replica lacks/,
      { bytes: ['mute'], byzantine: 1, faults: false, bugs: { bytes: { asksOne: true } } },
    ],
    [
      'another that is named than who lied',
      /named: an honest/,
      { ...lies, bugs: { bytes: { namesAnother: true } } },
      9,
    ],
    [
      'a chunk that counts as durable and is not',
      /stored: a blob/,
      { ...breaks, bugs: { bytes: { skipsSync: true } } },
    ],
  ]
  test.each(MISTAKES)('%s', async (_, oracle, scenario, first) => {
    expect(await notices(oracle, scenario, first)).toBe(true)
  })
  test('none of these where there is no mistake', async () => {
    for (const scenario of [lies, breaks]) expect(await notices(/./, scenario, 8, 1)).toBe(false)
  })
})
