/** What a caller has looked up for a recipe: models that may become inputs, and which of them the recipe means. */
import { TributaryError } from '../core/errors.ts'
import type { ContentRoot } from '../core/ids.ts'
import type { Manifest } from '../tensors/manifest.ts'
import { matches } from './pattern.ts'
import { invalid } from './reader.ts'
import type { Select } from './recipe.ts'
import { type Ref, printRef } from './refs.ts'

/** The part of a model's manifest that a merge depends on. */
export type Headers = Pick<Manifest, 'tensors' | 'files'>

export interface Candidate {
  /** A reference to it as a person writes it; errors and warnings say this. */
  readonly ref: string
  /** Other spellings, such as the space by its id. */
  readonly otherRefs?: readonly string[]
  readonly content: ContentRoot
  readonly kind: 'full' | 'adapter' | 'delta'
  readonly contribution?: string
  readonly model?: string
  /** Of the slot. */
  readonly name?: string
  readonly author?: string
  readonly tags?: readonly string[]
  readonly weight?: number | string
  readonly samples?: number
  /** Steps behind the newest, for a rule with decay. */
  readonly age?: number
  /** The content it says it was trained from. */
  readonly trainedFrom?: ContentRoot
  /** Kind and content of each, as the contribution names them. */
  readonly sidecars?: readonly (readonly [string, ContentRoot])[]
  /** Absent where only the op has arrived. */
  readonly headers?: Headers
}

/** Does this reference mean this candidate? */
export function refersTo(ref: Ref, candidate: Candidate): boolean {
  const spellings = [candidate.ref, ...(candidate.otherRefs ?? [])]
  if (spellings.includes(printRef(ref))) return true
  if (ref.kind === 'model') return candidate.model === ref.model
  if (ref.kind === 'path') return false
  const { idPrefix = '' } = ref
  const slot = `${ref.space}/${ref.name}`
  return (
    spellings.some((spelling) => spelling.split('@')[0] === slot) && (candidate.contribution ?? '').startsWith(idPrefix)
  )
}

/** The one candidate a reference means. */
export function lookUp<C extends Candidate>(ref: Ref, candidates: readonly C[], pointer: string): C {
  const found = candidates.filter((candidate) => refersTo(ref, candidate))
  const [first, second] = found
  if (first === undefined)
    throw new TributaryError(
      'REFERENCE_NOT_FOUND',
      `${pointer} names ${printRef(ref)}, which is not among the inputs`,
      {
        pointer,
        hint: 'select it too, or leave the entry out',
      },
    )
  if (second === undefined) return first
  const ids = found.map((candidate) => candidate.contribution ?? candidate.content)
  throw new TributaryError(
    ref.kind === 'slot' ? 'SLOT_CONFLICT' : 'REFERENCE_AMBIGUOUS',
    `${pointer} names ${printRef(ref)}, which means ${found.length} inputs: ${ids.join(', ')}`,
    { pointer, details: { ids }, hint: 'add @ and the first digits of the one that is meant' },
  )
}

/** Between the fields all must hold, within one any will do. */
export function isSelected(select: Select, candidate: Candidate): boolean {
  const { names, tags, authors, contributions } = select
  const { name = '', author = '' } = candidate
  if (names && !names.some((pattern) => matches(pattern, name))) return false
  if (tags && !tags.some((tag) => candidate.tags?.includes(tag))) return false
  if (authors && !authors.includes(author)) return false
  return contributions === undefined || contributions.some((ref) => refersTo(ref, candidate))
}

/** Those selected; a contribution that is asked for by reference must be there. */
export function selected(select: Select, candidates: readonly Candidate[]): readonly Candidate[] {
  select.contributions?.forEach((ref, i) => lookUp(ref, candidates, `/select/contributions/${i}`))
  const chosen = candidates.filter((candidate) => isSelected(select, candidate))
  if (chosen.length > 0) return chosen
  if (candidates.length === 0) throw nothing('there are no contributions to merge', 'contribute a model first')
  const fields = Object.keys(select).filter((field) => field !== 'at')
  throw nothing(
    `none of the ${candidates.length} contributions matches ${fields.map((field) => `select.${field}`).join(' and ')}`,
    'widen the selection',
    '/select',
  )
}

export const nothing = (why: string, hint: string, pointer?: string) =>
  new TributaryError('NOTHING_SELECTED', `nothing is left to merge: ${why}`, {
    hint,
    ...(pointer !== undefined && { pointer }),
  })

/** The inputs in the order a recipe gives, each once. */
export function inOrder(order: readonly Ref[], inputs: readonly Candidate[]): readonly Candidate[] {
  const listed = order.map((ref, i) => lookUp(ref, inputs, `/order/${i}`))
  const left = inputs.filter((input) => !listed.includes(input))
  if (left.length > 0 || new Set(listed).size !== listed.length)
    throw invalid('/order', `must name every input once; ${left[0]?.ref ?? 'one'} is missing or repeated`)
  return listed
}
