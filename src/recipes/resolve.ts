/**
 * From a recipe and what its references mean to the merge they stand for: its inputs in canonical order, its hashed
 * records, its ids and seed, and how the tensors line up. Pure: names, slots, authors, files and the order in which
 * things are given decide nothing.
 */
import type { CanonicalRecord } from '../core/canonical.ts'
import { TributaryError } from '../core/errors.ts'
import type { MergeId, RecipeId } from '../core/ids.ts'
import { at } from '../core/invariant.ts'
import type { Seed } from '../core/seed.ts'
import { type Alignment, align } from './align.ts'
import { type Candidate, type Headers, inOrder, lookUp, nothing } from './candidate.ts'
import type { Strategy } from '../core/strategy.ts'
import { type Found, findChosen, needsOf, paramsOf } from './declaration.ts'
import { carriedFiles } from './files.ts'
import { checkStrategies } from './checks.ts'
import { type BaseModel, hasHeaders, needHeaders } from './headers.ts'
import {
  type Draft,
  type ResolvedInput,
  canonicalOrder,
  checkKinds,
  draftInputs,
  dropDuplicates,
  eachParams,
  inputRecord,
} from './inputs.ts'
import { type Names, overridePairs, settle } from './overrides.ts'
import { fill, print } from './params.ts'
import { invalid } from './reader.ts'
import { type TensorParams, mergeIdOf, paramsBy, recipeIdOf, seedOf, strategiesInUse } from './records.ts'
import type { Recipe } from './recipe.ts'
import { printRef } from './refs.ts'

export interface ResolveRequest {
  readonly recipe: Recipe
  readonly strategies: readonly Strategy[]
  readonly candidates: readonly Candidate[]
  /** The recipe's base, else the space's default. */
  readonly base?: BaseModel
  /** What `out.files_from` means, where it is none of the candidates nor the base. */
  readonly filesFrom?: Headers
}

export interface Resolved {
  readonly strategy: Strategy
  /** Every strategy that some tensor may meet, the recipe's own first. */
  readonly strategies: readonly Strategy[]
  readonly recipe: CanonicalRecord
  readonly recipeId: RecipeId
  /** In canonical order. */
  readonly inputs: readonly ResolvedInput[]
  /** Only where a strategy uses it. */
  readonly base?: BaseModel
  readonly merge: MergeId
  readonly seed: Seed
  readonly paramsFor: (tensor: string) => TensorParams
  /** Absent while the headers of some model are. */
  readonly alignment?: Alignment
  readonly leftOut: readonly { readonly ref: string; readonly why: string }[]
  readonly warnings: readonly string[]
}

export function resolve(request: ResolveRequest): Resolved {
  const { recipe, strategies } = request
  const choice = findChosen(strategies, recipe.strategy ?? { id: request.base ? 'task_arithmetic' : 'weight_average' })
  const { strategy } = choice
  const used = [
    strategy,
    ...recipe.overrides.flatMap((it, i) =>
      it.strategy ? [findChosen(strategies, it.strategy, `/overrides/${i}/strategy`).strategy] : [],
    ),
  ]
  const base = baseOf(request, used)
  const leftOut: { ref: string; why: string }[] = []
  const warnings: string[] = []

  const chosen = draftInputs(recipe, used, request.candidates)
  const varied = chosen.filter(({ candidate }) => candidate.content !== base?.content)
  for (const { candidate } of chosen)
    if (candidate.content === base?.content) leftOut.push({ ref: candidate.ref, why: 'it is the base itself' })
  if (varied.length === 0) throw nothing('every input is the base itself', 'contribute a model that differs from it')
  checkKinds(varied)

  const kept = excludeMisfits(varied, request, base, leftOut)
  const names = namesFrom(kept, base)
  const each = eachParams(recipe, choice, chosen)
  const withRecords = kept.map((draft): ResolvedInput => ({
    ...draft,
    record: inputRecord(draft, recipe, used, each, names),
  }))
  const inputs = dropDuplicates(withRecords.sort(canonicalOrder), recipe.duplicates, leftOut, warnings)

  const recipeRecord = recordOf(request, choice, inputs, base, names)
  const records = {
    recipe: recipeRecord,
    inputs: inputs.map(({ record }) => record),
    ...(base && { base: base.content }),
  }
  const inUse = strategiesInUse(records, strategies)
  checkStrategies(inUse, inputs, base !== undefined)
  warnOfOtherBases(inputs, base, warnings)
  const alignment = alignmentOf(inputs, request, base)
  return {
    strategy,
    strategies: [...new Set(inUse.map((it) => it.strategy))],
    recipe: recipeRecord,
    recipeId: recipeIdOf(recipeRecord),
    inputs,
    ...(base && { base }),
    merge: mergeIdOf(records),
    seed: seedOf(records),
    paramsFor: paramsBy(records, strategies),
    ...(alignment && { alignment }),
    leftOut,
    warnings: [...warnings, ...(alignment?.warnings ?? [])],
  }
}

/** The base, where some strategy of the recipe uses one; where none does, it is ignored. */
function baseOf({ base }: ResolveRequest, used: readonly Strategy[]): BaseModel | undefined {
  const needing = used.find((it) => needsOf(it).base === 'required')
  if (needing && base === undefined)
    throw new TributaryError('BASE_REQUIRED', `${needing.id} merges differences from a base, and no base is named`, {
      pointer: '/base',
      hint: 'add base: REF to the recipe, or give the space a default base',
    })
  return used.some((it) => needsOf(it).base !== 'none') ? base : undefined
}

const modelsOf = (drafts: readonly Draft[], base: BaseModel | undefined) => [
  ...drafts.map(({ candidate }) => candidate),
  ...(base ? [base] : []),
]

function alignmentOf(
  drafts: readonly Draft[],
  { recipe }: ResolveRequest,
  base: BaseModel | undefined,
): Alignment | undefined {
  const models = drafts.map(({ candidate }) => candidate).filter(hasHeaders)
  if (models.length < drafts.length || (base && !hasHeaders(base))) return undefined
  return align({
    inputs: models.map(({ ref, headers }) => ({ label: ref, tensors: headers.tensors })),
    ...(base?.headers && { base: { label: base.ref, tensors: base.headers.tensors } }),
    usesBase: base !== undefined,
    mismatch: recipe.mismatch,
    dtype: recipe.out.dtype,
  })
}

/** Under `exclude` whole inputs go, and everything after is computed without them. */
function excludeMisfits(
  drafts: readonly Draft[],
  request: ResolveRequest,
  base: BaseModel | undefined,
  leftOut: { ref: string; why: string }[],
) {
  if (request.recipe.mismatch !== 'exclude') return drafts
  needHeaders(modelsOf(drafts, base), 'mismatch: exclude')
  const excluded = new Map(alignmentOf(drafts, request, base)?.excluded.map(({ input, why }) => [input, why]))
  for (const [input, why] of excluded) leftOut.push({ ref: at(drafts, input).candidate.ref, why })
  if (excluded.size === drafts.length)
    throw nothing('no input has the tensors of the base', 'see mismatch: base and mismatch: skip')
  return drafts.filter((_, i) => !excluded.has(i))
}

/** The tensors that a gradient runs over. */
function namesFrom(drafts: readonly Draft[], base: BaseModel | undefined): Names {
  return () => {
    needHeaders(modelsOf(drafts, base), 'a gradient over the layers')
    const models = base ? [base] : drafts.map(({ candidate }) => candidate)
    return [...new Set(models.flatMap(({ headers }) => headers?.tensors.map(({ name }) => name) ?? []))]
  }
}

function recordOf(
  request: ResolveRequest,
  choice: Found,
  inputs: readonly ResolvedInput[],
  base: BaseModel | undefined,
  names: Names,
): CanonicalRecord {
  const { recipe, strategies } = request
  const { strategy } = choice
  const { whole } = settle(choice, recipe.strategy?.params ?? {}, '/strategy/params')
  const overrides = overridePairs(recipe.overrides, choice, strategies, names)
  const order = orderOf(recipe, strategy, inputs)
  const { reduce } = needsOf(strategy)
  if (recipe.reduce && reduce !== recipe.reduce)
    throw invalid(
      '/reduce',
      `is ${recipe.reduce}, and ${strategy.id} takes any number of inputs as it is`,
      'leave reduce out',
    )
  return {
    strategy: strategy.id,
    version: strategy.version,
    params: print(paramsOf(strategy), fill(paramsOf(strategy), whole, '/strategy/params')),
    overrides,
    pre: [],
    post: [],
    mismatch: recipe.mismatch,
    ...(reduce && { reduce }),
    seed: recipe.seed,
    ...(order && { order }),
    out: { dtype: recipe.out.dtype, shard_bytes: recipe.out.shardBytes, files: filesOf(request, inputs, base) },
  }
}

function orderOf(
  { order }: Recipe,
  { id, laws }: Strategy,
  inputs: readonly ResolvedInput[],
): readonly string[] | undefined {
  if (laws.order !== 'explicit') {
    if (order === undefined) return undefined
    throw invalid('/order', `has no meaning for ${id}, whose result does not follow an order`, 'leave order out')
  }
  if (order === undefined)
    throw invalid('/order', `is missing, and ${id} follows the order of its inputs`, 'add order: [REF, …]')
  return inOrder(
    order,
    inputs.map(({ candidate }) => candidate),
  ).map(({ content }) => content)
}

/** Those of `files_from`, else the base's, else those of the first input that has any. */
function filesOf(
  { recipe, filesFrom, ...request }: ResolveRequest,
  inputs: readonly ResolvedInput[],
  base: BaseModel | undefined,
) {
  const { filesFrom: ref } = recipe.out
  if (ref) {
    const isBase = request.base?.ref === printRef(ref)
    if (filesFrom) return carriedFiles(filesFrom.files)
    const model = isBase && request.base ? request.base : lookUp(ref, request.candidates, '/out/files_from')
    needHeaders([model], 'out.files_from')
    return carriedFiles(model.headers?.files ?? [])
  }
  for (const model of [...(base ? [base] : []), ...inputs.map(({ candidate }) => candidate)]) {
    needHeaders([model], 'choosing config and tokenizer')
    const files = carriedFiles(model.headers?.files ?? [])
    if (files.length > 0) return files
  }
  return []
}

function warnOfOtherBases(inputs: readonly ResolvedInput[], base: BaseModel | undefined, warnings: string[]): void {
  if (!base) return
  for (const { candidate } of inputs)
    if (candidate.trainedFrom !== undefined && candidate.trainedFrom !== base.content)
      warnings.push(
        `${candidate.ref} says it was trained from ${candidate.trainedFrom.slice(0, 12)}…, not from the base ${base.ref}`,
      )
}
