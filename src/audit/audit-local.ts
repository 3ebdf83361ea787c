/**
 * Replays a merge offline from its receipt: the ids must name what they stand by, the inputs must be the ones named, every
 * tensor is computed again, and every byte of the output must be what comes out. The first difference is named.
 */
import { join } from 'node:path'
import { canonicalText, isRecord, type CanonicalRecord, type Canonical } from '../core/canonical.ts'
import { isTributaryError, TributaryError } from '../core/errors.ts'
import { NUMERIC_PROFILE } from '../core/numeric-profile.ts'
import { parseReceipt, type Receipt, type Statement } from '../core/receipt.ts'
import type { Strategy } from '../core/strategy.ts'
import type { Merger, Watch } from '../merging/merger.ts'
import { carriedIn, outputFilesOf, statedFiles } from '../merging/output-files.ts'
import { readSmallFile } from '../merging/read-checkpoint.ts'
import { statementOf } from '../merging/statement.ts'
import { taskBytes, type TensorOutcome } from '../merging/task.ts'
import { mergeIdOf, recipeIdOf, seedOf } from '../recipes/records.ts'
import type { Resolved } from '../recipes/resolve.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { contentRootOf, type ContentTensor } from '../tensors/manifest.ts'
import { isDtype } from '../tensors/dtypes.ts'
import { checkModelPath, shown } from '../tensors/names.ts'
import { type AuditDifference, type AuditReport, Difference } from './audit-report.ts'
import { directoryOf, findInputs, type FoundInputs } from './find-inputs.ts'
import { checkFiles, checkWeights, differingTensors, hasOutput, openOutput, type Output } from './read-output.ts'
import { prepareReplay, recordsOf, type Replay, resolveAgain } from './replay.ts'

export interface AuditRequest {
  /** A receipt, or a directory that holds one. */
  readonly target: string
  readonly inputs: readonly string[]
  /** A file that may be overwritten, as large as the largest tensor. */
  readonly scratch: string
}

export interface AuditContext {
  readonly files: FileSystem
  readonly merger: Merger
  readonly strategies: readonly Strategy[]
}

export interface AuditWatch extends Omit<Watch, 'onProgress'> {
  /** Of the replay, in bytes of output. */
  readonly onProgress?: (bytesDone: number, bytesTotal: number) => void
}

export async function auditLocal(
  request: AuditRequest,
  context: AuditContext,
  watch: AuditWatch = {},
): Promise<AuditReport> {
  const { files } = context
  const directory = await directoryOf(request.target, files)
  const location = directory === request.target ? join(directory, 'receipt.json') : request.target
  if ((await files.stat(location))?.kind !== 'file')
    throw new TributaryError('RECEIPT_NOT_FOUND', `there is no receipt ${shown(location)}`, {
      hint: 'name a receipt.json, or the directory of a merged model',
    })
  const audit = new Audit(context, watch)
  try {
    const receipt = readReceipt(await readSmallFile(files, location), location)
    return await audit.run(receipt, directory, request)
  } catch (error) {
    if (error instanceof Difference) return audit.report('failed', error.difference)
    throw error
  }
}

function readReceipt(bytes: Uint8Array, location: string): Receipt {
  try {
    return parseReceipt(bytes)
  } catch (error) {
    if (!isTributaryError(error)) throw error
    throw new Difference({
      what: 'receipt',
      name: location,
      expected: 'a receipt whose ids name what stands in it',
      found: 'something else',
      message: error.message,
    })
  }
}

class Audit {
  readonly #context: AuditContext
  readonly #watch: AuditWatch
  #receipt: Receipt | undefined
  #checked: AuditReport['checked'] = { inputs: 0, tensors: 0, files: 0, bytes: 0, output: false }
  #missing: AuditReport['missing'] = []
  readonly #notes: string[] = []

  constructor(context: AuditContext, watch: AuditWatch) {
    this.#context = context
    this.#watch = watch
  }

  async run(receipt: Receipt, directory: string, { inputs, scratch }: AuditRequest): Promise<AuditReport> {
    this.#receipt = receipt
    const { statement } = receipt
    const { files, merger, strategies } = this.#context
    following(() => {
      checkRecords(receipt)
      checkIds(statement)
    })
    if (!receipt.about.signed) this.#notes.push('the receipt is unsigned: it says what was merged, not who says so')
    const output = following(() => openOutput(directory, statement))
    const isHere = await hasOutput(output, files)
    if (isHere) await this.#checkOutput(output, receipt)
    else this.#notes.push('no output lies beside the receipt: the replay is held to the receipt alone')
    const differing = isHere ? await differingTensors(output, statement, merger, this.#silent()) : []
    // named now, and once more with its tile where the inputs are at hand
    const damage = differing[0] && tensorDifference(differing[0], undefined)

    const found = await findInputs({ ...this.#context, statement, directory, inputs, watch: this.#silent() })
    this.#notes.push(...found.notes)
    this.#missing = found.missing
    this.#checked = { ...this.#checked, inputs: found.byContent.size }
    if (found.missing.length > 0) return this.report(damage ? 'failed' : 'inputs_missing', damage)

    const { resolved, replay } = following(() => {
      const again = resolveAgain(statement, found.byContent, strategies)
      return { resolved: again, replay: prepareReplay(again, found.byContent, scratch, { merger, files }) }
    })
    const total = taskBytes(replay.task)
    const onProgress = (done: number) => this.#watch.onProgress?.(done, total)
    const outcomes = await replay.run({ ...this.#silent(), onProgress })
    this.#checked = { ...this.#checked, tensors: outcomes.length }
    await this.#compare(statement, resolved, outcomes, found)
    if (differing[0]) throw new Difference(await this.#withTile(differing[0], replay, output))
    return this.report('passed')
  }

  async #checkOutput(output: Output, { statement, about }: Receipt): Promise<void> {
    const { files } = this.#context
    const named = [...statement.output.files, ...(about.files ?? [])]
    await checkFiles(output, named, files)
    await checkWeights(output, files)
    this.#checked = {
      ...this.#checked,
      files: named.length,
      bytes: output.weights.bytes,
      output: true,
    }
  }

  /** Everything in the statement that the replay computes anew. */
  async #compare(
    statement: Statement,
    resolved: Resolved,
    outcomes: readonly TensorOutcome[],
    found: FoundInputs,
  ): Promise<void> {
    const roots = new Map(statement.output.tensors.map(({ name, root }) => [name, root as string]))
    for (const { name, root } of outcomes) {
      const expected = roots.get(name)
      if (expected !== root)
        throw new Difference({
          what: 'tensor',
          name,
          tensor: name,
          expected: expected ?? 'missing',
          found: root,
          message: `the replay computes other bytes for tensor ${shown(name)} than the receipt names`,
        })
    }
    const again = statementOf({ resolved, outcomes, files: await this.#filesOf(statement, resolved, found) })
    sameRecord(statement as unknown as CanonicalRecord, again as unknown as CanonicalRecord, '')
  }

  /** Files as the merge would write them. */
  async #filesOf(
    statement: Statement,
    resolved: Resolved,
    { byContent }: FoundInputs,
  ): Promise<Statement['output']['files']> {
    const config = carriedIn(resolved).find(([path]) => path === 'config.json')
    const lying = [...byContent.values()].flatMap(({ checkpoint, manifest }) =>
      manifest.files.some(({ path, sha256 }) => path === config?.[0] && sha256 === config[1])
        ? checkpoint.files.filter(({ path }) => path === 'config.json')
        : [],
    )[0]
    if (config && !lying) {
      this.#notes.push('the config.json that was carried over is not among the inputs, so it was not made again')
      return statement.output.files
    }
    const written = outputFilesOf(resolved, lying && (await readSmallFile(this.#context.files, lying.location)))
    return statedFiles(written)
  }

  async #withTile(
    differing: { readonly name: string; readonly expected: string; readonly found: string },
    replay: Replay,
    output: Output,
  ): Promise<AuditDifference> {
    const tile = await replay.firstDifferingTile(differing.name, output.slice(differing.name), this.#silent())
    return tensorDifference(differing, tile < 0 ? undefined : tile)
  }

  #silent(): Watch {
    const { signal } = this.#watch
    return { ...(signal && { signal }) }
  }

  report(verdict: AuditReport['verdict'], difference?: AuditDifference): AuditReport {
    const receipt = this.#receipt
    return {
      verdict,
      merge: receipt?.statement.merge ?? '',
      statement_id: receipt?.statement_id ?? '',
      content: receipt?.statement.output.content ?? '',
      signed: receipt?.about.signed ?? false,
      checked: this.#checked,
      ...(difference && { difference }),
      missing: this.#missing,
      notes: this.#notes,
    }
  }
}

const tensorDifference = (
  { name, expected, found }: { readonly name: string; readonly expected: string; readonly found: string },
  tile: number | undefined,
): AuditDifference => ({
  what: 'tensor',
  name,
  tensor: name,
  ...(tile !== undefined && { tile }),
  expected,
  found,
  message: `tensor ${shown(name)} of the output is not what was merged${tile === undefined ? '' : `: tile ${tile} differs`}`,
})

/** A program that lacks a strategy can't tell; whatever else the records refuse, no merge wrote. */
function following<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!isTributaryError(error) || error.code === 'AUDIT_FAILED' || error.code.startsWith('STRATEGY_')) throw error
    throw new Difference({
      what: 'statement',
      name: error.pointer ?? 'recipe',
      expected: 'records that a merge can have',
      found: error.code,
      message: `the statement describes no merge: ${error.message}`,
    })
  }
}

/** The parts of the records that are read by name here; the rest is checked where it is used. */
function checkRecords({ statement: { recipe, inputs, output }, about: { files = [] } }: Receipt): void {
  const isText = (value: unknown): value is string => typeof value === 'string'
  const isPair = (value: unknown): boolean => Array.isArray(value) && value.length === 2 && value.every(isText)
  const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value)
  const out = recipe['out']
  const fits =
    isRecord(out) &&
    isList(out['files']) &&
    out['files'].every(isPair) &&
    isText(out['dtype']) &&
    Number.isSafeInteger(out['shard_bytes']) &&
    isText(recipe['mismatch']) &&
    inputs.every(({ role }) => role === undefined || isText(role)) &&
    output.files.every(isPair) &&
    isList(files) &&
    files.every(isPair) &&
    output.tensors.every(({ dtype, shape }) => isDtype(dtype) && shape.every((n) => Number.isSafeInteger(n) && n >= 0))
  if (!fits) throw new TributaryError('RECEIPT_INVALID', 'a record is not of the form that merges write')
  for (const [path] of [...output.files, ...files]) checkModelPath(path)
}

/** Every id of the statement from what stands beside it. */
function checkIds(statement: Statement): void {
  if (statement.numeric_profile !== NUMERIC_PROFILE)
    throw new TributaryError(
      'AUDIT_FAILED',
      `the merge ran under the numeric profile ${shown(statement.numeric_profile)}, and this program computes ${NUMERIC_PROFILE}`,
      { hint: 'audit it with a version of the program that has this profile' },
    )
  const records = recordsOf(statement)
  const { tensors, content } = statement.output
  const ids = [
    ['recipe_id', statement.recipe_id, recipeIdOf(records.recipe)],
    ['merge', statement.merge, mergeIdOf(records)],
    ['seed', statement.seed, seedOf(records)],
    ['output.content', content, contentRootOf(tensors as readonly ContentTensor[])],
  ] as const
  for (const [name, found, expected] of ids) if (found !== expected) throw statementDifference(name, expected, found)
}

const statementDifference = (name: string, expected: string, found: string) =>
  new Difference({
    what: 'statement',
    name,
    expected,
    found,
    message: `the statement's ${name} is not what follows from the rest of it`,
  })

/** The first place where the receipt says something else than the replay. */
function sameRecord(given: Canonical | undefined, again: Canonical | undefined, name: string): void {
  const isBranch = (value: unknown): value is CanonicalRecord => typeof value === 'object' && value !== null
  if (!isBranch(given) || !isBranch(again)) {
    if (given === again) return
    const say = (value: Canonical | undefined) => (value === undefined ? 'missing' : canonicalText(value).slice(0, 200))
    throw statementDifference(name, say(again), say(given))
  }
  for (const key of new Set([...Object.keys(given), ...Object.keys(again)]))
    sameRecord(given[key], again[key], name === '' ? key : `${name}.${key}`)
}
