/** A finished merge, whose tensors are in the store, becomes a model with a receipt: model, receipt and job in one commit. */
import { createHash } from 'node:crypto'
import { base64url, utf8 } from '../core/bytes.ts'
import { TributaryError } from '../core/errors.ts'
import { type FileDigest, type ModelId, parseFileDigest } from '../core/ids.ts'
import { type About, aboutBytes, aboutIdOf, type Statement, statementBytes, statementIdOf } from '../core/receipt.ts'
import { sign } from '../core/signature.ts'
import { carriedIn, CONFIG_PATH, describedFiles, outputFilesOf, statedFiles } from '../merging/output-files.ts'
import { statementOf } from '../merging/statement.ts'
import type { TensorOutcome } from '../merging/task.ts'
import type { MergeJob } from '../storage/job-repository.ts'
import { INDEX_PATH } from '../tensors/checkpoint.ts'
import type { ManifestTensor } from '../tensors/manifest.ts'
import { planShards } from '../tensors/shards.ts'
import { type Context, isoTime } from './context.ts'
import { proofsAmong } from './contributions.ts'
import type { ModelIngest } from './model-ingest.ts'
import { findManifest } from './models.ts'
import { storedHeader, wholeFile } from './outputs.ts'
import type { Selected } from './selection.ts'

export async function keepOutput(
  context: Context,
  job: MergeJob,
  { resolved, base, modelOf, filesFrom, request }: Selected,
  outcomes: readonly TensorOutcome[],
  ingest: ModelIngest,
): Promise<void> {
  const { storage, now } = context
  const sources = [filesFrom, base, ...modelOf.values()].flatMap((id) => (id ? [findManifest(context, id)] : []))
  const sizeOf = new Map(
    sources.flatMap((manifest) => manifest?.files.map(({ sha256, bytes }) => [sha256, bytes] as const) ?? []),
  )
  const config = carriedIn(resolved).find(([path]) => path === CONFIG_PATH)
  const files = outputFilesOf(resolved, config && (await readFile(context, parseFileDigest(config[1]))))
  const statement = statementOf({ resolved, outcomes, files: statedFiles(files) })
  // a statement spells dtypes as text; these came from the alignment
  const tensors = statement.output.tensors as readonly ManifestTensor[]
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
  const about = aboutOf(context, job, statement, resolved, {
    contributions: request.contributions,
    files: describedFiles(files),
    sha256: await fileDigest(context, tensors),
  })
  await ingest.finish([], ({ model }) => {
    const output = model as ModelId
    // a merge that was cancelled holds its inputs no longer: what its output names may be gone
    if (!storage.jobs.finish(job.id, output, now())) throw cancelled(job)
    storage.receipts.put({
      merge: job.id,
      statement: statementBytes(statement),
      statementId: statementIdOf(statement),
      about: aboutBytes(about),
      aboutId: aboutIdOf(about),
      createdAtMs: now(),
    })
    storage.pins.hold({ kind: 'output', id: job.id }, { models: [output] })
    storage.pins.release({ kind: 'job', id: job.id })
  })
}

const cancelled = ({ id }: MergeJob) =>
  new TributaryError('MERGE_CANCELLED', `the merge ${id} was cancelled while its output was kept`)

async function readFile({ storage }: Context, digest: FileDigest): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of storage.blobs.read({ kind: 'file', digest })) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** SHA-256 of the output as one file: what a download is checked against. */
async function fileDigest({ storage }: Context, tensors: readonly ManifestTensor[]): Promise<string> {
  const { header, segments } = wholeFile(tensors)
  const hash = createHash('sha256')
  for (const segment of segments)
    if (segment.kind === 'length') hash.update(segment.bytes)
    else if (segment.kind === 'header') hash.update(header)
    else
      for await (const chunk of storage.blobs.read({ kind: 'tensor', digest: segment.tensor.root })) hash.update(chunk)
  return hash.digest('hex')
}

function aboutOf(
  context: Context,
  job: MergeJob,
  statement: Statement,
  { inputs, leftOut, warnings }: Selected['resolved'],
  {
    contributions,
    files,
    sha256,
  }: {
    readonly contributions: readonly string[]
    readonly files: readonly (readonly [string, string])[]
    readonly sha256: string
  },
): About {
  const { key, version, now } = context
  // what was visible when the merge was asked for: the space may have moved on since
  const proofOf = proofsAmong(contributions)
  const proofs = inputs.flatMap(({ candidate: { contribution, content } }) =>
    contribution === undefined ? [] : [{ id: contribution, content, ...proofOf(contribution) }],
  )
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
    files,
    output_sha256: sha256,
    signed: true,
    signatures: [[key.rid, base64url(sign('receipt', statementBytes(statement), key))]],
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
