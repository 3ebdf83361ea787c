/**
 * Import of mergekit's `models:` form. What means the same here is translated into a native recipe; what does not is
 * refused by name, never dropped. Notes tell what a reader of the YAML might expect otherwise.
 */
import { suggest } from '../core/closest.ts'
import { METHODS, METHODS_NOT_OFFERED, type Method, PARAMETERS } from './mergekit-methods.ts'
import { type Chain, type Value, asOverrides, followedBy, readChain, startOf } from './mergekit-settings.ts'
import { at, below, invalid, openRecordOf, recordOf, show, textOf, unsupported } from './reader.ts'
import { type ParseOptions, type Recipe, parseRecipe } from './recipe.ts'
import { parseRef, printRef } from './refs.ts'

const FIELDS = [
  'merge_method',
  'models',
  'slices',
  'modules',
  'base_model',
  'parameters',
  'dtype',
  'out_dtype',
  'tokenizer_source',
  'tokenizer',
  'chat_template',
]

type Native = Record<string, unknown>
type Chains = ReadonlyMap<string, Chain>

interface Model {
  readonly ref: string
  readonly pointer: string
  readonly chains: Chains
}

export interface ImportedRecipe {
  readonly recipe: Recipe
  /** The same as a document, ready to be written to a file. */
  readonly native: Readonly<Native>
  readonly notes: readonly string[]
}

export function importMergekit(document: unknown, { allowPaths }: ParseOptions): ImportedRecipe {
  const it = dropNulls(recordOf(document, '', FIELDS))
  refuseForms(it)
  const notes = new Set<string>()
  const method = methodOf(it['merge_method'])
  const refOf = (value: unknown, pointer: string) => modelRefOf(value, pointer, allowPaths)
  const global = chainsOf(it['parameters'], '/parameters', method, 'merge', notes)
  const models = modelsOf(it['models'], method, refOf, notes)
  const base = it['base_model'] === undefined ? undefined : refOf(it['base_model'], '/base_model')
  const inputs = inputsOf(method, models, base)

  const whole = wholeOf(method, global)
  const each = eachOf(method, inputs, global)
  const out = outOf(it, { method, base, models, refOf, notes })
  const native: Native = {
    tributary: 1,
    strategy:
      whole.params.size === 0 ? method.strategy : { id: method.strategy, params: Object.fromEntries(whole.params) },
    ...(method.base === 'task' && { base }),
    ...(method.base === 'first' && { roles: [['x0', base]] }),
    select: { contributions: inputs.map(({ ref }) => ref) },
    ...filled({ ...each, overrides: whole.overrides }),
    ...(Object.keys(out).length > 0 && { out }),
  }
  return { recipe: parseRecipe(native, { allowPaths }), native, notes: [...notes] }
}

const dropNulls = (it: Native): Native => Object.fromEntries(Object.entries(it).filter(([, value]) => value !== null))
const filled = (lists: Readonly<Record<string, readonly unknown[]>>): Native =>
  Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0))

function refuseForms(it: Native): void {
  const refusals: readonly (readonly [string, string, string])[] = [
    [
      'slices',
      'stacks ranges of layers, which is not offered yet',
      'list whole models under models; a gradient varies a parameter over the layers',
    ],
    [
      'modules',
      'merges the parts of a model apart, which is not offered yet',
      'list whole models under models, and use filters',
    ],
    [
      'chat_template',
      'changes the chat template, which is not offered yet',
      'leave it out and edit tokenizer_config.json of the output',
    ],
  ]
  for (const [field, what, hint] of refusals) if (it[field] !== undefined) throw unsupported(`/${field}`, what, hint)
}

function methodOf(value: unknown): Method {
  const id = textOf(value, '/merge_method')
  if (Object.hasOwn(METHODS, id)) return METHODS[id]!
  const offered = Object.keys(METHODS)
  if (METHODS_NOT_OFFERED.includes(id))
    throw unsupported('/merge_method', `is ${id}, which is not offered yet`, `offered are ${offered.join(', ')}`)
  throw invalid('/merge_method', `is ${show(id)}, which mergekit does not know`, suggest(id, offered))
}

function modelRefOf(value: unknown, pointer: string, allowPaths: boolean): string {
  let text = value
  if (typeof value === 'object' && value !== null) {
    const it = dropNulls(recordOf(value, pointer, ['model', 'lora', 'override_architecture']))
    for (const field of ['lora', 'override_architecture'])
      if (it[field] !== undefined)
        throw unsupported(`${pointer}/${field}`, 'is not offered yet', 'merge the adapter into its model first')
    const model = dropNulls(recordOf(it['model'], `${pointer}/model`, ['path', 'revision']))
    if (model['revision'] !== undefined)
      throw unsupported(
        `${pointer}/model/revision`,
        'asks the Hub for a revision',
        'download it and name its directory',
      )
    text = model['path']
  }
  const ref = textOf(text, pointer)
  if (ref.includes('+'))
    throw unsupported(pointer, `is ${show(ref)}, a model with an adapter`, 'merge the adapter into its model first')
  return printRef(at(pointer, () => parseRef(ref, { allowPaths })))
}

function modelsOf(
  value: unknown,
  method: Method,
  refOf: (v: unknown, p: string) => string,
  notes: Set<string>,
): Model[] {
  if (!Array.isArray(value) || value.length === 0)
    throw invalid('/models', 'must list the models to merge', 'write "models:" with one "- model: …" each')
  const models = value.map((item: unknown, i): Model => {
    const pointer = below('/models', i)
    const it = dropNulls(recordOf(item, pointer, ['model', 'parameters']))
    return {
      ref: refOf(it['model'], `${pointer}/model`),
      pointer,
      chains: chainsOf(it['parameters'], `${pointer}/parameters`, method, 'model', notes),
    }
  })
  const seen = new Set<string>()
  for (const { ref, pointer } of models) {
    if (seen.has(ref)) throw invalid(`${pointer}/model`, `names ${ref} a second time`)
    seen.add(ref)
  }
  return models
}

function chainsOf(value: unknown, pointer: string, method: Method, of: 'merge' | 'model', notes: Set<string>): Chains {
  const chains = new Map<string, Chain>()
  if (value === undefined || value === null) return chains
  for (const [name, setting] of Object.entries(openRecordOf(value, pointer))) {
    const where = below(pointer, name)
    if (!PARAMETERS.includes(name)) throw invalid(where, 'is an unknown parameter', suggest(name, PARAMETERS))
    if (name === 'int8_mask') continue // how mergekit stores its masks; it has no effect on the numbers
    const forEach = method.each.includes(name)
    if (!forEach && !method.whole.includes(name)) {
      notes.add(`${name} has no meaning for ${method.strategy} and was left out`)
      continue
    }
    if (of === 'model' && !forEach)
      throw invalid(where, 'is a parameter of the whole merge', 'move it to the parameters at the top level')
    if (setting !== null) chains.set(name, readChain(name, setting, where))
  }
  return chains
}

/** The models that are merged: without the base where deltas are taken from it, with it where it is an end of the arc. */
function inputsOf(method: Method, models: readonly Model[], base: string | undefined): readonly Model[] {
  if (method.base === 'none') return models
  if (base === undefined)
    throw invalid('/base_model', `is missing, and ${method.strategy} needs it`, 'add "base_model: …" at the top level')
  const others = models.filter(({ ref }) => ref !== base)
  if (method.base === 'task') {
    if (others.length === 0) throw invalid('/models', 'holds nothing but the base model')
    return others
  }
  if (others.length !== 1)
    throw invalid('/models', `must name one model beside base_model for ${method.strategy}, not ${others.length}`)
  const first = models.find(({ ref }) => ref === base) ?? { ref: base, pointer: '/base_model', chains: new Map() }
  return [first, ...others]
}

/** mergekit's name and value as ours. */
const named = (parameter: string, value: Value): readonly [string, Value | string] =>
  parameter === 'rescale' ? ['rescale_mode', value === true ? 'l1' : 'none'] : [parameter, value]

function wholeOf(method: Method, global: Chains): { params: Map<string, unknown>; overrides: unknown[] } {
  const params = new Map<string, unknown>()
  const overrides: unknown[] = []
  for (const parameter of method.whole) {
    const chain = global.get(parameter) ?? { conditions: [] }
    if (chain.otherwise === undefined && method.required.includes(parameter))
      throw missing(method, parameter, chain, 'the merge', `/parameters${global.has(parameter) ? `/${parameter}` : ''}`)
    if (chain.otherwise !== undefined) params.set(...named(parameter, startOf(chain.otherwise)))
    for (const { match, setting } of asOverrides(chain, (value) => named(parameter, value)))
      overrides.push({ match, params: Object.fromEntries([setting]) })
  }
  return { params, overrides }
}

function eachOf(method: Method, inputs: readonly Model[], global: Chains) {
  const weights: unknown[] = []
  const paramsFor: unknown[] = []
  const overridesFor: unknown[] = []
  for (const { ref, pointer, chains } of inputs) {
    const params = new Map<string, unknown>()
    const overrides: unknown[] = []
    for (const parameter of method.each) {
      const chain = followedBy(chains.get(parameter), global.get(parameter))
      if (chain.otherwise === undefined && method.required.includes(parameter))
        throw missing(method, parameter, chain, `the model ${ref}`, pointer)
      if (chain.otherwise !== undefined) {
        if (parameter === 'weight') weights.push([ref, startOf(chain.otherwise)])
        else params.set(...named(parameter, startOf(chain.otherwise)))
      }
      for (const { match, setting } of asOverrides(chain, (value) => named(parameter, value)))
        overrides.push(
          parameter === 'weight' ? { match, weight: setting[1] } : { match, params: Object.fromEntries([setting]) },
        )
    }
    if (params.size > 0) paramsFor.push([ref, Object.fromEntries(params)])
    if (overrides.length > 0) overridesFor.push([ref, overrides])
  }
  return { weights, params_for: paramsFor, overrides_for: overridesFor }
}

/** mergekit stops here too, though only when it meets the tensor. */
function missing(method: Method, parameter: string, chain: Chain, whose: string, pointer: string) {
  if (chain.conditions.length === 0)
    return invalid(
      pointer,
      `says no ${parameter} for ${whose}, and ${method.strategy} needs one`,
      `add "${parameter}: …" under parameters`,
    )
  const filters = chain.conditions.map(({ filter }) => filter).join(', ')
  return invalid(
    pointer,
    `says no ${parameter} for tensors of ${whose} that match none of the filters ${filters}`,
    'end the list with "- value: …"',
  )
}

interface Around {
  readonly method: Method
  readonly base: string | undefined
  readonly models: readonly Model[]
  readonly refOf: (value: unknown, pointer: string) => string
  readonly notes: Set<string>
}

function outOf(it: Native, { method, base, models, refOf, notes }: Around): Native {
  const dtype = it['out_dtype'] ?? it['dtype']
  if (it['dtype'] !== undefined)
    notes.add(
      it['out_dtype'] === undefined
        ? `dtype ${show(it['dtype'])} is taken as the type of the output; the arithmetic is exact whatever it says`
        : `dtype ${show(it['dtype'])} has no effect: the arithmetic is exact, and out_dtype gives the type of the output`,
    )
  // mergekit copies config and tokenizer from the base model, or from the first model listed
  const usual = base ?? models[0]!.ref
  const files = tokenizerOf(it, base, models, refOf) ?? usual
  return {
    ...(dtype !== undefined && { dtype }),
    ...(!(method.base === 'task' && files === base) && { files_from: files }),
  }
}

function tokenizerOf(
  it: Native,
  base: string | undefined,
  models: readonly Model[],
  refOf: (value: unknown, pointer: string) => string,
): string | undefined {
  let source = it['tokenizer_source']
  let pointer = '/tokenizer_source'
  if (it['tokenizer'] !== undefined) {
    if (source !== undefined) throw invalid('/tokenizer', 'and tokenizer_source exclude each other')
    const tokenizer = dropNulls(recordOf(it['tokenizer'], '/tokenizer', ['source', 'tokens', 'pad_to_multiple_of']))
    for (const field of ['tokens', 'pad_to_multiple_of'])
      if (tokenizer[field] !== undefined)
        throw unsupported(`/tokenizer/${field}`, 'changes the vocabulary, which is not offered yet', 'leave it out')
    source = tokenizer['source']
    pointer = '/tokenizer/source'
  }
  if (source === undefined) return undefined
  if (source === 'union')
    throw unsupported(pointer, 'is union, which is not offered yet', 'use base, or one of the models')
  if (source === 'base') {
    if (base === undefined) throw invalid(pointer, 'is base, and there is no base_model', 'add "base_model: …"')
    return base
  }
  const ref = refOf(source, pointer)
  if (ref !== base && !models.some((model) => model.ref === ref))
    throw invalid(pointer, `is ${ref}, which is neither base_model nor among the models`)
  return ref
}
