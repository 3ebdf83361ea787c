/**
 * A recipe over checkpoints of this machine, run without a server: the same resolution, ids, engine and receipt as a
 * replica's merge. The output appears whole or not at all.
 */
import { utf8 } from '../../core/bytes.ts'
import { isTributaryError, TributaryError } from '../../core/errors.ts'
import { invariant } from '../../core/invariant.ts'
import { type About, makeReceipt, type Receipt, receiptBytes, statementIdOf } from '../../core/receipt.ts'
import type { StatementId } from '../../core/ids.ts'
import { buildTensors } from '../../merging/build-task.ts'
import type { Digested } from '../../merging/digest-checkpoint.ts'
import { planMemory, RuleFacts } from '../../merging/memory.ts'
import { describedFiles, statedFiles } from '../../merging/output-files.ts'
import { layOutWeights, type OutputWeights } from '../../merging/output-weights.ts'
import type { Checkpoint } from '../../merging/read-checkpoint.ts'
import { statementOf } from '../../merging/statement.ts'
import { type MergeTask, taskBytes, type TensorOutcome } from '../../merging/task.ts'
import type { Resolved } from '../../recipes/resolve.ts'
import { shown } from '../../tensors/names.ts'
import { askedOnce, identityOf } from './digest-cache.ts'
import { changed, findFiles, writeBeside } from './files-beside.ts'
import type { LocalContext } from './local-context.ts'
import type { LocalMerge, LocalMergeRequest, LocalWatch } from './local-operations.ts'
import { checkPlace, freeBytesAt, OutputDirectory, RECEIPT_PATH, SOURCES_PATH } from './output-directory.ts'
import { checkpointOf, digestSources, isKnown, recallSources, resolveLocal } from './resolve-local.ts'
import { lockOutput } from './lock-output.ts'
import { openSources, type Source, type Sources } from './sources.ts'
import { sourcesText } from './sources-file.ts'
import { takeOver } from './unfinished-output.ts'

/** Config, tokenizer, card and receipt are small beside this. */
const SPARE_BYTES = 64 * 1024 * 1024

/**
 * What headers and declarations refuse is refused before gigabytes are hashed. Only whether tensors are tied copies needs
 * their bytes, and so a mismatch is judged afterwards.
 */
async function refuseEarly(sources: Sources, context: LocalContext): Promise<void> {
  const { known } = await recallSources(sources, context)
  try {
    const resolved = resolveLocal(sources, known, context)
    const weights = layOutWeights(resolved.alignment?.tensors ?? [], shardBytesOf(resolved))
    taskFor(sources, resolved, weights, (path) => path, context)
  } catch (error) {
    if (!isTributaryError(error) || error.code !== 'SHAPE_MISMATCH') throw error
  }
}

export async function mergeLocal(
  { recipe, out }: LocalMergeRequest,
  context: LocalContext,
  watch: LocalWatch = {},
): Promise<LocalMerge> {
  const sources = await openSources(context.files, recipe)
  await checkPlace(
    out,
    sources.all.map(({ checkpoint }) => checkpoint.location),
  )
  context.merger.warm?.(sources.all.reduce((sum, { checkpoint }) => sum + checkpoint.bytes, 0))
  const before = await identities(sources)
  const own = context.cache ? { ...context, cache: askedOnce(context.cache) } : context
  if (!(await isKnown(sources, own))) await refuseEarly(sources, own)
  const unlock = await lockOutput(out)
  try {
    return await mergeInto(out, sources, before, own, watch)
  } finally {
    await unlock()
  }
}

async function mergeInto(
  out: string,
  sources: Sources,
  before: ReadonlyMap<string, string>,
  context: LocalContext,
  watch: LocalWatch,
): Promise<LocalMerge> {
  const digested = await digestSources(sources, context, watch)
  const known = new Map(
    [...digested].map(([source, { manifest }]) => [source, { content: manifest.content, headers: manifest }]),
  )
  const resolved = resolveLocal(sources, known, context)
  const files = await findFiles(resolved, digested, context)
  const { alignment } = resolved
  invariant(alignment, 'all headers were read')
  const weights = layOutWeights(alignment.tensors, shardBytesOf(resolved))
  const output = OutputDirectory.at(out, resolved.merge)
  const claims = await output.journal.read()
  await checkSpace(out, weights, claims)

  try {
    const wasHere = await output.begin(weights.shards)
    const task = taskFor(sources, resolved, weights, (path) => output.locate(path), context, rootsOf(digested))
    const [outcomes] = await settled([
      output.whileSyncing(runTask(task, wasHere ? claims : [], output, context, out, watch)),
      writeBeside(output, files, weights, context),
    ])
    context.merger.dismiss?.()
    await refuseChanged(sources, before)
    const statement = statementOf({
      resolved,
      outcomes,
      files: statedFiles(files.map(({ file }) => file)),
    })
    const described = describedFiles(files.map(({ file }) => file))
    const statementId = statementIdOf(statement)
    const receipt = makeReceipt(statement, aboutOf(statementId, described, resolved, digested, context), statementId)
    await output.write(RECEIPT_PATH, receiptBytes(receipt))
    await output.write(SOURCES_PATH, utf8(sourcesText(resolved, digested)))
    watch.signal?.throwIfAborted()
    await output.publish()
    return viewOf(out, sources, resolved, receipt, weights)
  } catch (error) {
    await output.discard()
    if (watch.signal?.aborted === true)
      throw new TributaryError('MERGE_CANCELLED', 'the merge was cancelled; nothing was written', { cause: error })
    throw error
  }
}

export const shardBytesOf = ({ recipe }: Resolved): number =>
  (recipe['out'] as { readonly shard_bytes: number }).shard_bytes

function rootsOf(digested: ReadonlyMap<Source, Digested>) {
  const roots = new Map(
    [...digested.values()].map(({ checkpoint, manifest }) => [
      checkpoint,
      new Map<string, string>(manifest.tensors.map(({ name, root }) => [name, root])),
    ]),
  )
  return (checkpoint: Checkpoint, tensor: string) => roots.get(checkpoint)?.get(tensor)
}

function taskFor(
  sources: Sources,
  resolved: Resolved,
  weights: OutputWeights,
  locate: (path: string) => string,
  { merger, strategies }: LocalContext,
  rootOf: (checkpoint: Checkpoint, tensor: string) => string | undefined = () => undefined,
): MergeTask {
  const checkpoint = checkpointOf(sources, resolved)
  const tensors = buildTensors({
    resolved,
    locate: (source, tensor) => {
      const root = rootOf(checkpoint(source), tensor)
      return { ...checkpoint(source).slice(tensor), ...(root !== undefined && { root }) }
    },
    target: ({ name }) => {
      const { path, offset, bytes } = weights.place(name)
      return { path: locate(path), offset, bytes }
    },
  })
  const { tileBytes, maskBytes, workers } = planMemory(tensors, new RuleFacts(strategies), merger.resources)
  return {
    merge: resolved.merge,
    seed: resolved.seed,
    inputs: resolved.inputs.map(({ candidate, role }) => ({
      content: candidate.content,
      label: candidate.ref,
      ...(role !== undefined && { role }),
    })),
    tensors,
    tileBytes,
    maskBytes,
    workers,
  }
}

async function runTask(
  task: MergeTask,
  claims: readonly TensorOutcome[],
  { journal }: OutputDirectory,
  context: LocalContext,
  out: string,
  watch: LocalWatch,
): Promise<readonly TensorOutcome[]> {
  const taken = await takeOver(task, claims, context, out, watch)
  await journal.begin(taken)
  const names = new Set(taken.map(({ name }) => name))
  const left = { ...task, tensors: task.tensors.filter(({ name }) => !names.has(name)) }
  const total = taskBytes(task)
  const before = total - taskBytes(left)
  if (taken.length > 0) watch.onResume?.({ tensors: taken.length, bytes: before })
  const tell = (done: number) =>
    watch.onProgress?.({ phase: 'merging', what: out, bytes_done: before + done, bytes_total: total })
  if (left.tensors.length === 0) return (tell(0), taken)
  const { measures, merger } = context
  const computed = await merger.merge(measures ? await measures.recall(left) : left, {
    ...(watch.signal && { signal: watch.signal }),
    onProgress: tell,
    onTensor: (outcome) => journal.add(outcome),
  })
  await measures?.keep(computed)
  return [...taken, ...computed]
}

/** Nothing goes on when this fails. */
async function settled<T extends readonly unknown[]>(all: { readonly [I in keyof T]: Promise<T[I]> }): Promise<T> {
  await Promise.allSettled(all)
  return Promise.all(all) as Promise<unknown> as Promise<T>
}

const identities = async ({ all }: Sources): Promise<ReadonlyMap<string, string>> => {
  const found = new Map<string, string>()
  for (const { checkpoint } of all)
    for (const { location } of checkpoint.weights) found.set(location, (await identityOf(location)).text)
  return found
}

/** The statement names what was hashed; what was merged must be the same bytes. */
async function refuseChanged(sources: Sources, before: ReadonlyMap<string, string>): Promise<void> {
  for (const [location, text] of await identities(sources)) if (before.get(location) !== text) throw changed(location)
}

async function checkSpace(out: string, weights: OutputWeights, claims: readonly TensorOutcome[]): Promise<void> {
  const free = await freeBytesAt(out)
  const here = claims.reduce((sum, { name }) => sum + (weights.has(name) ? weights.place(name).bytes : 0), 0)
  const wanted = Math.max(0, weights.bytes - here) + SPARE_BYTES
  if (free >= wanted) return
  throw new TributaryError('DISK_FULL', `${shown(out)} needs ${wanted} bytes, and ${free} are free there`, {
    details: { needed: wanted, free },
    hint: 'free space, or choose a directory on another disk with --out',
  })
}

/** Paths stay on this machine: a receipt that travels names models by content. */
function aboutOf(
  statement: StatementId,
  files: readonly (readonly [string, string])[],
  resolved: Resolved,
  digested: ReadonlyMap<Source, Digested>,
  { now, program, machine }: LocalContext,
): About {
  const spelled = [...digested].flatMap(([{ refs }, { manifest }]) => refs.map((ref) => ({ ref, ...manifest })))
  spelled.sort((a, b) => b.ref.length - a.ref.length) // a path may begin another
  const byContent = (text: string) =>
    spelled.reduce((said, { ref, content }) => said.replaceAll(ref, `model ${content.slice(0, 12)}`), text)
  const warnings = resolved.warnings.map(byContent)
  const excluded = resolved.leftOut.map(({ ref, why }) => [byContent(ref), byContent(why)] as const)
  return {
    v: 1,
    statement,
    created_at: now().toISOString(),
    program,
    machine,
    ...(excluded.length > 0 && { excluded }),
    ...(warnings.length > 0 && { warnings }),
    files,
    signed: false,
    signatures: [],
  }
}

function viewOf(
  out: string,
  sources: Sources,
  resolved: Resolved,
  receipt: Receipt,
  weights: OutputWeights,
): LocalMerge {
  const { statement, about } = receipt
  const { base } = resolved
  const paths = [
    ...weights.shards.map(({ path }) => path),
    ...(weights.index ? [weights.index[0]] : []),
    ...[...statement.output.files, ...(about.files ?? [])].map(([path]) => path),
    RECEIPT_PATH,
    SOURCES_PATH,
  ]
  return {
    id: resolved.merge,
    recipe_id: resolved.recipeId,
    strategy: resolved.strategy.id,
    out,
    content: statement.output.content,
    tensors: statement.output.tensors.length,
    bytes: statement.output.tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    files: paths.sort(),
    inputs: resolved.inputs.map(({ candidate, record }) => ({
      ref: candidate.ref,
      content: candidate.content,
      weight: record['weight'] as string,
    })),
    ...(base && { base: { ref: base.ref, content: base.content } }),
    left_out: resolved.leftOut,
    warnings: [...sources.loaded.notes, ...resolved.warnings],
    receipt,
  }
}
