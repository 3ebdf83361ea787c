/**
 * A parameter of a mergekit recipe: one value, a gradient over the layers, or a list of filters, the first that matches
 * counting. A model's own list comes before the global one, and falls through to it where none of its filters match.
 */
import type { Gradient, Setting } from './settings.ts'
import { below, invalid, listOf, numberOf, recordOf, show, textOf, unsupported } from './reader.ts'
import { BOOLEANS } from './mergekit-methods.ts'

export type Value = number | boolean | Gradient

export interface Condition {
  readonly filter: string
  readonly value: Value
}

/** First match counts; `otherwise` is what the tensors get that match no filter. */
export interface Chain {
  readonly conditions: readonly Condition[]
  readonly otherwise?: Value
}

export function readChain(parameter: string, value: unknown, pointer: string): Chain {
  if (!Array.isArray(value) || !value.some(isRecordLike))
    return { conditions: [], otherwise: readValue(parameter, value, pointer) }
  const conditions: Condition[] = []
  for (const [i, item] of value.entries()) {
    const where = below(pointer, i)
    const it = recordOf(item, where, ['filter', 'value'])
    if (it['value'] === undefined) throw invalid(where, 'has a filter without a value')
    const found = readValue(parameter, it['value'], `${where}/value`)
    const filter = it['filter'] === undefined || it['filter'] === null ? '*' : textOf(it['filter'], `${where}/filter`)
    if (filter === '*') return { conditions, otherwise: found }
    if (/[*?]/.test(filter))
      throw invalid(
        `${where}/filter`,
        `is ${show(filter)}, and a filter is a part of a tensor's name, not a pattern`,
        `write ${show(filter.replaceAll(/[*?]/g, ''))}`,
      )
    conditions.push({ filter, value: found })
  }
  return { conditions }
}

const isRecordLike = (item: unknown): boolean => typeof item === 'object' && item !== null && !Array.isArray(item)

function readValue(parameter: string, value: unknown, pointer: string): Value {
  if (BOOLEANS.includes(parameter)) {
    if (value === true || value === false) return value
    if (value === 0 || value === 1) return value === 1
    if (Array.isArray(value))
      throw unsupported(pointer, 'varies a switch over the layers', 'give one value, or filters')
    throw invalid(pointer, `must be true or false, not ${show(value)}`)
  }
  if (!Array.isArray(value)) return numberOf(value, pointer)
  const gradient = listOf(value, pointer, numberOf)
  if (gradient.length === 0) throw invalid(pointer, 'is an empty list')
  return gradient.length === 1 ? gradient[0]! : { gradient }
}

/** The first chain, and where it has no answer the second. */
export function followedBy(first: Chain | undefined, second: Chain | undefined): Chain {
  if (first === undefined || second === undefined) return first ?? second ?? { conditions: [] }
  if (first.otherwise !== undefined) return first
  return { ...second, conditions: [...first.conditions, ...second.conditions] }
}

export const isGradient = (value: unknown): value is Gradient =>
  typeof value === 'object' && value !== null && 'gradient' in value

/** What a tensor outside the layers gets, and every tensor where no layer is known. */
export const startOf = (value: Value): number | boolean => (isGradient(value) ? value.gradient[0]! : value)

/**
 * The chain as overrides, where the last that matches counts: so the last filter first. The unconditional value is only
 * among them where it varies over the layers.
 */
export function asOverrides(chain: Chain, rename: (value: Value) => readonly [string, Setting | Gradient]): Written[] {
  const written = chain.conditions
    .map(({ filter, value }) => ({ match: `*${filter}*`, setting: rename(value) }))
    .reverse()
  return isGradient(chain.otherwise) ? [{ match: '*', setting: rename(chain.otherwise) }, ...written] : written
}

export interface Written {
  readonly match: string
  readonly setting: readonly [string, Setting | Gradient]
}
