/** What strategies say about themselves. */
import { suggest } from '../../core/closest.ts'
import { TributaryError } from '../../core/errors.ts'
import type { StrategyView } from '../../operations/operations.ts'
import type { Command } from '../command.ts'
import { facts, shown, table } from '../text.ts'

export const strategies: Command = {
  arguments: [{ name: '[ID]', about: 'a strategy or one of its aliases' }],
  example: 'tributary strategies ties',

  async run({ toolbox, answer }, given) {
    const known = await toolbox.strategies()
    const id = given.argument(0)
    if (id === '') {
      answer({ items: known }, () =>
        table(
          ['STRATEGY', 'FAMILY', 'ABOUT'],
          known.map(({ id, family, summary }) => [id, family, summary]),
        ),
      )
      return undefined
    }
    const found = known.find((one) => one.id === id || one.aliases.some((alias) => alias.id === id))
    if (found === undefined) {
      const ids = known.flatMap((one) => [one.id, ...one.aliases.map((alias) => alias.id)])
      throw new TributaryError('STRATEGY_NOT_FOUND', `there is no strategy ${id}`, { hint: suggest(id, ids) })
    }
    answer(found, () => description(found))
    return undefined
  },
}

const description = (strategy: StrategyView): readonly string[] => [
  ...facts([
    ['strategy', `${strategy.id} version ${strategy.version}`],
    ['title', strategy.title],
    ['about', strategy.summary],
    ['family', strategy.family],
    ['shape', `${strategy.shape}${strategy.incremental ? ', incremental' : ''}`],
    ['aliases', strategy.aliases.map(({ id }) => id).join(', ') || undefined],
    ...strategy.references.map((reference) => ['reference', reference] as const),
  ]),
  ...parameters('PARAMETER', strategy.params),
  ...parameters('FOR EACH CONTRIBUTION', strategy.per_contribution),
]

interface Schema {
  readonly type?: string
  readonly default?: unknown
  readonly description?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
}

function parameters(heading: string, schema: unknown): readonly string[] {
  const properties = Object.entries(
    (schema as { properties?: Readonly<Record<string, Schema>> } | undefined)?.properties ?? {},
  )
  if (properties.length === 0) return []
  const rows = properties.map(([name, property]) => [
    name,
    kindOf(property),
    property.default === undefined ? 'required' : JSON.stringify(property.default),
    property.description ?? '',
  ])
  return ['', ...table([heading, 'TYPE', 'DEFAULT', 'ABOUT'], rows).map(shown)]
}

function kindOf(schema: Schema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  if (schema.anyOf !== undefined) return schema.anyOf.map(kindOf).join(' | ')
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, type = 'any' } = schema
  const from = exclusiveMinimum === undefined ? (minimum === undefined ? '' : `≥ ${minimum}`) : `> ${exclusiveMinimum}`
  const to = exclusiveMaximum === undefined ? (maximum === undefined ? '' : `≤ ${maximum}`) : `< ${exclusiveMaximum}`
  return [type, from, to].filter((part) => part !== '').join(' ')
}
