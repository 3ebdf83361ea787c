/**
 * What the strategies compute is what their peers computed: carried here a small subset, and every case of a folder of
 * vectors where TRIBUTARY_VECTORS names one.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { golden } from '../support/golden.ts'
import { refusalOf } from '../support/refusal.ts'
import { excess, largestOf, momentsOf, type Oracle, type OracleCase, type StatisticsCase, worldOf } from './oracle.ts'
import { mergeWorld } from './world.ts'

const FILES = [
  'mergekit/linear',
  'mergekit/task_arithmetic',
  'mergekit/ties',
  'mergekit/ties_count',
  'mergekit/slerp',
  'mergekit/dare_linear',
  'mergekit/dare_ties',
  'crdt_merge/weight_average',
  'crdt_merge/task_arithmetic',
]
const STATISTICS = ['mergekit/dare_linear', 'mergekit/dare_ties']

const folder = process.env['TRIBUTARY_VECTORS']

function carried(): Oracle {
  const [mergekit, crdtMerge] = [golden<Oracle>('mergekit'), golden<Oracle>('crdt-merge')]
  return {
    inputs: { ...mergekit.inputs, ...crdtMerge.inputs },
    cases: { ...mergekit.cases, ...crdtMerge.cases },
    statistics: mergekit.statistics!,
  }
}

function whole(path: string): Oracle {
  const read = <T>(name: string): T => JSON.parse(readFileSync(join(path, `${name}.json`), 'utf8')) as T
  const inputs = read<Record<string, { f32_hex: string }>>('inputs')
  const cases = FILES.filter((file) => existsSync(join(path, `${file}.json`)))
  return {
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, { f32_hex }]) => [name, f32_hex])),
    cases: Object.fromEntries(cases.map((file) => [file, read<{ cases: OracleCase[] }>(file).cases])),
    statistics: Object.fromEntries(
      STATISTICS.map((file) => [file, read<{ cases: StatisticsCase[] }>(file.replace('mergekit', 'statistics')).cases]),
    ),
  }
}

const oracle = folder === undefined ? carried() : whole(folder)

/** Weights that add up to zero have no mean: the peer answers with infinities, Tributary by name. */
const hasNoMean = ({ params, tensor_params = [] }: OracleCase): boolean =>
  typeof params !== 'string' &&
  params['normalize'] !== false &&
  tensor_params.reduce((sum, own) => sum + Math.fround(own['weight'] ?? 1), 0) === 0

describe.each(FILES)('%s', (file) => {
  const cases = oracle.cases[file] ?? []
  const isLinear = file.endsWith('/linear')
  const usable = cases.filter((it) => it.expected && !it.ill_conditioned && !(isLinear && hasNoMean(it)))

  test(`[VEC-1] ${usable.length} cases of ${cases.length} agree within the oracle's tolerance`, () => {
    const off: string[] = []
    let worst = 0
    for (const it of usable) {
      const far = excess(oracle, it, file, mergeWorld(worldOf(oracle, file, it)).tensors['w']!)
      worst = Math.max(worst, far)
      if (!(far <= 1)) off.push(`${it.id}: ${far.toFixed(2)} × what is allowed`)
    }
    if (folder !== undefined)
      console.log(
        `${file}: ${usable.length - off.length} of ${cases.length} agree, worst ${worst.toFixed(3)} of the tolerance`,
      )
    expect(off).toEqual([])
    expect(usable.length).toBeGreaterThan(1)
  })

  // the other files hold no such case
  test.runIf(isLinear)('[VEC-2] weights without a mean are refused by name, where the peer answers infinity', () => {
    const without = cases.filter(hasNoMean)
    expect(without.length).toBeGreaterThan(0)
    for (const it of without)
      expect(refusalOf(() => mergeWorld(worldOf(oracle, file, it))).code, it.id).toBe('WEIGHTS_SUM_ZERO')
  })

  const refusedThere = cases.filter((it) => it.expected_error !== undefined)
  // the other files hold no such case
  test.runIf(file.includes('ties') && refusedThere.length > 0)(
    '[VEC-3] a density that keeps nothing contributes nothing, where the peer gives up',
    () => {
      for (const it of refusedThere) {
        const { tensors } = mergeWorld(worldOf(oracle, file, it))
        expect(Number.isFinite(largestOf(tensors['w']!)), it.id).toBe(true)
      }
      const nothing = refusedThere.filter((it) =>
        it.tensor_params!.every((own) => Math.trunc(own['density']! * (oracle.inputs[it.base!]!.length / 8)) === 0),
      )
      expect(nothing.length).toBeGreaterThan(0)
      for (const it of nothing) {
        const world = worldOf(oracle, file, it)
        expect([...mergeWorld(world).tensors['w']!], it.id).toEqual([...world.base!['w']!].map((value) => value + 0))
      }
    },
  )
})

describe.each(STATISTICS)('%s', (file) => {
  const seeds = folder === undefined ? 150 : 1000
  const cases = oracle.statistics![file]!
  test(
    `[VEC-4] over ${seeds} seeds, mean and variance agree with the oracle's (${cases.length} cases)`,
    { timeout: 600_000 },
    () => {
      for (const it of cases) {
        const moments = momentsOf(worldOf(oracle, file, it), seeds)
        const share = 1 / it.n + 1 / seeds
        const wrongMean = moments.filter(({ mean, variance }, i) => {
          const spread = Math.sqrt(Math.max(variance, it.var[i]!) * share)
          return Math.abs(mean - it.mean[i]!) > 5 * spread + 1e-7 * Math.abs(it.mean[i]!)
        })
        const wrongVariance = moments.filter(({ variance, kurtosis }, i) => {
          if (it.var[i]! === 0) return variance > 1e-14
          return Math.abs(variance / it.var[i]! - 1) > 5 * Math.sqrt(Math.max(0, kurtosis - 1) * share) + 1e-3
        })
        const allowed = Math.floor(moments.length / 1000)
        const name = `${file} ${JSON.stringify(it.params)} ${JSON.stringify(it.tensor_params[0])}`
        expect(wrongMean.length, `means of ${name}`).toBeLessThanOrEqual(allowed)
        expect(wrongVariance.length, `variances of ${name}`).toBeLessThanOrEqual(allowed)
      }
      expect(cases.length).toBeGreaterThan(0)
    },
  )
})
