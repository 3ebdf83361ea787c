/** A stored safetensors file as the pieces it is made of, so that any byte range of it can be served without the file. */
import { sha256Hex } from '../core/digest.ts'
import { TributaryError } from '../core/errors.ts'
import type { FileDigest } from '../core/ids.ts'
import { at, invariant } from '../core/invariant.ts'
import type { Manifest, ManifestLayout, ManifestTensor } from './manifest.ts'
import { shown } from './names.ts'
import { LENGTH_WORD_BYTES, lengthWord, parseStored, type SafetensorsHeader } from './safetensors.ts'

/** `begin` and `end` count from the start of the file. */
interface Span {
  readonly begin: number
  readonly end: number
}
export type Segment =
  | (Span & { readonly kind: 'length'; readonly bytes: Uint8Array })
  | (Span & { readonly kind: 'header'; readonly header: FileDigest })
  | (Span & { readonly kind: 'tensor'; readonly tensor: ManifestTensor })

export function findLayout(manifest: Manifest, path: string): ManifestLayout | undefined {
  return manifest.layout.find((layout) => layout.path === path)
}

function layoutOf(manifest: Manifest, path: string): ManifestLayout {
  const layout = findLayout(manifest, path)
  if (layout !== undefined) return layout
  throw new TributaryError('FILE_NOT_FOUND', `the model has no safetensors file ${shown(path)}`, {
    hint: `it has ${manifest.layout.map((one) => shown(one.path)).join(', ')}`,
  })
}

/** Length word, header (of `headerBytes` bytes with its padding) and tensors by offset, gapless from 0 to the file's end. */
export function segmentsOf(manifest: Manifest, path: string, headerBytes: number): readonly Segment[] {
  const layout = layoutOf(manifest, path)
  const tensors = new Map(manifest.tensors.map((tensor) => [tensor.name, tensor]))
  const dataStart = LENGTH_WORD_BYTES + headerBytes
  const segments: Segment[] = [
    { kind: 'length', begin: 0, end: LENGTH_WORD_BYTES, bytes: lengthWord(headerBytes) },
    { kind: 'header', begin: LENGTH_WORD_BYTES, end: dataStart, header: layout.header },
  ]
  let begin = dataStart
  for (const name of layout.order) {
    const tensor = tensors.get(name)
    invariant(tensor !== undefined, 'a checked manifest has every tensor of its layout')
    segments.push({ kind: 'tensor', begin, end: begin + tensor.bytes, tensor })
    begin += tensor.bytes
  }
  return segments
}

/** The segments that share bytes with `begin` to `end`; those without bytes never do. */
export const segmentsWithin = (segments: readonly Segment[], begin: number, end: number): readonly Segment[] =>
  segments.filter((segment) => Math.max(segment.begin, begin) < Math.min(segment.end, end))

/** Does this stored header belong to that file of the model? Its digest, and what it says of the tensors, must agree. */
export function checkStoredHeader(manifest: Manifest, path: string, stored: Uint8Array): SafetensorsHeader {
  const { header: expected, order } = layoutOf(manifest, path)
  const actual = sha256Hex(stored)
  if (actual !== expected)
    throw new TributaryError('DIGEST_MISMATCH', `the header of ${shown(path)} is ${actual}, not ${expected}`)
  const header = parseStored(stored)
  const tensors = new Map(manifest.tensors.map((tensor) => [tensor.name, tensor]))
  const same =
    header.tensors.length === order.length &&
    header.tensors.every(({ name, dtype, shape }, i) => {
      const tensor = tensors.get(name)
      return name === at(order, i) && tensor?.dtype === dtype && String(tensor.shape) === String(shape)
    })
  if (!same)
    throw new TributaryError(
      'MANIFEST_INVALID',
      `the header of ${shown(path)} describes other tensors than the manifest does`,
      { hint: 'push the model anew' },
    )
  return header
}
