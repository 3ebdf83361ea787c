/** The inputs of a merge: which, with what weight, params and role, as which record, in which order. */
import { compareBytes, compareHex } from '../core/bytes.ts'
import { type CanonicalRecord, canonicalBytes } from '../core/canonical.ts'
import { printWeight } from '../core/decimal.ts'
import { TributaryError } from '../core/errors.ts'
import { type Candidate, lookUp, selected } from './candidate.ts'
import type { Strategy } from '../core/strategy.ts'
import { type Found, eachParamsOf, needsOf } from './declaration.ts'
import { type Names, inputPairs, settle } from './overrides.ts'
import { checkNames, fill, namesOf, print, readSome } from './params.ts'
import { invalid, show } from './reader.ts'
import type { Recipe } from './recipe.ts'
import { weightsOf } from './weights.ts'

/** An input on its way: what the recipe says of it. */
export interface Draft {
  readonly candidate: Candidate
  readonly weight: number
  readonly role?: string
  /** Place of its own overrides in the recipe's overrides_for. */
  readonly entry?: number
}

export interface ResolvedInput {
  readonly candidate: Candidate
  /** What is hashed. */
  readonly record: CanonicalRecord
  /** An f32. */
  readonly weight: number
  readonly role?: string
}

/** Those selected, each with its weight and role; every reference of the recipe must mean one of them. */
export function draftInputs(
  recipe: Recipe,
  used: readonly Strategy[],
  candidates: readonly Candidate[],
): readonly Draft[] {
  const chosen = selected(recipe.select, candidates)
  const weights = weightsOf(recipe.weights, chosen)
  const roles = new Map<Candidate, string>()
  recipe.roles.forEach(([role, ref], i) => {
    const known = used.flatMap((strategy) => needsOf(strategy).roles ?? [])
    const pointer = `/roles/${i}`
    if (!known.includes(role))
      throw invalid(
        `${pointer}/0`,
        `is ${show(role)}, a role that ${used.map(({ id }) => id).join(' and ')} does not know`,
        known.length > 0 ? `use ${known.join(' or ')}` : 'leave roles out',
      )
    const candidate = lookUp(ref, chosen, `${pointer}/1`)
    if (roles.has(candidate)) throw invalid(`${pointer}/1`, `gives ${candidate.ref} a second role`)
    roles.set(candidate, role)
  })
  const overrides = new Map<Candidate, number>()
  recipe.overridesFor.forEach(([ref], i) => overrides.set(lookUp(ref, chosen, `/overrides_for/${i}/0`), i))
  return chosen.map((candidate) => {
    const entry = overrides.get(candidate)
    const role = roles.get(candidate)
    return {
      candidate,
      weight: weights.get(candidate) ?? 1,
      ...(role !== undefined && { role }),
      ...(entry !== undefined && { entry }),
    }
  })
}

export function checkKinds(drafts: readonly Draft[]): void {
  const other = drafts.find(({ candidate }) => candidate.kind !== 'full')
  if (other)
    throw new TributaryError(
      'KIND_UNSUPPORTED',
      `${other.candidate.ref} is of kind ${other.candidate.kind}; only whole models are merged yet`,
      {
        hint: 'merge it into its base first, or leave it out of the selection',
      },
    )
}

/** Per-contribution params: the recipe's for all, then its own for each. */
export function eachParams(
  recipe: Recipe,
  choice: Found,
  chosen: readonly Draft[],
): (candidate: Candidate) => CanonicalRecord {
  const { strategy, requires } = choice
  const perContribution = eachParamsOf(strategy)
  const pointer = '/strategy/params'
  const given = recipe.strategy?.params ?? {}
  const { each } = settle(choice, given, pointer)
  const candidates = chosen.map(({ candidate }) => candidate)
  const own = new Map(
    recipe.paramsFor.map(([ref, params], i) => {
      const where = `/params_for/${i}/1`
      checkNames(params, namesOf(perContribution), strategy.id, where)
      return [
        lookUp(ref, candidates, `/params_for/${i}/0`),
        perContribution ? readSome(perContribution, params, where) : {},
      ] as const
    }),
  )
  return (candidate) => {
    const mine = own.get(candidate) ?? {}
    for (const name of requires)
      if (!Object.hasOwn(given, name) && !Object.hasOwn(mine, name))
        throw new TributaryError(
          'STRATEGY_PARAMS_INVALID',
          `${pointer}/${name} is missing, and ${recipe.strategy?.id ?? strategy.id} has no default for it`,
          {
            pointer,
            hint: `say ${name} in the strategy's params`,
          },
        )
    return print(perContribution, fill(perContribution, { ...each, ...mine }, pointer))
  }
}

export function inputRecord(
  { candidate, weight, role, entry }: Draft,
  { overridesFor }: Recipe,
  used: readonly Strategy[],
  each: (candidate: Candidate) => CanonicalRecord,
  names: Names,
): CanonicalRecord {
  const own = entry === undefined ? undefined : overridesFor[entry]
  const overrides = own ? inputPairs(own[1], used, names, `/overrides_for/${entry}/1`) : []
  const sidecars = sidecarsOf(candidate, used)
  return {
    content: candidate.content,
    kind: candidate.kind,
    weight: printWeight(weight),
    params: each(candidate),
    ...(overrides.length > 0 && { overrides }),
    ...(role !== undefined && { role }),
    ...(sidecars.length > 0 && { sidecars }),
  }
}

/** Those a strategy of the recipe reads; others don't touch the merge. */
function sidecarsOf({ ref, sidecars = [] }: Candidate, used: readonly Strategy[]) {
  const wanted = new Map(
    used.flatMap((strategy) =>
      Object.entries(needsOf(strategy).sidecars ?? {}).map(
        ([kind, it]) => [kind, { id: strategy.id, missing: it.missing }] as const,
      ),
    ),
  )
  for (const [kind, { id, missing }] of wanted)
    if (missing === 'refuse' && !sidecars.some(([own]) => own === kind))
      throw new TributaryError('SIDECAR_REQUIRED', `${id} reads a ${kind} of every input, and ${ref} has none`, {
        hint: `contribute it again with its ${kind}`,
      })
  return sidecars.filter(([kind]) => wanted.has(kind)).sort(([a], [b]) => compareHex(a, b))
}

/** The bits of an f32, so that every weight has a place, -1 after 1. */
const bitsOf = (weight: number): number => new Uint32Array(Float32Array.of(weight).buffer)[0] ?? 0

export const canonicalOrder = (a: ResolvedInput, b: ResolvedInput): number =>
  compareHex(a.candidate.content, b.candidate.content) ||
  bitsOf(a.weight) - bitsOf(b.weight) ||
  compareBytes(canonicalBytes(a.record), canonicalBytes(b.record))

/** Under `once` the first of one content stays, and whatever plays a role. */
export function dropDuplicates(
  sorted: readonly ResolvedInput[],
  duplicates: Recipe['duplicates'],
  leftOut: { ref: string; why: string }[],
  warnings: string[],
) {
  const byContent = new Map<string, ResolvedInput[]>()
  for (const input of sorted)
    byContent.set(input.candidate.content, [...(byContent.get(input.candidate.content) ?? []), input])
  const dropped = new Set<ResolvedInput>()
  for (const same of byContent.values()) {
    if (same.length < 2) continue
    const refs = same.map(({ candidate }) => candidate.ref).sort()
    if (duplicates === 'count') {
      warnings.push(`${refs.join(' and ')} have one content, and each of them counts`)
      continue
    }
    const playing = same.filter(({ role }) => role !== undefined)
    const stay = playing.length > 0 ? playing : same.slice(0, 1)
    for (const input of same) if (!stay.includes(input)) dropped.add(input)
  }
  for (const { candidate } of dropped) leftOut.push({ ref: candidate.ref, why: 'another input has its content' })
  return sorted.filter((input) => !dropped.has(input))
}
