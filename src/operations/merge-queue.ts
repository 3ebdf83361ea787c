/**
 * Runs the merges of this replica, one at a time, off the main thread. A job is in the database before it is acknowledged
 * and its output is named there only once it is durable; what a crash interrupts begins again at the next start.
 */
import { base64url, utf8 } from '../core/bytes.ts'
import { createHash } from 'node:crypto'
import { isTributaryError, TributaryError } from '../core/errors.ts'
import { type FileDigest, type MergeId, type ModelId, parseFileDigest, type TensorRoot } from '../core/ids.ts'
import { at, invariant } from '../core/invariant.ts'
import { type About, type Statement, aboutBytes, aboutIdOf, statementBytes, statementIdOf } from '../core/receipt.ts'
import { sign } from '../core/signature.ts'
import { buildTask } from '../merging/build-task.ts'
import { tileBytesOf } from '../merging/memory.ts'
import { CONFIG_PATH, carriedIn, outputFilesOf } from '../merging/output-files.ts'
import { statementOf } from '../merging/statement.ts'
import { type MergeTask, taskBytes, type TensorOutcome, type TensorSlice } from '../merging/task.ts'
import type { OutputTensor, Source } from '../recipes/align.ts'
import type { Temporary } from '../storage/blob-store.ts'
import type { MergeJob } from '../storage/job-repository.ts'
import { INDEX_PATH } from '../tensors/checkpoint.ts'
import type { ManifestTensor } from '../tensors/manifest.ts'
import { tensorBytesOf } from '../tensors/safetensors.ts'
import { planShards } from '../tensors/shards.ts'
import { type Context, isoTime } from './context.ts'
import { proofIn } from './contributions.ts'
import { ModelIngest } from './model-ingest.ts'
import { findManifest } from './models.ts'
import { storedHeader, wholeFile } from './outputs.ts'
import { parseRequest, type Selected, selected } from './selection.ts'
import type { SpaceBook } from './space-book.ts'

const PROGRESS_EVERY_MS = 1000

export class MergeQueue {
  readonly #context: Context
  readonly #book: SpaceBook
  #running: { readonly id: MergeId; readonly abort: AbortController } | undefined
  #loop: Promise<void> | undefined
  #stopping = false

  constructor(context: Context, book: SpaceBook) {
    this.#context = context
    this.#book = book
  }

  /** Everything that can be refused before a byte is read; answers the bytes of the output. */
  check(selection: Selected): number {
    const { alignment } = selection.resolved
    if (alignment === undefined) return 0 // what is missing blocks it
    const unplaced = (tensor: OutputTensor) => ({ path: '', offset: 0, bytes: tensorBytesOf(tensor) })
    return taskBytes(this.#taskOf(selection, unplaced, () => ''))
  }

  /** What the job reads stays while it waits and runs. */
  hold({ resolved, modelOf, base, filesFrom }: Selected): void {
    const models = [...modelOf.values(), ...(base ? [base] : []), ...(filesFrom ? [filesFrom] : [])]
    this.#context.storage.pins.hold({ kind: 'job', id: resolved.merge }, { models })
  }

  /** After a start: nothing can be running. */
  recover(): void {
    this.#context.storage.jobs.recover(this.#context.now())
    this.wake()
  }

  wake(): void {
    if (this.#loop !== undefined || this.#stopping) return
    this.#loop = this.#drain().finally(() => {
      this.#loop = undefined
      if (!this.#stopping && this.#context.storage.jobs.countByState().queued > 0) this.wake()
    })
  }

  stopRunning(id: MergeId): void {
    if (this.#running?.id === id) this.#running.abort.abort()
  }

  /** Resolves when nothing is running any more. */
  async idle(): Promise<void> {
    while (this.#loop !== undefined) await this.#loop
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#running?.abort.abort()
    await this.#loop
  }

  #isStopping(): boolean {
    return this.#stopping
  }

  async #drain(): Promise<void> {
    const { storage, now, report } = this.#context
    for (;;) {
      if (this.#stopping) return
      let job: MergeJob | undefined
      try {
        job = storage.jobs.claimNext(now())
        if (job === undefined) return
        await this.#run(job)
      } catch (error) {
        report('merge', error)
        if (job === undefined || this.#isStopping()) return // queued again at the next start
        this.#settle(job, error)
      }
    }
  }

  /** A merge that can't be done says why. Even that may fail, on a disk that is full: then the next start tries again. */
  #settle({ id }: MergeJob, error: unknown): void {
    const { storage, now, report } = this.#context
    const known = isTributaryError(error)
    const { code, message, hint } = known
      ? error
      : { code: 'INTERNAL', message: 'the merge failed by a fault of this program', hint: 'see the log' }
    try {
      storage.transact(() => {
        const missing = known ? error.details['missing'] : undefined
        if (code === 'BYTES_MISSING' && Array.isArray(missing))
          storage.jobs.block(id, JSON.stringify({ code, message, missing }), now())
        else storage.jobs.fail(id, JSON.stringify({ code, message, ...(hint !== undefined && { hint }) }), now())
        storage.pins.release({ kind: 'job', id })
      })
    } catch (second) {
      report('merge', second)
    }
  }

  async #run(job: MergeJob): Promise<void> {
    const abort = new AbortController()
    this.#running = { id: job.id, abort }
    const ingest = new ModelIngest(this.#context)
    const temporaries: Temporary[] = []
    try {
      const selection = selected(this.#context, parseRequest(job.request))
      invariant(selection.resolved.merge === job.id, 'a request resolves to the merge it was made for')
      this.#refuseRevoked(job, selection)
      if (selection.missing.length > 0)
        throw new TributaryError('BYTES_MISSING', `the bytes of ${selection.missing.length} models are not here`, {
          details: { missing: selection.missing },
        })
      const outcomes = await this.#merge(job, selection, temporaries, abort.signal)
      await this.#keep(job, selection, outcomes, temporaries, ingest)
    } catch (error) {
      await ingest.discard()
      for (const { id } of temporaries) await this.#context.storage.blobs.discardTemporary(id).catch(() => undefined) // swept later
      if (abort.signal.aborted && !this.#stopping) return // it was cancelled, and is so in the database
      throw error
    } finally {
      this.#running = undefined
    }
  }

  /** Content that was revoked while the job waited is not merged. */
  #refuseRevoked(job: MergeJob, { resolved: { inputs, base } }: Selected): void {
    const { revoked } = this.#book.state(job.space)
    const found = [...inputs.map(({ candidate }) => candidate), ...(base ? [base] : [])].find(({ content }) =>
      revoked.has(content),
    )
    if (found)
      throw new TributaryError('CONTENT_REVOKED', `${found.ref} was withdrawn for ever while the merge waited`, {
        hint: 'ask for the merge again without it',
      })
  }

  async #merge(
    job: MergeJob,
    selection: Selected,
    temporaries: Temporary[],
    signal: AbortSignal,
  ): Promise<readonly TensorOutcome[]> {
    const { storage, merger, now } = this.#context
    const outputs = selection.resolved.alignment?.tensors ?? []
    temporaries.push(...outputs.map(() => storage.blobs.reserve()))
    for (const { id } of temporaries) await (await storage.blobs.openTemporary(id)).close()
    let next = 0
    const task = this.#taskOf(
      selection,
      (tensor) => ({ path: at(temporaries, next++).path, offset: 0, bytes: tensorBytesOf(tensor) }),
      (root) => storage.blobs.locate({ kind: 'tensor', digest: root as TensorRoot }),
    )
    let told = now()
    const onProgress = (bytesDone: number) => {
      if (now() - told < PROGRESS_EVERY_MS) return
      told = now()
      try {
        storage.jobs.progress(job.id, bytesDone, told)
      } catch (error) {
        this.#context.report('merge progress', error) // telling it again later is as good
      }
    }
    return merger.merge(task, { signal, onProgress })
  }

  #taskOf(
    { resolved, modelOf, base }: Selected,
    target: Parameters<typeof buildTask>[0]['target'],
    pathOf: (root: string) => string,
  ): MergeTask {
    const tables = new Map<string, ReadonlyMap<string, TensorSlice>>()
    const tableOf = (model: ModelId): ReadonlyMap<string, TensorSlice> => {
      let table = tables.get(model)
      if (table === undefined) {
        const manifest = findManifest(this.#context, model)
        invariant(manifest, 'a model of the task is here')
        table = new Map(
          manifest.tensors.map(({ name, root, bytes, dtype }) => [
            name,
            { path: pathOf(root), offset: 0, bytes, dtype },
          ]),
        )
        tables.set(model, table)
      }
      return table
    }
    const modelAt = (source: Source): ModelId => {
      const model = source === 'base' ? base : modelOf.get(at(resolved.inputs, source).candidate.content)
      invariant(model, 'every stream of the task comes from a stored model')
      return model
    }
    const task = buildTask(
      {
        resolved,
        locate: (source, tensor) => {
          const slice = tableOf(modelAt(source)).get(tensor)
          invariant(slice, `${tensor} is in the model that is aligned to have it`)
          return slice
        },
        target,
      },
      this.#context.limits.tileBytes,
    )
    return { ...task, tileBytes: Math.min(task.tileBytes, tileBytesOf(task.tensors)) }
  }

  /** Publishes the output, and commits model, receipt and job together. */
  async #keep(
    job: MergeJob,
    { resolved, base, modelOf, filesFrom, request }: Selected,
    outcomes: readonly TensorOutcome[],
    temporaries: readonly Temporary[],
    ingest: ModelIngest,
  ): Promise<void> {
    const { storage, now } = this.#context
    const sources = [filesFrom, base, ...modelOf.values()].flatMap((id) =>
      id ? [findManifest(this.#context, id)] : [],
    )
    const sizeOf = new Map(
      sources.flatMap((manifest) => manifest?.files.map(({ sha256, bytes }) => [sha256, bytes] as const) ?? []),
    )
    const config = carriedIn(resolved).find(([path]) => path === CONFIG_PATH)
    const files = outputFilesOf(resolved, config && (await this.#readFile(parseFileDigest(config[1]))))
    const statement = statementOf({ resolved, outcomes, files: files.map(({ path, sha256 }) => [path, sha256]) })
    // a statement spells dtypes as text; these came from the alignment
    const tensors = statement.output.tensors as readonly ManifestTensor[]
    const written = new Map(outcomes.map((outcome, i) => [outcome.name, at(temporaries, i)]))
    const sealed = tensors.map((tensor) => ({
      name: { kind: 'tensor', digest: tensor.root } as const,
      bytes: tensor.bytes,
      temporary: written.get(tensor.name)!.id,
    }))
    storage.pins.claim(sealed.map(({ name }) => name))
    await storage.blobs.adopt(sealed)
    for (const tensor of tensors) ingest.addKnownTensor(tensor)
    const out = resolved.recipe['out'] as { shard_bytes: number }
    const { shards, index } = planShards(tensors, out.shard_bytes)
    for (const shard of shards)
      await ingest.addHeader(
        shard.path,
        storedHeader(shard.tensors),
        shard.tensors.map(({ name }) => name),
      )
    for (const file of files)
      if (file.kind === 'written') await ingest.addFile(file.path, once(file.bytes))
      else {
        const sha256 = parseFileDigest(file.sha256)
        ingest.addKnownFile({ path: file.path, bytes: sizeOf.get(sha256) ?? 0, sha256 })
      }
    if (index !== undefined) await ingest.addFile(INDEX_PATH, once(utf8(index)))
    const about = this.#aboutOf(job, statement, request.contributions, resolved, await this.#fileDigest(tensors))
    await ingest.finish([], ({ model }) => {
      const output = model as ModelId
      storage.receipts.put({
        merge: job.id,
        statement: statementBytes(statement),
        statementId: statementIdOf(statement),
        about: aboutBytes(about),
        aboutId: aboutIdOf(about),
        createdAtMs: now(),
      })
      if (storage.jobs.finish(job.id, output, now()))
        storage.pins.hold({ kind: 'output', id: job.id }, { models: [output] })
      storage.pins.release({ kind: 'job', id: job.id })
    })
  }

  async #readFile(digest: FileDigest): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    for await (const chunk of this.#context.storage.blobs.read({ kind: 'file', digest })) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  /** SHA-256 of the output as one file: what a download is checked against. */
  async #fileDigest(tensors: readonly ManifestTensor[]): Promise<string> {
    const { header, segments } = wholeFile(tensors)
    const hash = createHash('sha256')
    for (const segment of segments)
      if (segment.kind === 'length') hash.update(segment.bytes)
      else if (segment.kind === 'header') hash.update(header)
      else
        for await (const chunk of this.#context.storage.blobs.read({ kind: 'tensor', digest: segment.tensor.root }))
          hash.update(chunk)
    return hash.digest('hex')
  }

  #aboutOf(
    job: MergeJob,
    statement: Statement,
    contributions: readonly string[],
    { inputs, leftOut, warnings }: Selected['resolved'],
    sha256: string,
  ): About {
    const { key, version, now } = this.#context
    const state = this.#book.state(job.space)
    const current = state.root === job.root // proofs are of the root that the merge is pinned to
    const proofs = inputs.flatMap(({ candidate: { contribution, content } }) => {
      if (contribution === undefined || !current || !contributions.includes(contribution)) return []
      const { index, path } = proofIn(state, contribution as never)
      return [{ id: contribution, content, index, path }]
    })
    return {
      v: 1,
      statement: statementIdOf(statement),
      created_at: isoTime(now()),
      program: `tributary ${version}`,
      machine: `node ${process.versions.node} ${process.arch} ${process.platform}`,
      space: job.space,
      root: job.root,
      ...(proofs.length > 0 && { contributions: proofs }),
      ...(leftOut.length > 0 && { excluded: leftOut.map(({ ref, why }) => [ref, why] as const) }),
      ...(warnings.length > 0 && { warnings }),
      output_sha256: sha256,
      signed: true,
      signatures: [[key.rid, base64url(sign('receipt', statementBytes(statement), key))]],
    }
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
