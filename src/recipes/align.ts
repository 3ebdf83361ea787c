/**
 * Which tensors of which inputs make which tensor of the output, from headers alone. Inputs that don't fit the reference
 * are dealt with as the recipe's `mismatch` says; what is left out or treated as the base is told, never silent.
 */
import { canonicalBytes } from '../core/canonical.ts'
import { sha256Hex } from '../core/digest.ts'
import { TributaryError } from '../core/errors.ts'
import { at } from '../core/invariant.ts'
import { type Dtype, isFloat } from '../tensors/dtypes.ts'
import type { ManifestTensor } from '../tensors/manifest.ts'
import { sortByUtf8 } from '../tensors/names.ts'
import { tiedNames } from '../tensors/ties.ts'
import type { OutputDtype } from './output.ts'
import type { Mismatch } from './recipe.ts'

export interface AlignModel {
  /** What a person calls it, for errors and warnings. */
  readonly label: string
  readonly tensors: readonly ManifestTensor[]
}

export interface AlignRequest {
  /** In canonical order: the first one is where a copy comes from when nothing else decides. */
  readonly inputs: readonly AlignModel[]
  readonly base?: AlignModel
  readonly usesBase: boolean
  readonly mismatch: Mismatch
  readonly dtype: OutputDtype
}

/** Where the bytes of one stream come from. */
export type Source = 'base' | number

export interface OutputTensor {
  readonly name: string
  readonly shape: readonly number[]
  /** Of the output. */
  readonly dtype: Dtype
  readonly rule:
    | { readonly kind: 'copy'; readonly from: Source }
    /** Each input that takes part, and whether its own tensor or the base's stands for it. */
    | { readonly kind: 'merge'; readonly streams: readonly { readonly input: number; readonly from: Source }[] }
}

export interface Alignment {
  /** Sorted by UTF-8 bytes of name. */
  readonly tensors: readonly OutputTensor[]
  /** Inputs left out whole, and why: only under `exclude`. */
  readonly excluded: readonly { readonly input: number; readonly why: string }[]
  readonly warnings: readonly string[]
}

type ByName = ReadonlyMap<string, ManifestTensor>
/** Names, each with its form. */
type Layout = ReadonlyMap<string, string>

const byName = ({ tensors }: AlignModel): ByName => new Map(tensors.map((tensor) => [tensor.name, tensor]))
const isEmpty = (shape: readonly number[]) => shape.includes(0)

/** Shape and class: a float can't stand for an integer. */
function formOf(tensor: ManifestTensor): string {
  let form = forms.get(tensor)
  if (form === undefined) {
    form = `[${tensor.shape.join(', ')}]${isFloat(tensor.dtype) ? '' : ' without fractions'}`
    forms.set(tensor, form)
  }
  return form
}
const forms = new WeakMap<ManifestTensor, string>()
const MISSING = 'missing'

const NAMED_MAX = 3

function sayNames(names: readonly string[]): string {
  const more = names.length - NAMED_MAX
  return more > 0 ? `${names.slice(0, NAMED_MAX).join(', ')} and ${more} more` : names.join(', ')
}

export function align(request: AlignRequest): Alignment {
  const { usesBase, mismatch, inputs } = request
  const base = usesBase ? request.base : undefined
  if (mismatch === 'base' && base === undefined)
    throw new TributaryError('BASE_REQUIRED', 'mismatch: base fills in from the base, and this merge uses none', {
      pointer: '/mismatch',
      hint: 'name a base and a strategy that uses it, or choose exclude or skip',
    })
  const notices = new Notices()
  const models = inputs.map(byName)
  const baseTensors = base && byName(base)
  const tied = new Set(tiedNames([...inputs, ...(base ? [base] : [])].map(({ tensors }) => tensors)).keys())
  for (const name of tied) notices.add('left out as tied: a copy of another tensor, and not in all models', name)
  const layouts = models.map((model) => layoutOf(model, tied))
  const reference = baseTensors ? layoutOf(baseTensors, tied) : mostShared(layouts)
  const differing = layouts.map((layout) => differences(layout, reference))

  if (mismatch === 'error') refuseDifferences(request, differing)
  const excluded =
    mismatch === 'exclude'
      ? differing.flatMap((found, input) => (found.length === 0 ? [] : [{ input, why: sayDifferences(found) }]))
      : []
  const left = new Set(excluded.map(({ input }) => input))
  const taking = models.flatMap((model, input) => (left.has(input) ? [] : [{ input, model }]))

  const names = new Set(reference.keys())
  for (const { input, model } of taking)
    for (const name of model.keys()) {
      if (names.has(name) || tied.has(name)) continue
      if (baseTensors) notices.add(`left out of ${at(inputs, input).label}, for the base has no such tensor`, name)
      else names.add(name)
    }
  const world: World = { request, base: baseTensors, reference, taking, notices }
  const tensors = sortByUtf8(names, (name) => name).map((name) => outputOf(world, name))
  return { tensors, excluded, warnings: notices.said() }
}

/** What happened to tensors, told once for all it happened to. */
class Notices {
  readonly #names = new Map<string, string[]>()

  add(what: string, name: string): void {
    const names = this.#names.get(what)
    if (names === undefined) this.#names.set(what, [name])
    else names.push(name)
  }

  said(): readonly string[] {
    return [...this.#names].map(([what, names]) => `${sayNames(sortByUtf8(names, (name) => name))}: ${what}`)
  }
}

const layoutOf = (model: ByName, tied: ReadonlySet<string>): Layout =>
  new Map([...model.values()].filter(({ name }) => !tied.has(name)).map((tensor) => [tensor.name, formOf(tensor)]))

const digestOfLayout = (layout: Layout): string =>
  sha256Hex(canonicalBytes(sortByUtf8(layout, ([name]) => name).map((pair) => [...pair])))

const mostFirst = (a: { key: string; count: number }, b: { key: string; count: number }) =>
  b.count - a.count || (a.key < b.key ? -1 : 1)

const isSame = (a: Layout, b: Layout): boolean => {
  if (a.size !== b.size) return false
  for (const [name, form] of a) if (b.get(name) !== form) return false
  return true
}

/** The layout that most inputs share; ties go to the lowest digest. */
function mostShared(layouts: readonly Layout[]): Layout {
  const [first] = layouts
  if (first && layouts.every((layout) => isSame(layout, first))) return first // as nearly always, and cheap to see
  const counted = new Map<string, { key: string; layout: Layout; count: number }>()
  for (const layout of layouts) {
    const key = digestOfLayout(layout)
    counted.set(key, { key, layout, count: (counted.get(key)?.count ?? 0) + 1 })
  }
  return [...counted.values()].sort(mostFirst)[0]?.layout ?? new Map<string, string>()
}

interface Difference {
  readonly name: string
  readonly has: string
  readonly wanted: string
}

function differences(layout: Layout, reference: Layout): readonly Difference[] {
  if (isSame(layout, reference)) return []
  const found = [...new Set([...reference.keys(), ...layout.keys()])]
    .map((name) => ({ name, has: layout.get(name) ?? MISSING, wanted: reference.get(name) ?? MISSING }))
    .filter(({ has, wanted }) => has !== wanted)
  return sortByUtf8(found, ({ name }) => name)
}

function sayDifferences(found: readonly Difference[]): string {
  const named = found.slice(0, NAMED_MAX).map(({ name, has, wanted }) => `${name} is ${has}, not ${wanted}`)
  const more = found.length - named.length
  return more > 0 ? `${named.join('; ')}; and ${more} more` : named.join('; ')
}

function refuseDifferences(
  { inputs, base, usesBase }: AlignRequest,
  differing: readonly (readonly Difference[])[],
): void {
  const all = differing.flatMap((found, i) => found.map((it) => ({ ...it, label: at(inputs, i).label })))
  const names = sortByUtf8(new Set(all.map(({ name }) => name)), (name) => name)
  if (names.length === 0) return
  const lines = names.slice(0, NAMED_MAX).map((name) => {
    const here = all.filter((it) => it.name === name)
    const forms = [...new Set(here.map(({ has }) => has))]
    const said = forms.map((form) => {
      const labels = here.filter(({ has }) => has === form).map(({ label }) => label)
      return `${form} in ${sayNames(labels)}`
    })
    const others = inputs.length - here.length
    const rest = [...(usesBase && base ? ['the base'] : []), ...(others > 0 ? [`${others} other inputs`] : [])]
    return `${name} is ${said.join(', ')} and ${here[0]?.wanted ?? MISSING} in ${rest.join(' and ')}`
  })
  const more = names.length - lines.length
  throw new TributaryError(
    'SHAPE_MISMATCH',
    `${names.length} tensors differ among the inputs: ${lines.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
    {
      details: { tensors: names.slice(0, NAMED_MAX), more },
      hint: 'leave such inputs out with mismatch: exclude, or see mismatch: base and mismatch: skip',
    },
  )
}

interface Taking {
  readonly input: number
  readonly model: ByName
}

interface Own {
  readonly input: number
  readonly tensor: ManifestTensor
}

interface World {
  readonly request: AlignRequest
  readonly base: ByName | undefined
  readonly reference: Layout
  readonly taking: readonly Taking[]
  readonly notices: Notices
}

function outputOf(world: World, name: string): OutputTensor {
  const { taking, notices, reference } = world
  const base = world.base?.get(name)
  const having = taking.flatMap(({ input, model }): Own[] => {
    const tensor = model.get(name)
    return tensor ? [{ input, tensor }] : []
  })
  const form = base ? formOf(base) : formFor(reference.get(name), having)
  const fitting = having.filter(({ tensor }) => formOf(tensor) === form)
  const model = base ?? at(fitting, 0).tensor
  if (!isFloat(model.dtype)) return copyOf(world, model, base, fitting)
  const { shape } = model
  const first = fitting[0]
  if (first === undefined) {
    notices.add('in no input, so copied from the base', name)
    return { name, shape, dtype: model.dtype, rule: { kind: 'copy', from: 'base' } }
  }
  const dtype = dtypeOf(world, name, [...(base ? [base] : []), ...fitting.map(({ tensor }) => tensor)])
  if (isEmpty(shape)) return { name, shape, dtype, rule: { kind: 'copy', from: first.input } }
  return { name, shape, dtype, rule: { kind: 'merge', streams: streamsOf(world, name, fitting, base) } }
}

/** Without a base: the reference's form where an input has it, else the one most inputs have, ties to the lowest text. */
function formFor(wanted: string | undefined, having: readonly Own[]): string {
  const counted = new Map<string, { key: string; count: number }>()
  for (const { tensor } of having) {
    const key = formOf(tensor)
    counted.set(key, { key, count: (counted.get(key)?.count ?? 0) + 1 })
  }
  if (wanted !== undefined && counted.has(wanted)) return wanted
  return at([...counted.values()].sort(mostFirst), 0).key
}

function streamsOf(
  { request, taking, notices }: World,
  name: string,
  fitting: readonly Own[],
  base: ManifestTensor | undefined,
) {
  const own = new Set(fitting.map(({ input }) => input))
  const others = taking.filter(({ input }) => !own.has(input)).map(({ input }) => at(request.inputs, input).label)
  const fillsIn = base !== undefined && request.mismatch === 'base'
  if (others.length > 0)
    notices.add(fillsIn ? `the base's stands for ${sayNames(others)}` : `merged without ${sayNames(others)}`, name)
  return fillsIn
    ? taking.map(({ input }) => ({ input, from: own.has(input) ? input : ('base' as const) }))
    : fitting.map(({ input }) => ({ input, from: input }))
}

/** Integers and booleans have no mean: the base's bytes, else those that all share, else the first input's. */
function copyOf(
  { request, notices }: World,
  model: ManifestTensor,
  base: ManifestTensor | undefined,
  fitting: readonly Own[],
): OutputTensor {
  const { name, shape, dtype } = model
  const from: Source = base ? 'base' : at(fitting, 0).input
  const distinct = new Set([model, ...fitting.map(({ tensor }) => tensor)].map((it) => `${it.dtype} ${it.root}`))
  if (distinct.size > 1)
    notices.add(
      `${dtype} and not the same in all models, so copied from ${from === 'base' ? 'the base' : at(request.inputs, from).label}`,
      name,
    )
  return { name, shape, dtype, rule: { kind: 'copy', from } }
}

function dtypeOf({ request, notices }: World, name: string, streams: readonly ManifestTensor[]): Dtype {
  const dtypes = new Set(streams.map(({ dtype }) => dtype))
  if (dtypes.has('F64')) notices.add('F64, so rounded to F32 on reading', name)
  if (request.dtype !== 'auto') return request.dtype
  const [only, ...more] = dtypes
  return only === undefined || more.length > 0 ? 'F32' : only
}
