/** Cases of the public oracle: what mergekit and crdt-merge themselves computed, and how their parameters are said here. */
import { findStrategy } from '../../src/core/prepare.ts'
import { seedFromInteger } from '../../src/core/seed.ts'
import { strategies } from '../../merge-strategies/index.ts'
import { mergeWorld, type World } from './world.ts'

export interface OracleCase {
  readonly id: string
  readonly inputs: readonly string[]
  readonly base: string | null
  readonly params: Readonly<Record<string, number | boolean>> | 'defaults'
  readonly tensor_params?: readonly Readonly<Record<string, number>>[]
  readonly weights?: readonly number[]
  readonly weights_ignored?: boolean | null
  readonly expected?: { readonly f32_hex: string; readonly f64_hex?: string }
  readonly expected_error?: string
  readonly f64_max_abs_diff?: number
  readonly in_max_abs?: number
  readonly out_max_abs?: number
  readonly ill_conditioned?: boolean
  readonly nonfinite?: number
}

export interface StatisticsCase extends Pick<OracleCase, 'inputs' | 'base'> {
  readonly params: Readonly<Record<string, boolean>>
  readonly tensor_params: readonly Readonly<Record<string, number>>[]
  readonly n: number
  readonly mean: readonly number[]
  readonly var: readonly number[]
}

/** Inputs as big-endian f32 bits, and cases by file of the oracle. */
export interface Oracle {
  readonly inputs: Readonly<Record<string, string>>
  readonly cases: Readonly<Record<string, readonly OracleCase[]>>
  readonly statistics?: Readonly<Record<string, readonly StatisticsCase[]>>
}

export function f32sOf(text: string): Float64Array {
  const bytes = Buffer.from(text, 'hex')
  return Float64Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatBE(i * 4))
}
export function f64sOf(text: string): Float64Array {
  const bytes = Buffer.from(text, 'hex')
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleBE(i * 8))
}

const RESCALED = { mergekit: 'l1', none: 'none' } as const

/** The same merge in this project's words. */
export function worldOf(oracle: Oracle, file: string, it: OracleCase | StatisticsCase): World {
  const tensors = (name: string) => ({ w: f32sOf(oracle.inputs[name]!) })
  const [, method = ''] = file.split('/')
  const { strategy } = findStrategy(strategies, method === 'ties_count' ? 'ties' : method)
  const params = typeof it.params === 'string' ? {} : it.params
  if (method === 'slerp')
    return {
      strategy,
      params: { t: params['t'] },
      inputs: [{ role: 'x0', tensors: tensors(it.base!) }, { tensors: tensors(it.inputs[0]!) }],
    }
  const said = {
    ...(strategy.params.properties['normalize'] !== undefined &&
      params['normalize'] !== undefined && { normalize: params['normalize'] }),
    ...(params['lambda'] !== undefined && { lambda: params['lambda'] }),
    ...(method === 'ties_count' && { consensus: 'count' }),
    ...(strategy.params.properties['rescale_mode'] !== undefined && {
      rescale_mode: params['rescale'] === true ? RESCALED.mergekit : RESCALED.none,
    }),
  }
  const weights =
    'weights' in it && it.weights_ignored !== true && strategy.id !== 'task_arithmetic' ? it.weights : undefined
  return {
    strategy,
    params: said,
    inputs: it.inputs.map((name, i) => {
      const own = it.tensor_params?.[i]
      return {
        weight: own?.['weight'] ?? weights?.[i] ?? 1,
        ...(strategy.perContribution && own?.['density'] !== undefined && { params: { density: own['density'] } }),
        tensors: tensors(name),
      }
    }),
    ...(it.base !== null && strategy.needs.base !== 'none' && { base: tensors(it.base) }),
  }
}

export const largestOf = (values: Iterable<number>): number => {
  let largest = 0
  for (const value of values) largest = Math.max(largest, Math.abs(value))
  return largest
}

/** How far the farthest element is from what was expected, as a multiple of what is allowed. */
export function excess(oracle: Oracle, it: OracleCase, file: string, out: Float64Array): number {
  const expected = it.expected!
  if (file.startsWith('mergekit/')) {
    const limit = 1e-6 * Math.max(it.in_max_abs!, it.out_max_abs!) + 4 * it.f64_max_abs_diff!
    const values = f32sOf(expected.f32_hex)
    return largestOf(out.map((value, i) => Math.fround(value) - values[i]!)) / limit || 0
  }
  const values = expected.f64_hex === undefined ? f32sOf(expected.f32_hex) : f64sOf(expected.f64_hex)
  const limit = (expected.f64_hex === undefined ? 2 ** -24 : 1e-9) * largestOf(values)
  const moved = file.endsWith('weight_average') ? movedByWeights(oracle, it, values) : values.map(() => 0)
  return Math.max(...out.map((value, i) => Math.abs(value - values[i]!) / (limit + 1.01 * moved[i]!) || 0))
}

/** The peer's weights are f64 and ours f32: how far that alone moves a mean, to first order. */
function movedByWeights(oracle: Oracle, it: OracleCase, means: Float64Array): Float64Array {
  const weights = it.weights ?? []
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const planes = it.inputs.map((name) => f32sOf(oracle.inputs[name]!))
  return means.map((mean, i) =>
    weights.reduce((sum, w, n) => sum + (Math.abs(Math.fround(w) - w) * Math.abs(planes[n]![i]! - mean)) / total, 0),
  )
}

/** Mean, variance and kurtosis of every element over many seeds. */
export function momentsOf(world: World, seeds: number) {
  const samples = Array.from(
    { length: seeds },
    (_, n) => mergeWorld({ ...world, seed: seedFromInteger(n) }).tensors['w']!,
  )
  const length = samples[0]!.length
  return Array.from({ length }, (_, i) => {
    const mean = samples.reduce((sum, sample) => sum + sample[i]!, 0) / seeds
    const moment = (power: number) => samples.reduce((sum, sample) => sum + (sample[i]! - mean) ** power, 0) / seeds
    const variance = moment(2)
    return { mean, variance: (variance * seeds) / (seeds - 1), kurtosis: variance > 0 ? moment(4) / variance ** 2 : 1 }
  })
}
