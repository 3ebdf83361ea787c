/**
 * The native recipe, version 1: what a person writes, checked field by field and typed, before anything is looked up.
 * Unknown fields are refused, never skipped. What it comes to is decided by resolve.ts.
 */
import { type Ref, parseRef, printRef } from './refs.ts'
import {
  at,
  below,
  integerOf,
  invalid,
  listOf,
  numberOf,
  oneOf,
  optional,
  pairOf,
  type Read,
  recordOf,
  show,
  textOf,
  unsupported,
} from './reader.ts'
import {
  type InputOverride,
  inputOverrideOf,
  type Override,
  overrideOf,
  type Settings,
  settingsOf,
  type StrategyChoice,
  strategyOf,
  weightOf,
} from './settings.ts'
import { type OutputDtype, parseOutputDtype, parseShardBytes } from './output.ts'

export interface Select {
  readonly names?: readonly string[]
  readonly tags?: readonly string[]
  readonly authors?: readonly string[]
  readonly contributions?: readonly Ref[]
  readonly at?: string
}

export interface WeightRule {
  readonly by: 'samples' | 'equal' | 'contribution'
  readonly clip?: readonly [number, number]
  readonly decay?: number
}

export const MISMATCHES = ['error', 'exclude', 'base', 'skip'] as const
export type Mismatch = (typeof MISMATCHES)[number]

export interface Recipe {
  readonly strategy?: StrategyChoice
  readonly base?: Ref
  readonly roles: readonly (readonly [string, Ref])[]
  readonly order?: readonly Ref[]
  readonly select: Select
  readonly weights?: WeightRule | readonly (readonly [Ref, number])[]
  readonly paramsFor: readonly (readonly [Ref, Settings])[]
  readonly overrides: readonly Override[]
  readonly overridesFor: readonly (readonly [Ref, readonly InputOverride[]])[]
  readonly mismatch: Mismatch
  readonly duplicates: 'count' | 'once'
  /** How a method published for two takes more. */
  readonly reduce?: 'fold'
  readonly seed: 'inputs' | number
  readonly out: { readonly dtype: OutputDtype; readonly shardBytes: number; readonly filesFrom?: Ref }
}

export interface ParseOptions {
  /** Only on the command line: a recipe sent by REST never names a path. */
  readonly allowPaths: boolean
}

const FIELDS = [
  'tributary',
  'strategy',
  'base',
  'roles',
  'order',
  'state',
  'select',
  'weights',
  'params_for',
  'overrides',
  'overrides_for',
  'pre',
  'post',
  'mismatch',
  'duplicates',
  'reduce',
  'seed',
  'out',
]

export function parseRecipe(document: unknown, { allowPaths }: ParseOptions): Recipe {
  const it = recordOf(document, '', FIELDS)
  const ref: Read<Ref> = (value, pointer) => {
    const text = textOf(value, pointer)
    return at(pointer, () => parseRef(text, { allowPaths }))
  }
  if (it['tributary'] !== undefined && it['tributary'] !== 1)
    throw unsupported(
      '/tributary',
      `is ${show(it['tributary'])}, and this program reads recipes of version 1`,
      'write 1',
    )
  refuseSteps(it)

  const strategy = optional(it['strategy'], '/strategy', strategyOf)
  const base = optional(it['base'], '/base', ref)
  const order = optional(it['order'], '/order', (list, pointer) => distinct(listOf(list, pointer, ref), pointer))
  const weights = optional(it['weights'], '/weights', (value, pointer) =>
    Array.isArray(value) ? byRef(value, pointer, ref, weightOf) : weightRuleOf(value, pointer),
  )
  const reduce = optional(it['reduce'], '/reduce', (value, pointer) => oneOf(value, pointer, ['fold'] as const))
  return {
    ...(strategy && { strategy }),
    ...(base && { base }),
    ...(reduce && { reduce }),
    ...(order && { order }),
    ...(weights && { weights }),
    roles: optional(it['roles'], '/roles', (value, pointer) => rolesOf(value, pointer, ref)) ?? [],
    select: optional(it['select'], '/select', (value, pointer) => selectOf(value, pointer, ref)) ?? {},
    paramsFor: optional(it['params_for'], '/params_for', (v, pointer) => byRef(v, pointer, ref, settingsOf)) ?? [],
    overrides: optional(it['overrides'], '/overrides', (v, pointer) => listOf(v, pointer, overrideOf)) ?? [],
    overridesFor:
      optional(it['overrides_for'], '/overrides_for', (value, pointer) =>
        byRef(value, pointer, ref, (list, where) => listOf(list, where, inputOverrideOf)),
      ) ?? [],
    mismatch: optional(it['mismatch'], '/mismatch', (value, pointer) => oneOf(value, pointer, MISMATCHES)) ?? 'error',
    duplicates:
      optional(it['duplicates'], '/duplicates', (v, pointer) => oneOf(v, pointer, ['count', 'once'] as const)) ??
      'count',
    seed: it['seed'] === undefined || it['seed'] === 'inputs' ? 'inputs' : integerOf(it['seed'], '/seed'),
    out: outOf(it['out'] ?? {}, '/out', ref),
  }
}

/** Fields that are part of the form and have no effect yet: refused rather than read and forgotten. */
function refuseSteps(it: Record<string, unknown>): void {
  for (const field of ['pre', 'post']) {
    const steps = it[field]
    if (steps === undefined || (Array.isArray(steps) && steps.length === 0)) continue
    const first: unknown = Array.isArray(steps) ? steps[0] : steps
    throw unsupported(`/${field}`, `asks for ${show(first)}, and no such step is offered yet`, `leave ${field} out`)
  }
  if (it['state'] !== undefined)
    throw unsupported('/state', 'is given, and no strategy offered yet carries state', 'leave state out')
}

function weightRuleOf(value: unknown, pointer: string): WeightRule {
  const it = recordOf(value, pointer, ['by', 'clip', 'decay'])
  const clip = optional(it['clip'], `${pointer}/clip`, (v, where) => pairOf(v, where, numberOf, numberOf))
  const decay = optional(it['decay'], `${pointer}/decay`, numberOf)
  if (clip !== undefined && clip[0] > clip[1])
    throw invalid(`${pointer}/clip`, 'has its lower bound above its upper one')
  if (decay !== undefined && !(decay > 0 && decay <= 1))
    throw invalid(`${pointer}/decay`, `must be above 0 and at most 1, not ${decay}`)
  return {
    by: oneOf(it['by'], `${pointer}/by`, ['samples', 'equal', 'contribution'] as const),
    ...(clip !== undefined && { clip }),
    ...(decay !== undefined && { decay }),
  }
}

/** A list of [REF, value], each REF once: with two entries for one model, neither is what was meant. */
function byRef<T>(value: unknown, pointer: string, ref: Read<Ref>, read: Read<T>): readonly (readonly [Ref, T])[] {
  const pairs = listOf(value, pointer, (item, where) => pairOf(item, where, ref, read))
  distinct(
    pairs.map(([first]) => first),
    pointer,
  )
  return pairs
}

function distinct(refs: readonly Ref[], pointer: string): readonly Ref[] {
  const seen = new Set<string>()
  refs.forEach((ref, i) => {
    const text = printRef(ref)
    if (seen.has(text)) throw invalid(below(pointer, i), `names ${text} a second time`)
    seen.add(text)
  })
  return refs
}

function rolesOf(value: unknown, pointer: string, ref: Read<Ref>): readonly (readonly [string, Ref])[] {
  const roles = listOf(value, pointer, (item, where) => pairOf(item, where, textOf, ref))
  const seen = new Set<string>()
  roles.forEach(([role], i) => {
    if (seen.has(role)) throw invalid(below(pointer, i), `gives the role ${role} a second time`)
    seen.add(role)
  })
  distinct(
    roles.map(([, played]) => played),
    pointer,
  )
  return roles
}

function selectOf(value: unknown, pointer: string, ref: Read<Ref>): Select {
  const it = recordOf(value, pointer, ['names', 'tags', 'authors', 'contributions', 'at'])
  const texts: Read<readonly string[]> = (list, where) => listOf(list, where, textOf)
  const names = optional(it['names'], `${pointer}/names`, texts)
  const tags = optional(it['tags'], `${pointer}/tags`, texts)
  const authors = optional(it['authors'], `${pointer}/authors`, texts)
  const contributions = optional(it['contributions'], `${pointer}/contributions`, (list, where) =>
    distinct(listOf(list, where, ref), where),
  )
  const root = optional(it['at'], `${pointer}/at`, textOf)
  if (root !== undefined && !/^[0-9a-f]{64}$/.test(root))
    throw invalid(`${pointer}/at`, 'must be the root of a space, 64 lowercase hex digits')
  return {
    ...(names && { names }),
    ...(tags && { tags }),
    ...(authors && { authors }),
    ...(contributions && { contributions }),
    ...(root !== undefined && { at: root }),
  }
}

function outOf(value: unknown, pointer: string, ref: Read<Ref>): Recipe['out'] {
  const it = recordOf(value, pointer, ['dtype', 'shard_bytes', 'files_from'])
  const filesFrom = optional(it['files_from'], `${pointer}/files_from`, ref)
  return {
    dtype: parseOutputDtype(it['dtype'] ?? 'auto', `${pointer}/dtype`),
    shardBytes: parseShardBytes(it['shard_bytes'], `${pointer}/shard_bytes`),
    ...(filesFrom && { filesFrom }),
  }
}

/** The models a local recipe merges: those it selects by reference, else those it gives weights to. */
export function inputRefs(recipe: Recipe): readonly Ref[] {
  const { select, weights } = recipe
  if (select.contributions !== undefined) return select.contributions
  return weights !== undefined && !('by' in weights) ? weights.map(([ref]) => ref) : []
}

/** Every reference a recipe makes: what the caller has to look up. */
export function allRefs(recipe: Recipe): readonly Ref[] {
  const { base, out, roles, order = [], paramsFor, overridesFor, select } = recipe
  const weighted = recipe.weights !== undefined && !('by' in recipe.weights) ? recipe.weights : []
  const named = [...weighted, ...paramsFor, ...overridesFor].map(([ref]) => ref)
  const all = [
    ...(base ? [base] : []),
    ...(select.contributions ?? []),
    ...named,
    ...roles.map(([, ref]) => ref),
    ...order,
    ...(out.filesFrom ? [out.filesFrom] : []),
  ]
  return [...new Map(all.map((ref) => [printRef(ref), ref])).values()]
}
