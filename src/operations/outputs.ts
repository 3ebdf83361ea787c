/** The output of a merge as one safetensors file, however many shards it is stored as. */
import { utf8 } from '../core/bytes.ts'
import { sha256Hex } from '../core/digest.ts'
import type { FileDigest, MergeId, ModelId } from '../core/ids.ts'
import { at } from '../core/invariant.ts'
import { parseReceiptParts } from '../core/receipt.ts'
import type { ManifestTensor } from '../tensors/manifest.ts'
import { LENGTH_WORD_BYTES, lengthWord, writeHeader } from '../tensors/safetensors.ts'
import type { Segment } from '../tensors/segments.ts'
import { planShards } from '../tensors/shards.ts'
import type { Context } from './context.ts'
import { manifestOf, readingOf } from './models.ts'
import type { FileReading } from './operations.ts'

/** The JSON of a header, without the length word before it. */
export const storedHeader = (tensors: readonly ManifestTensor[]): Uint8Array =>
  writeHeader(tensors).subarray(LENGTH_WORD_BYTES)

export function wholeFile(all: readonly ManifestTensor[]): {
  readonly header: Uint8Array
  readonly segments: readonly Segment[]
} {
  const { tensors } = at(planShards(all).shards, 0)
  const header = storedHeader(tensors)
  const dataStart = LENGTH_WORD_BYTES + header.length
  const segments: Segment[] = [
    { kind: 'length', begin: 0, end: LENGTH_WORD_BYTES, bytes: lengthWord(header.length) },
    { kind: 'header', begin: LENGTH_WORD_BYTES, end: dataStart, header: sha256Hex(header) as FileDigest },
  ]
  let begin = dataStart
  for (const tensor of tensors) {
    segments.push({ kind: 'tensor', begin, end: begin + tensor.bytes, tensor })
    begin += tensor.bytes
  }
  return { header, segments }
}

export function outputReading(context: Context, merge: MergeId, output: ModelId): FileReading {
  const { header, segments } = wholeFile(manifestOf(context, output).tensors)
  const receipt = context.storage.receipts.find(merge)
  const sha256 = receipt && parseReceiptParts(receipt.statement, receipt.about).about.output_sha256
  const etag = sha256 ?? sha256Hex(utf8(`${output}/model.safetensors`))
  return readingOf(context, segments, etag, { header, ...(sha256 !== undefined && { sha256 }) })
}
