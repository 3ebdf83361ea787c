/**
 * The hashed records of a merge, and the way back from them: which strategy, params and weights each tensor gets is read
 * from the records alone, so nothing that matters can stand outside them, and an audit needs nothing else.
 */
import type { TObject } from 'typebox'
import { type CanonicalRecord, SIZE_LIMITS, canonicalBytes } from '../core/canonical.ts'
import { checkWeight } from '../core/decimal.ts'
import { digestOf } from '../core/digest.ts'
import { type ContentRoot, type MergeId, type RecipeId, parseContentRoot } from '../core/ids.ts'
import { at as item } from '../core/invariant.ts'
import { NUMERIC_PROFILE } from '../core/numeric-profile.ts'
import { type Seed, seedFromContents, seedFromInteger } from '../core/seed.ts'
import type { Strategy } from '../core/strategy.ts'
import { eachParamsOf, findChosen, paramsOf } from './declaration.ts'
import { type Params, fill, readSome } from './params.ts'
import { matches } from './pattern.ts'
import { at, below, integerOf, invalid, listOf, openRecordOf, pairOf, textOf } from './reader.ts'

/** The records of one merge. */
export interface MergeRecords {
  readonly recipe: CanonicalRecord
  /** In canonical order. */
  readonly inputs: readonly CanonicalRecord[]
  readonly base?: ContentRoot
}

export function recipeIdOf(recipe: CanonicalRecord): RecipeId {
  const bytes = canonicalBytes(recipe).length
  if (bytes > SIZE_LIMITS.recipe)
    throw invalid(
      '',
      `takes ${bytes} bytes once resolved, where at most ${SIZE_LIMITS.recipe} are allowed`,
      'use fewer or wider patterns',
    )
  return digestOf<RecipeId>('recipe', recipe)
}

export const mergeIdOf = ({ recipe, inputs, base }: MergeRecords): MergeId =>
  digestOf<MergeId>('merge', {
    inputs,
    ...(base !== undefined && { base }),
    recipe: recipeIdOf(recipe),
    numeric_profile: NUMERIC_PROFILE,
  })

/** 32 bytes in hex, from the recipe's number or from the contents of the inputs in their order. */
export function seedOf({ recipe, inputs }: MergeRecords): Seed {
  const { seed } = recipe
  if (seed === 'inputs')
    return seedFromContents(inputs.map(({ content }, i) => parseContentRoot(textOf(content, `/inputs/${i}/content`))))
  return seedFromInteger(integerOf(seed, '/seed'))
}

export interface InputParams {
  /** An f32. */
  readonly weight: number
  readonly params: Params
}

/** What one tensor is merged with. */
export interface TensorParams {
  readonly strategy: string
  readonly version: number
  readonly params: Params
  /** One for each input, in canonical order. */
  readonly perInput: readonly InputParams[]
}

type Given = Readonly<Record<string, unknown>>

interface Rule {
  readonly match: string
  readonly strategy?: Strategy
  readonly params: Given
}

interface InputRule {
  readonly match: string
  readonly weight?: number
  readonly params: Given
}

/**
 * In this order, what comes later counting: the recipe's params and each input's own; the recipe's overrides as written;
 * each input's overrides as written. An override that names a strategy starts over with that strategy's own params. A
 * parameter that the tensor's strategy does not have is passed over.
 */
export function paramsBy(records: MergeRecords, strategies: readonly Strategy[]): (tensor: string) => TensorParams {
  const { recipe } = records
  const strategy = strategyIn(recipe, strategies, '')
  const params = openRecordOf(recipe['params'], '/params')
  const rules = listOf(recipe['overrides'], '/overrides', (pair, pointer) => ruleOf(pair, pointer, strategies))
  const inputs = records.inputs.map((input, i) => {
    const pointer = below('/inputs', i)
    return {
      weight: weightOf(input['weight'], `${pointer}/weight`),
      params: openRecordOf(input['params'], `${pointer}/params`),
      rules: listOf(input['overrides'] ?? [], `${pointer}/overrides`, inputRuleOf),
    }
  })
  const read = (schema: TObject | undefined, given: Given, pointer: string): Params =>
    schema === undefined ? {} : fill(schema, readSome(schema, given, pointer), pointer)

  const known = new Map<string, TensorParams>()
  const patterns = [...rules, ...inputs.flatMap((input) => input.rules)].map(({ match }) => match)
  return (tensor) => {
    // tensors that the same patterns match are merged alike, and get the same object
    const key = patterns.map((pattern) => (matches(pattern, tensor) ? '1' : '0')).join('')
    const found = known.get(key) ?? paramsOfTensor(tensor)
    known.set(key, found)
    return found
  }

  function paramsOfTensor(tensor: string): TensorParams {
    let used = strategy
    let whole = params
    let each: readonly Given[] = inputs.map((input) => input.params)
    for (const rule of rules) {
      if (!matches(rule.match, tensor)) continue
      if (rule.strategy) {
        used = rule.strategy
        whole = rule.params
        each = inputs.map(() => rule.params)
      } else {
        whole = { ...whole, ...rule.params }
        each = each.map((own) => ({ ...own, ...rule.params }))
      }
    }
    const perContribution = eachParamsOf(used)
    const perInput = inputs.map((input, i): InputParams => {
      const hits = input.rules.filter((rule) => matches(rule.match, tensor))
      const own = hits.reduce((so, rule) => ({ ...so, ...rule.params }), item(each, i))
      const weight = hits.reduce((so, rule) => rule.weight ?? so, input.weight)
      return { weight, params: read(perContribution, own, `/inputs/${i}/params`) }
    })
    return { strategy: used.id, version: used.version, params: read(paramsOf(used), whole, '/params'), perInput }
  }
}

/** A strategy that some tensor may meet, with the params it has where no further override matches. */
export interface StrategyInUse {
  readonly strategy: Strategy
  readonly params: Params
  readonly perInput: readonly InputParams[]
}

/** The recipe's own strategy first, then one for each override that names another. */
export function strategiesInUse(records: MergeRecords, strategies: readonly Strategy[]): readonly StrategyInUse[] {
  const { recipe } = records
  const pairs = listOf(recipe['overrides'], '/overrides', (pair, pointer) =>
    pairOf(pair, pointer, textOf, openRecordOf),
  )
  const own = { strategy: recipe['strategy'], version: recipe['version'], params: recipe['params'] }
  const named = pairs.flatMap(([, record]) => (record['strategy'] === undefined ? [] : [record]))
  return [own, ...named].map((record, i) => {
    const strategy = strategyIn(record, strategies, '')
    // as if the override matched every tensor and nothing else did
    const overrides = i === 0 ? [] : [['*', record as CanonicalRecord] as const]
    const inputs = records.inputs.map((input) => ({ ...input, overrides: [] }))
    const { params, perInput } = paramsBy({ ...records, recipe: { ...recipe, overrides }, inputs }, strategies)('')
    return { strategy, params, perInput }
  })
}

function strategyIn(record: Given, strategies: readonly Strategy[], pointer: string): Strategy {
  const id = textOf(record['strategy'], `${pointer}/strategy`)
  const version = integerOf(record['version'], `${pointer}/version`, 1)
  return findChosen(strategies, { id, version }, `${pointer}/strategy`).strategy
}

function ruleOf(pair: unknown, pointer: string, strategies: readonly Strategy[]): Rule {
  const [match, record] = pairOf(pair, pointer, textOf, openRecordOf)
  const params = openRecordOf(record['params'] ?? {}, `${pointer}/1/params`)
  if (record['strategy'] === undefined) return { match, params }
  return { match, params, strategy: strategyIn(record, strategies, `${pointer}/1`) }
}

function inputRuleOf(pair: unknown, pointer: string): InputRule {
  const [match, record] = pairOf(pair, pointer, textOf, openRecordOf)
  const params = openRecordOf(record['params'] ?? {}, `${pointer}/1/params`)
  if (record['weight'] === undefined) return { match, params }
  return { match, params, weight: weightOf(record['weight'], `${pointer}/1/weight`) }
}

const weightOf = (value: unknown, pointer: string): number => {
  const text = textOf(value, pointer)
  return at(pointer, () => checkWeight(text))
}
