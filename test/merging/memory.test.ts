/** The formula of what a merge holds in memory, worked out once more beside it. */
import { expect, test } from 'vitest'
import { maskBytes } from '../../src/kernels/strip-program.ts'
import {
  planMemory,
  PROGRAM_BYTES,
  type RuleFact,
  RuleFacts,
  streamsOf,
  tileBytesFor,
  WORKER_BYTES,
} from '../../src/merging/memory.ts'
import { strategies } from '../../merge-strategies/index.ts'
import type { MergeRule, MergeTask } from '../../src/merging/task.ts'

const KIB = 1024
const slice = { path: '', offset: 0, bytes: 4, dtype: 'F32' } as const
/** A rule of so many inputs, of which the first has sidecars. */
function ruleOf(inputs: number, sidecars = 0, base = false): MergeRule {
  const beside = Object.fromEntries(Array.from({ length: sidecars }, (_, i) => [`beside${i}`, slice]))
  return {
    kind: 'merge',
    strategy: 'one',
    params: {},
    inputs: Array.from({ length: inputs }, (_, input) => ({
      input,
      weight: 1,
      params: {},
      value: slice,
      ...(input === 0 && sidecars > 0 && { sidecars: beside }),
    })),
    ...(base && { base: slice }),
  }
}
type Tensors = MergeTask['tensors']
const tensorsOf = (...rules: readonly MergeRule[]): Tensors =>
  rules.map((rule) => ({ rule, elements: 1000 })) as unknown as Tensors
/** What is known of each rule, as it is told. */
const factsOf = (known: ReadonlyMap<MergeRule, Partial<RuleFact>>): RuleFacts =>
  ({
    of: (rule: MergeRule): RuleFact => ({
      ...{ passes: 0, ownBytes: 0, measuringBytes: 0, wholeModel: false, masks: 0 },
      ...known.get(rule),
    }),
  }) as unknown as RuleFacts

test('[MRG-54] streams are the base, the inputs and their sidecars', () => {
  expect(streamsOf(ruleOf(3))).toBe(3)
  expect(streamsOf(ruleOf(3, 2))).toBe(5)
  expect(streamsOf(ruleOf(3, 2, true))).toBe(6)
})

test('[MRG-15] a tile is as large as it may be', () => {
  for (let streams = 1; streams < 130; streams++) {
    const tile = tileBytesFor(streams)
    expect(tile % (32 * KIB)).toBe(0)
    const fits = (bytes: number) => bytes <= 512 * KIB && bytes * (streams + 1) <= 3072 * KIB
    expect([streams, tile === 32 * KIB || fits(tile), fits(tile + 32 * KIB)]).toEqual([streams, true, false])
  }
})

test('[MRG-21] the planned peak is that of the tensor that needs most, on every thread, and what threads share', () => {
  const [small, great, wide] = [ruleOf(2), ruleOf(2), ruleOf(5, 1, true)]
  const known = new Map([
    [small, { ownBytes: 10, measuringBytes: 3, masks: 2 }],
    [great, { ownBytes: 5_000_000, measuringBytes: 70_000, masks: 0 }],
    [wide, { ownBytes: 100 }],
  ])
  const facts = factsOf(known)
  for (const rules of [[small, great, wide], [wide, great, small], [great, small], [small, wide], [small]])
    for (const workers of [1, 3]) {
      const plan = planMemory(tensorsOf(...rules), facts, { workers })
      const streams = Math.max(...rules.map(streamsOf))
      expect([plan.workers, plan.tileBytes]).toEqual([workers, tileBytesFor(streams)])
      // of as many streams, the greatest of each counts, whichever tensor it is of
      const twos = rules.filter((rule) => rule !== wide)
      const most = (what: 'ownBytes' | 'masks') =>
        Math.max(...twos.map((rule) => known.get(rule)?.[what as 'ownBytes'] ?? 0))
      const masked = Math.max(...rules.map((rule) => (rule === small ? 2 : 0))) * maskBytes(plan.tileBytes / 8)
      const needs = [2 * plan.tileBytes + most('ownBytes') + masked]
      if (rules.includes(wide)) needs.push(7 * plan.tileBytes + 100)
      const lists = 5 * KIB * rules.reduce((sum, rule) => sum + 1 + streamsOf(rule), 0)
      const thread = WORKER_BYTES + plan.tileBytes + Math.max(...needs) + plan.maskBytes
      const measuring = rules.includes(great) ? 70_000 : rules.includes(small) ? 3 : 0
      const shared = workers > 1 ? measuring + workers * plan.maskBytes : 0
      expect(plan.peakBytes).toBe(PROGRAM_BYTES + lists + workers * thread + shared)
    }
})

test('[MRG-21] what is known of a rule is that of its own params and inputs, whatever was asked before', () => {
  const input = ruleOf(1).inputs[0]!
  const own = { density: 0.5 }
  const rule = (strategy: string, params: object, inputs: number): MergeRule => ({
    ...{ kind: 'merge', strategy, params, base: slice },
    inputs: Array.from({ length: inputs }, (_, i) => ({ ...input, input: i, params: own })),
  })
  const ties = { lambda: 1, normalize: true, consensus: 'sum', rescale_mode: 'none' }
  const [plain, paper] = [
    { ...ties, profile: 'mergekit' },
    { ...ties, profile: 'paper' },
  ]
  const rules = [rule('ties', plain, 3), rule('ties', paper, 3), rule('ties', paper, 4), rule('ties', paper, 9)]
  const facts = new RuleFacts(strategies)
  const found = [...rules, ...rules.reverse()].map((one) => [facts.of(one), new RuleFacts(strategies).of(one)])
  for (const [told, alone] of found) expect(told).toEqual(alone)
  expect(new Set(found.map(([told]) => JSON.stringify(told))).size).toBeGreaterThan(2)
})

test('[MRG-21] of inputs with params of their own those count that need most', () => {
  const facts = new RuleFacts(strategies)
  const ties = { lambda: 1, normalize: true, consensus: 'sum', rescale_mode: 'none', profile: 'mergekit' }
  const of = (...densities: readonly number[]) =>
    facts.of({
      ...ruleOf(densities.length),
      strategy: 'ties',
      params: ties,
      base: slice,
      inputs: densities.map((density, input) => ({ input, weight: 1, params: { density }, value: slice })),
    })
  expect(of(1, 1).passes).toBeLessThan(of(0.5, 0.5).passes)
  expect(of(1, 0.5)).toEqual(of(0.5, 1))
  expect(of(1, 0.5).passes).toBe(of(0.5, 0.5).passes)
})
