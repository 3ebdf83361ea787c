/**
 * The record of a contribution: the act of offering a model to a space under a name, with weight and provenance.
 * It has one form, so it has one id, and it is small enough that an add op always carries it whole.
 */
import { compareUtf8 } from './bytes.ts'
import { canonicalBytes, without } from './canonical.ts'
import { checkWeight, type Decimal, parseWeight, printWeight } from './decimal.ts'
import { digestBytes, digestOf } from './digest.ts'
import { TributaryError } from './errors.ts'
import { type Field, Fields, integer, oneOf, sortedList, text, textAs } from './fields.ts'
import { type ContentRoot, type ContributionId, type ModelId, type Name } from './ids.ts'
import { parseContentRoot, parseModelId, parseName } from './ids.ts'

export const CONTRIBUTION_KINDS = ['full', 'adapter', 'delta'] as const
export type ContributionKind = (typeof CONTRIBUTION_KINDS)[number]

export const SIDECAR_KINDS = ['fisher', 'gram', 'mask', 'coefficients', 'optimizer_state'] as const
export type SidecarKind = (typeof SIDECAR_KINDS)[number]
export type Sidecars = { readonly [Kind in SidecarKind]?: ModelId }

export type MetaPair = readonly [key: string, value: string]

/** A type and not an interface: only so is it assignable to what canonical JSON takes. */
export type ContributionRecord = {
  readonly content: ContentRoot
  readonly model: ModelId
  readonly name: Name
  /** The spelling of an f32 that core/decimal.ts gives. */
  readonly weight: Decimal
  readonly kind: ContributionKind
  /** What the model was trained from. */
  readonly base?: ContentRoot
  readonly samples?: number
  readonly license?: string
  readonly tags?: readonly string[]
  readonly sidecars?: Sidecars
  readonly meta?: readonly MetaPair[]
}

/**
 * Canonical bytes of a record. With the largest envelope (396 bytes) and REPLACES_MAX dots of 67 bytes each it stays
 * under the 4 KiB of an op.
 */
export const CONTRIBUTION_BYTES_MAX = 2048

const LIST = { min: 1, max: 256 } // the bytes end it sooner; an empty list is left out

const weight: Field<Decimal> = textAs((spelling) => {
  checkWeight(spelling)
  return spelling as Decimal
})

const sidecars: Field<Sidecars> = (value) => {
  const fields = new Fields(value, 'CONTRIBUTION_INVALID', 'the sidecars')
  const given = Object.assign({}, ...SIDECAR_KINDS.map((kind) => fields.maybe(kind, textAs(parseModelId)))) as Sidecars
  fields.end()
  if (Object.keys(given).length === 0) throw new TributaryError('CONTRIBUTION_INVALID', 'it is empty: leave it out')
  return given
}

const metaPair: Field<MetaPair> = (value) => {
  if (!Array.isArray(value) || value.length !== 2)
    throw new TributaryError('CONTRIBUTION_INVALID', 'an item is not a pair')
  return [text(value[0]), text(value[1])]
}

// reading a record makes its bytes anyway, and a fold asks for a hundred thousand ids
const ids = new WeakMap<ContributionRecord, ContributionId>()

export const contributionId = (record: ContributionRecord): ContributionId =>
  ids.get(record) ?? digestOf('contribution', record)

/** The record, or a refusal that names the field. */
export function parseContribution(value: unknown): ContributionRecord {
  const fields = new Fields(value, 'CONTRIBUTION_INVALID', 'the contribution')
  const record: ContributionRecord = {
    content: fields.take('content', textAs(parseContentRoot)),
    model: fields.take('model', textAs(parseModelId)),
    name: fields.take('name', textAs(parseName)),
    weight: fields.take('weight', weight),
    kind: fields.take('kind', oneOf(...CONTRIBUTION_KINDS)),
    ...fields.maybe('base', textAs(parseContentRoot)),
    ...fields.maybe('samples', integer(0)),
    ...fields.maybe('license', text),
    ...fields.maybe(
      'tags',
      sortedList(text, (tag) => tag, LIST),
    ),
    ...fields.maybe('sidecars', sidecars),
    ...fields.maybe(
      'meta',
      sortedList(metaPair, ([key]) => key, LIST),
    ),
  }
  fields.end()
  const bytes = canonicalBytes(record)
  if (bytes.length > CONTRIBUTION_BYTES_MAX)
    throw new TributaryError(
      'CONTRIBUTION_INVALID',
      `the contribution's record takes ${bytes.length} bytes, where at most ${CONTRIBUTION_BYTES_MAX} are allowed`,
      {
        details: { bytes: bytes.length, max: CONTRIBUTION_BYTES_MAX },
        hint: 'shorten its license, tags or meta',
      },
    )
  ids.set(Object.freeze(record), digestBytes('contribution', bytes))
  return record
}

/** Of a record that was read before, with its canonical bytes: its id is made from them. */
export function trustContribution(record: ContributionRecord, bytes: Uint8Array): void {
  ids.set(Object.freeze(record), digestBytes('contribution', bytes))
}

/** What a person may say of a contribution: numbers as they come, lists in any order. */
export interface ContributionDraft {
  readonly content: ContentRoot
  readonly model: ModelId
  readonly name: string
  readonly weight?: number | string | undefined
  readonly kind?: ContributionKind | undefined
  readonly base?: ContentRoot | undefined
  readonly samples?: number | undefined
  readonly license?: string | undefined
  readonly tags?: Iterable<string> | undefined
  readonly sidecars?: { readonly [Kind in SidecarKind]?: ModelId | undefined } | undefined
  readonly meta?: Iterable<MetaPair> | undefined
}

const orAbsent = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list)

/** The one record of a draft: defaults written, weight spelled, text composed, lists sorted. */
export function makeContribution(draft: ContributionDraft): ContributionRecord {
  const tags = [...new Set(Array.from(draft.tags ?? [], (tag) => tag.normalize('NFC')))].sort(compareUtf8)
  const meta = Array.from(draft.meta ?? [], ([key, value]): MetaPair => [key.normalize('NFC'), value.normalize('NFC')])
  const given = without({ ...draft.sidecars })
  return parseContribution(
    without({
      ...draft,
      name: parseName(draft.name),
      weight: printWeight(parseWeight(draft.weight ?? 1)),
      kind: draft.kind ?? 'full',
      license: draft.license?.normalize('NFC'),
      tags: orAbsent(tags),
      sidecars: Object.keys(given).length === 0 ? undefined : given,
      meta: orAbsent(meta.sort(([a], [b]) => compareUtf8(a, b))),
    }),
  )
}
