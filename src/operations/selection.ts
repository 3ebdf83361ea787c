/** From a space and a recipe to the merge they stand for: looks up what the recipe names, then lets it be resolved. */
import { type Canonical, canonicalText } from '../core/canonical.ts'
import { TributaryError } from '../core/errors.ts'
import type { ModelId } from '../core/ids.ts'
import type { SpaceState } from '../core/or-set.ts'
import type { VisibleContribution } from '../core/visibility.ts'
import type { Candidate } from '../recipes/candidate.ts'
import type { BaseModel } from '../recipes/headers.ts'
import { parseRecipe, type Recipe } from '../recipes/recipe.ts'
import { printRef } from '../recipes/refs.ts'
import { type Resolved, resolve } from '../recipes/resolve.ts'
import type { Manifest } from '../tensors/manifest.ts'
import type { Context } from './context.ts'
import { findManifest } from './models.ts'
import type { SpaceBook } from './space-book.ts'
import { namedModel } from './spaces.ts'

/** What a merge was asked for with: enough to resolve it again, to the same id, after a restart. */
export interface MergeRequest {
  readonly space: string
  /** The recipe as it was sent, as JSON. */
  readonly recipe: string
  readonly contributions: readonly string[]
  readonly candidates: readonly StoredCandidate[]
  readonly base?: StoredModelRef
  readonly files_from?: string
}
interface StoredModelRef {
  readonly ref: string
  readonly content: string
  readonly model?: string
}
type StoredCandidate = Omit<Candidate, 'headers'>

/** A resolved merge, and which stored model stands behind each of its inputs and its base. */
export interface Selected {
  readonly request: MergeRequest
  readonly resolved: Resolved
  readonly modelOf: ReadonlyMap<string, ModelId>
  readonly base?: ModelId
  readonly filesFrom?: ModelId
  /** Models whose bytes are not here. */
  readonly missing: readonly string[]
}

export const printRequest = (request: MergeRequest): string => canonicalText({ request: JSON.stringify(request) })
export const parseRequest = (text: string): MergeRequest =>
  JSON.parse((JSON.parse(text) as { request: string }).request) as MergeRequest

export function selectForMerge(context: Context, book: SpaceBook, state: SpaceState, document: unknown): Selected {
  const recipe = parseRecipe(document, { allowPaths: false })
  if (recipe.select.at !== undefined && recipe.select.at !== state.root)
    throw new TributaryError(
      'REFERENCE_NOT_FOUND',
      `the root of ${state.name} is ${state.root}, and not ${recipe.select.at}`,
      {
        pointer: '/select/at',
        hint: 'leave select.at out to merge what is visible now',
      },
    )
  const base = baseOf(context, book, state, recipe)
  const filesFrom = recipe.out.filesFrom && namedModel(context, book, printRef(recipe.out.filesFrom)).model
  const memo = resolvedOf.get(state) ?? new Map<string, Selected>()
  resolvedOf.set(state, memo)
  const key = JSON.stringify([document, base, filesFrom])
  const known = memo.get(key)
  if (known !== undefined) return { ...known, missing: missingOf(context, known.request, known.resolved) }
  const conflicts = new Set([...state.slots].flatMap(([name, ids]) => (ids.length > 1 ? [name] : [])))
  const ages = agesOf(state.visible)
  const candidates = state.visible.map((one) => candidateOf(context, state, one, ages, conflicts))
  const selection = selected(context, {
    space: state.space,
    recipe: JSON.stringify(document),
    contributions: state.visible.map(({ id }) => id),
    candidates,
    ...(base && { base }),
    ...(filesFrom && { files_from: filesFrom }),
  })
  if (isSettled(state, selection)) {
    if (memo.size >= RESOLVED_MAX) memo.clear()
    memo.set(key, selection)
  }
  return selection
}

/** Whoever waits for a merge may ask for it again and again: with a thousand inputs, to resolve it takes a while. */
const resolvedOf = new WeakMap<SpaceState, Map<string, Selected>>()
const RESOLVED_MAX = 8

/** Nothing that comes later changes what it resolves to: every manifest that matters is here. */
const isSettled = ({ visible }: SpaceState, { resolved, request }: Selected): boolean =>
  resolved.alignment !== undefined &&
  request.files_from === undefined &&
  visible.every(({ record }) => record.sidecars === undefined)

/** The same request gives the same merge: nothing is looked up but the manifests, which ids name. */
export function selected(context: Context, request: MergeRequest): Selected {
  const recipe = parseRecipe(JSON.parse(request.recipe), { allowPaths: false })
  const manifests = new Map<string, Manifest | undefined>()
  const headersOf = (model: string | undefined): { headers: Manifest } | undefined => {
    if (model === undefined) return undefined
    if (!manifests.has(model)) manifests.set(model, findManifest(context, model as ModelId))
    const headers = manifests.get(model)
    return headers && { headers }
  }
  const candidates = request.candidates.map((one): Candidate => ({ ...one, ...headersOf(one.model) }))
  const base: BaseModel | undefined = request.base && {
    ref: request.base.ref,
    content: request.base.content as never,
    ...headersOf(request.base.model),
  }
  const filesFrom = headersOf(request.files_from)?.headers
  const resolved = resolve({
    recipe,
    strategies: context.strategies,
    candidates,
    ...(base && { base }),
    ...(filesFrom && { filesFrom }),
  })
  const modelOf = new Map(
    resolved.inputs.flatMap(({ candidate: { content, model } }) =>
      model === undefined ? [] : [[content as string, model as ModelId] as const],
    ),
  )
  return {
    request,
    resolved,
    modelOf,
    ...(resolved.base && request.base?.model !== undefined && { base: request.base.model as ModelId }),
    ...(request.files_from !== undefined && { filesFrom: request.files_from as ModelId }),
    missing: missingOf(context, request, resolved),
  }
}

function missingOf(context: Context, request: MergeRequest, resolved: Resolved): readonly string[] {
  const used = [
    ...resolved.inputs.map(({ candidate }) => candidate),
    ...(resolved.base && request.base ? [request.base] : []),
    ...(request.files_from === undefined ? [] : [{ model: request.files_from, content: request.files_from }]),
  ]
  return [...new Set(used.flatMap(({ model, content }) => (isHere(context, model) ? [] : [model ?? content])))]
}

const isHere = ({ storage }: Context, model: string | undefined): boolean =>
  model !== undefined && storage.models.has(model as ModelId)

function baseOf(context: Context, book: SpaceBook, state: SpaceState, { base }: Recipe): StoredModelRef | undefined {
  const text = base === undefined ? state.base : printRef(base)
  if (text === undefined) return undefined
  const named = namedModel(context, book, text)
  if (state.revoked.has(named.content))
    throw new TributaryError('CONTENT_REVOKED', `the base ${text} was withdrawn from ${state.name} for ever`, {
      details: { content: named.content },
      hint: 'name another base in the recipe',
    })
  return named
}

/** How many newer contributions there are: what a rule with decay counts. */
function agesOf(visible: readonly VisibleContribution[]): ReadonlyMap<string, number> {
  const newest = ({ dots }: VisibleContribution) => Math.max(...dots.map(({ hlc }) => hlc))
  const sorted = [...visible].sort((a, b) => newest(b) - newest(a) || (a.id < b.id ? -1 : 1))
  return new Map(sorted.map(({ id }, age) => [id, age]))
}

function candidateOf(
  context: Context,
  state: SpaceState,
  { id, record, dots }: VisibleContribution,
  ages: ReadonlyMap<string, number>,
  conflicts: ReadonlySet<string>,
): StoredCandidate {
  const slot = `${state.name}/${record.name}`
  const exact = `${state.space}/${record.name}@${id.slice(0, 12)}`
  const sidecars = Object.entries(record.sidecars ?? {}).flatMap(([kind, model]) => {
    const manifest = findManifest(context, model)
    return manifest ? [[kind, manifest.content] as const] : []
  })
  return {
    ref: conflicts.has(record.name) ? `${slot}@${id.slice(0, 12)}` : slot,
    otherRefs: [exact, `${state.space}/${record.name}`],
    content: record.content,
    kind: record.kind,
    contribution: id,
    model: record.model,
    name: record.name,
    author: dots[0]!.author,
    weight: record.weight,
    age: ages.get(id) ?? 0,
    ...(record.tags && { tags: record.tags }),
    ...(record.samples !== undefined && { samples: record.samples }),
    ...(record.base && { trainedFrom: record.base }),
    ...(sidecars.length > 0 && { sidecars }),
  }
}

export const asCanonical = (value: unknown): Canonical => value as Canonical
