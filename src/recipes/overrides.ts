/** Overrides as a person wrote them, made into the pairs that are hashed: defaults filled, gradients laid out. */
import type { Canonical, CanonicalRecord } from '../core/canonical.ts'
import { parseWeight, printWeight } from '../core/decimal.ts'
import { at as item, invariant } from '../core/invariant.ts'
import type { Strategy } from '../core/strategy.ts'
import { type Found, eachParamsOf, findChosen, paramsOf } from './declaration.ts'
import { layOut } from './gradients.ts'
import { checkNames, fill, namesOf, print, readSome, split } from './params.ts'
import { at, below } from './reader.ts'
import type { Gradient, InputOverride, Override, Setting, Settings, StrategyChoice, Varying } from './settings.ts'

export type OverridePair = readonly [match: string, record: CanonicalRecord]

/** Names of the tensors, asked for only where a gradient needs them. */
export type Names = () => readonly string[]

export const isGradient = (value: Varying): value is Gradient =>
  typeof value === 'object' && !Array.isArray(value) && 'gradient' in value

interface Split {
  readonly plain: Record<string, Setting>
  readonly gradients: readonly (readonly [string, readonly number[]])[]
}

/** A gradient stands with its first number among the plain ones; the layers follow as overrides of their own. */
function splitGradients(params: Readonly<Record<string, Varying>>): Split {
  const plain: Record<string, Setting> = {}
  const gradients: (readonly [string, readonly number[]])[] = []
  for (const [name, value] of Object.entries(params)) {
    if (!isGradient(value)) {
      plain[name] = value
      continue
    }
    plain[name] = item(value.gradient, 0)
    gradients.push([name, value.gradient])
  }
  return { plain, gradients }
}

/** Everything a strategy's params come to when nothing else is said: what an alias fills in, then the recipe's own. */
export function settle({ strategy, params }: Found, given: Settings, pointer: string) {
  return split(strategy, { ...params, ...given }, pointer)
}

export function overridePairs(
  overrides: readonly Override[],
  recipe: Found,
  strategies: readonly Strategy[],
  names: Names,
) {
  const used = [
    recipe.strategy,
    ...overrides.flatMap(({ strategy }, i) => (strategy ? [found(strategy, i, strategies).strategy] : [])),
  ]
  return overrides.flatMap((override, i): readonly OverridePair[] => {
    const pointer = `/overrides/${i}`
    const { match } = override
    const { plain, gradients } = splitGradients(override.params)
    const own = override.strategy ? [found(override.strategy, i, strategies).strategy] : used
    const first: OverridePair = override.strategy
      ? [
          match,
          wholeRecord(
            found(override.strategy, i, strategies),
            { ...override.strategy.params, ...plain },
            `${pointer}/strategy/params`,
          ),
        ]
      : [match, { params: someRecord(own, plain, `${pointer}/params`) }]
    return [
      first,
      ...layers(gradients, match, names, (param) => ({ params: someRecord(own, param, `${pointer}/params`) })),
    ]
  })
}

function found(choice: StrategyChoice, index: number, strategies: readonly Strategy[]): Found {
  return findChosen(strategies, choice, `/overrides/${index}/strategy`)
}

function wholeRecord(choice: Found, given: Settings, pointer: string): CanonicalRecord {
  const { strategy } = choice
  const { whole, each } = settle(choice, given, pointer)
  const params = {
    ...print(paramsOf(strategy), fill(paramsOf(strategy), whole, pointer)),
    ...print(eachParamsOf(strategy), fill(eachParamsOf(strategy), each, pointer)),
  }
  return { strategy: strategy.id, version: strategy.version, params }
}

/** The values given, each by the schema of the first strategy that has it, and no further. */
function someRecord(
  strategies: readonly Strategy[],
  given: Readonly<Record<string, unknown>>,
  pointer: string,
  eachOnly = false,
): CanonicalRecord {
  const schemas = strategies.flatMap((strategy) => {
    const each = eachParamsOf(strategy)
    return [...(eachOnly ? [] : [paramsOf(strategy)]), ...(each ? [each] : [])]
  })
  const ids = [...new Set(strategies.map(({ id }) => id))].join(' or ')
  checkNames(given, [...new Set(schemas.flatMap(namesOf))], ids, pointer)
  return Object.fromEntries(
    Object.keys(given).map((name): [string, Canonical] => {
      const knowing = schemas.filter((schema) => namesOf(schema).includes(name))
      const one = Object.fromEntries([[name, given[name]]])
      const [schema] = knowing.map((it) => [it, readSome(it, one, pointer)] as const)
      invariant(schema !== undefined, `some strategy has ${name}`)
      return [name, item(Object.values(print(...schema)), 0)]
    }),
  )
}

function layers(
  gradients: Split['gradients'],
  match: string,
  names: Names,
  record: (param: Settings) => CanonicalRecord,
): readonly OverridePair[] {
  return gradients.flatMap(([name, gradient]) =>
    layOut(match, gradient, names())
      .slice(1) // the first number stands among the plain ones
      .map(({ match: pattern, value }): OverridePair => [pattern, record(Object.fromEntries([[name, value]]))]),
  )
}

/** The same for the overrides of one input. */
export function inputPairs(
  overrides: readonly InputOverride[],
  used: readonly Strategy[],
  names: Names,
  pointer: string,
) {
  return overrides.flatMap((override, i): readonly OverridePair[] => {
    const where = below(pointer, i)
    const { match, weight } = override
    const { plain, gradients } = splitGradients(override.params)
    const some = (params: Settings): CanonicalRecord => someRecord(used, params, `${where}/params`, true)
    const spell = (value: number) => at(`${where}/weight`, () => printWeight(parseWeight(value)))
    const start = typeof weight === 'object' ? item(weight.gradient, 0) : weight
    const first: OverridePair = [
      match,
      {
        ...(start !== undefined && { weight: spell(start) }),
        ...(Object.keys(plain).length > 0 && { params: some(plain) }),
      },
    ]
    const weights =
      typeof weight === 'object'
        ? layOut(match, weight.gradient, names())
            .slice(1)
            .map(({ match: pattern, value }): OverridePair => [pattern, { weight: spell(value) }])
        : []
    return [first, ...weights, ...layers(gradients, match, names, (param) => ({ params: some(param) }))]
  })
}
