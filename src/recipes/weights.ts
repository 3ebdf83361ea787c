/** What an input counts: the recipe's own entry, else the recipe's rule, else what the contribution says, else 1. */
import { parseWeight } from '../core/decimal.ts'
import { type Candidate, lookUp } from './candidate.ts'
import { at, invalid } from './reader.ts'
import type { Recipe, WeightRule } from './recipe.ts'

/** Each weight is an f32. */
export function weightsOf(weights: Recipe['weights'], inputs: readonly Candidate[]): ReadonlyMap<Candidate, number> {
  if (weights !== undefined && 'by' in weights)
    return new Map(inputs.map((input) => [input, at('/weights', () => parseWeight(byRule(weights, input)))]))
  const own = new Map<Candidate, number>()
  weights?.forEach(([ref, weight], i) => {
    const input = lookUp(ref, inputs, `/weights/${i}/0`)
    if (own.has(input)) throw invalid(`/weights/${i}/0`, `gives ${input.ref} a second weight`)
    own.set(input, weight)
  })
  return new Map(inputs.map((input) => [input, own.get(input) ?? parseWeight(input.weight ?? 1)]))
}

/** In f64: the number of the rule, times decay for each step behind the newest, then held within the bounds. */
function byRule({ by, clip, decay }: WeightRule, input: Candidate): number {
  let weight = startOf(by, input)
  if (decay !== undefined) {
    if (input.age === undefined)
      throw invalid('/weights/decay', `needs an age for every input, and ${input.ref} has none`, 'leave decay out')
    for (let step = 0; step < input.age && weight !== 0; step++) weight *= decay
  }
  return clip === undefined ? weight : Math.min(Math.max(weight, clip[0]), clip[1])
}

function startOf(by: WeightRule['by'], { ref, samples, weight }: Candidate): number {
  if (by === 'equal') return 1
  if (by === 'contribution') return parseWeight(weight ?? 1)
  if (samples === undefined)
    throw invalid(
      '/weights/by',
      `is samples, and ${ref} does not say how many it saw`,
      'contribute it again with samples',
    )
  return samples
}
