/**
 * What a local merge would do, from headers alone: what fits, what is read, written and held, and why it would be refused.
 * Ids are told only where the cache knows every input, for no tensor is read.
 */
import { isTributaryError } from '../../core/errors.ts'
import { at } from '../../core/invariant.ts'
import { buildTensors } from '../../merging/build-task.ts'
import { planMemory, RuleFacts, streamsOf } from '../../merging/memory.ts'
import { layOutWeights } from '../../merging/output-weights.ts'
import { readSmallFile, type Checkpoint } from '../../merging/read-checkpoint.ts'
import type { MergeTask } from '../../merging/task.ts'
import type { Resolved } from '../../recipes/resolve.ts'
import type { FileSystem } from '../../storage/file-system.ts'
import type { LocalContext } from './local-context.ts'
import type { LocalPlan, PlanInput } from './local-operations.ts'
import { shardBytesOf } from './merge-local.ts'
import { planText } from './plan-text.ts'
import { checkpointOf, recallSources, resolveLocal } from './resolve-local.ts'
import { openSources, type Source, type Sources } from './sources.ts'

export async function planLocal(recipe: string, context: LocalContext): Promise<LocalPlan> {
  const sources = await openSources(context.files, recipe)
  const { known, complete } = await recallSources(sources, context)
  const contents = complete ? known : undefined
  const inputs = await planInputs(sources, contents, context.files)
  try {
    const resolved = resolveLocal(sources, known, context)
    return withText(planOf(sources, resolved, inputs, complete, context))
  } catch (error) {
    if (!isTributaryError(error)) throw error
    const { code, message, hint } = error
    return withText({
      ...nothingPlanned(sources, inputs),
      problems: [{ code, message, ...(hint !== undefined && { hint }) }],
    })
  }
}

type Draft = Omit<LocalPlan, 'text'>
const withText = (plan: Draft): LocalPlan => ({ ...plan, text: planText(plan) })

function nothingPlanned({ loaded }: Sources, inputs: readonly PlanInput[]): Draft {
  const { recipe, notes } = loaded
  return {
    strategy: recipe.strategy?.id ?? (recipe.base ? 'task_arithmetic' : 'weight_average'),
    inputs,
    mismatch: recipe.mismatch,
    tensors: { total: 0, merged: 0, copied: 0 },
    output: { dtypes: [], bytes: 0, shards: 0 },
    bytes_read: 0,
    bytes_written: 0,
    peak_memory_bytes: 0,
    workers: 0,
    passes: 0,
    warnings: notes,
    problems: [],
  }
}

function planOf(
  sources: Sources,
  resolved: Resolved,
  inputs: readonly PlanInput[],
  complete: boolean,
  { strategies, merger }: LocalContext,
): Draft {
  const outputs = resolved.alignment?.tensors ?? []
  const weights = layOutWeights(outputs, shardBytesOf(resolved))
  const checkpoint = checkpointOf(sources, resolved)
  const tensors = buildTensors({
    resolved,
    locate: (source, tensor) => checkpoint(source).slice(tensor),
    target: ({ name }) => weights.place(name),
  })
  const weightOf = new Map(resolved.inputs.map(({ candidate, record }) => [candidate.ref, record['weight'] as string]))
  const facts = new RuleFacts(strategies)
  const passes = tensors.reduce((most, tensor) => Math.max(most, passesOf(tensor, facts)), 0)
  const memory = planMemory(tensors, facts, merger.resources)
  const merged = tensors.filter(({ rule }) => rule.kind === 'merge').length
  const hashing = sources.all.reduce((sum, { checkpoint: { bytes } }) => sum + bytes, 0)
  return {
    ...nothingPlanned(sources, inputs),
    strategy: resolved.strategy.id,
    inputs: inputs.map((input) => {
      const weight = input.role === 'base' ? undefined : weightOf.get(input.ref)
      return { ...input, ...(weight !== undefined && { weight }) }
    }),
    tensors: { total: tensors.length, merged, copied: tensors.length - merged },
    output: {
      dtypes: [...new Set(outputs.map(({ dtype }) => dtype))].sort(),
      bytes: weights.bytes,
      shards: weights.shards.length,
    },
    bytes_read: (complete ? 0 : hashing) + readOf(tensors, facts),
    bytes_written: weights.bytes,
    peak_memory_bytes: memory.peakBytes,
    workers: memory.workers,
    passes,
    ...(complete && { merge_id: resolved.merge }),
    warnings: [
      ...sources.loaded.notes,
      ...resolved.warnings,
      ...resolved.leftOut.map(({ ref, why }) => `${ref} is left out: ${why}`),
      ...manyStreams(tensors),
    ],
  }
}

type Tensors = MergeTask['tensors']

const passesOf = ({ rule }: Tensors[number], facts: RuleFacts): number =>
  rule.kind === 'copy' ? 1 : facts.of(rule).passes

const readOf = (tensors: Tensors, facts: RuleFacts): number =>
  tensors.reduce((sum, tensor) => {
    const { rule } = tensor
    if (rule.kind === 'copy') return sum + rule.from.bytes
    const streams = rule.inputs.reduce((bytes, { value }) => bytes + value.bytes, rule.base?.bytes ?? 0)
    return sum + passesOf(tensor, facts) * streams
  }, 0)

const STREAMS_MANY = 64
function manyStreams(tensors: Tensors): readonly string[] {
  const most = tensors.reduce((so, { rule }) => (rule.kind === 'copy' ? so : Math.max(so, streamsOf(rule))), 0)
  return most > STREAMS_MANY ? [`${most} tensors are read side by side, in small tiles: a fast disk helps`] : []
}

type Forms = ReadonlyMap<string, string>
const formsOf = ({ tensors }: Pick<Checkpoint, 'tensors'>): Forms =>
  new Map(tensors.map(({ name, dtype, shape }) => [name, `${dtype} [${shape.join(', ')}]`]))

/** Each source held against the base, else the first input: which tensors are not as there. */
async function planInputs(
  { all, base, inputs }: Sources,
  contents: ReadonlyMap<Source, { readonly content: string }> | undefined,
  files: FileSystem,
): Promise<readonly PlanInput[]> {
  const reference = base ?? at(inputs, 0)
  const wanted = formsOf(reference.checkpoint)
  const listed: PlanInput[] = []
  for (const source of all) {
    const { checkpoint } = source
    const license = await licenseOf(checkpoint, files)
    const content = contents?.get(source)?.content
    listed.push({
      ref: at(source.refs, 0),
      role: source === base ? 'base' : inputs.includes(source) ? 'input' : 'files',
      tensors: checkpoint.tensors.length,
      bytes: checkpoint.bytes,
      dtypes: [...new Set(checkpoint.tensors.map(({ dtype }) => dtype))].sort(),
      differing: source === reference ? [] : differingFrom(wanted, checkpoint),
      ...(license !== undefined && { license }),
      ...(content !== undefined && { content }),
    })
  }
  return listed
}

function differingFrom(wanted: Forms, { tensors }: Checkpoint): PlanInput['differing'] {
  const has = formsOf({ tensors })
  return [...new Set([...wanted.keys(), ...has.keys()])]
    .map((tensor) => ({ tensor, has: has.get(tensor) ?? 'missing', wanted: wanted.get(tensor) ?? 'missing' }))
    .filter((row) => row.has !== row.wanted)
}

/** As the model card's front matter says it. */
async function licenseOf({ files: beside }: Checkpoint, files: FileSystem): Promise<string | undefined> {
  const card = beside.find(({ path }) => path === 'README.md')
  if (card === undefined) return undefined
  const text = new TextDecoder().decode(await readSmallFile(files, card.location))
  const front = /^---\r?\n([\s\S]*?)\r?\n---/.exec(text)?.[1] ?? ''
  return /^license:[ \t]*["']?([\w.+-]{1,64})["']?[ \t]*$/m.exec(front)?.[1]
}
