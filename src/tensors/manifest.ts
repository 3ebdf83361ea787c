/**
 * A model by content. Its **content root** names the weights alone: names, dtypes, shapes and bytes, in whatever files
 * and order they lie. Its **model id** names the manifest: the same weights together with the other files and the layout,
 * so that what was uploaded can be given back byte for byte.
 */
import { compareUtf8, hex, utf8 } from '../core/bytes.ts'
import {
  type Canonical,
  canonicalBytes,
  checkCanonical,
  isRecord,
  parseCanonical,
  SIZE_LIMITS,
} from '../core/canonical.ts'
import { digestOf, DOMAINS } from '../core/digest.ts'
import { TributaryError } from '../core/errors.ts'
import { type ContentRoot, type FileDigest, isHex64, type ModelId, type TensorRoot } from '../core/ids.ts'
import { leafHash, treeHead } from '../core/merkle.ts'
import { isDtype } from './dtypes.ts'
import { checkModelPath, checkTensorName, shown, sortByUtf8 } from './names.ts'
import { DIMENSIONS_MAX, tensorBytesOf, TENSORS_MAX, type TensorShape } from './safetensors.ts'

export interface ManifestTensor extends TensorShape {
  readonly bytes: number
  readonly root: TensorRoot
}

/** A file beside the weights. */
export interface ManifestFile {
  readonly path: string
  readonly bytes: number
  readonly sha256: FileDigest
}

/** A safetensors file: SHA-256 of its header's JSON with the padding, and the names of its tensors by offset. */
export interface ManifestLayout {
  readonly path: string
  readonly header: FileDigest
  readonly order: readonly string[]
}

export interface Manifest {
  readonly v: 1
  readonly content: ContentRoot
  /** By UTF-8 bytes of name. */
  readonly tensors: readonly ManifestTensor[]
  /** By UTF-8 bytes of path, as is `layout`. */
  readonly files: readonly ManifestFile[]
  readonly layout: readonly ManifestLayout[]
}

/** What a tensor's leaf in the content tree holds. */
export type ContentTensor = TensorShape & { readonly root: TensorRoot }

/** The canonical form is spelled out here: models have many thousands of tensors. Only what names need is left to check. */
export function contentLeafOf({ name, dtype, shape, root }: ContentTensor): Uint8Array {
  checkCanonical(name)
  checkCanonical(shape)
  const fields = `"dtype":"${dtype}","name":${JSON.stringify(name)},"root":"${root}","shape":[${shape.join(',')}]`
  return leafHash(utf8(`${DOMAINS.tensor}\0{${fields}}`))
}

/** The same for every order of the list, every sharding, every header. */
export function contentRootOf(tensors: readonly ContentTensor[]): ContentRoot {
  return hex(treeHead(sortByUtf8(tensors, ({ name }) => name).map(contentLeafOf))) as ContentRoot
}

export function makeManifest(parts: {
  readonly tensors: readonly ManifestTensor[]
  readonly files: readonly ManifestFile[]
  readonly layout: readonly ManifestLayout[]
}): Manifest {
  const manifest: Manifest = {
    v: 1,
    content: contentRootOf(parts.tensors),
    // field by field: what else a caller's records carry must not enter the digest
    tensors: sortByUtf8(parts.tensors, ({ name }) => name).map(({ name, dtype, shape, bytes, root }) => ({
      name,
      dtype,
      shape,
      bytes,
      root,
    })),
    files: sortByUtf8(parts.files, ({ path }) => path).map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 })),
    layout: sortByUtf8(parts.layout, ({ path }) => path).map(({ path, header, order }) => ({ path, header, order })),
  }
  checkForm(manifest)
  return manifest
}

export const manifestBytes = (manifest: Manifest): Uint8Array => canonicalBytes(manifest as unknown as Canonical)

/** Digest of the whole manifest. */
export const modelIdOf = (manifest: Manifest): ModelId => digestOf<ModelId>('model', manifest as unknown as Canonical)

/** Checks all that can be checked without the tensors' bytes: form, order, sizes, content root, and the layout's sums. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const record = recordOf(parseCanonical(bytes, SIZE_LIMITS.manifest), '', [
    'v',
    'content',
    'tensors',
    'files',
    'layout',
  ])
  if (record['v'] !== 1) throw invalid('its version is not 1', '/v')
  if (typeof record['content'] !== 'string') throw invalid('its content is not an id', '/content')
  const manifest: Manifest = {
    v: 1,
    content: record['content'] as ContentRoot,
    tensors: listOf(record['tensors'], '/tensors', parseTensor),
    files: listOf(record['files'], '/files', parseFile),
    layout: listOf(record['layout'], '/layout', parseLayout),
  }
  checkManifest(manifest)
  return manifest
}

const invalid = (why: string, pointer: string): TributaryError =>
  new TributaryError('MANIFEST_INVALID', `this is no manifest: ${why}`, {
    pointer,
    hint: 'fetch the manifest again from another source, or push the model anew',
  })

function recordOf(value: unknown, pointer: string, keys: readonly string[]): Record<string, unknown> {
  if (!isRecord(value)) throw invalid('not a record', pointer)
  const given = Object.keys(value)
  if (given.length !== keys.length || !keys.every((key) => Object.hasOwn(value, key)))
    throw invalid(`it has the fields ${given.map(shown).join(', ')} where ${keys.join(', ')} are wanted`, pointer)
  return value
}

function listOf<T>(value: unknown, pointer: string, parse: (item: unknown, pointer: string) => T): T[] {
  if (!Array.isArray(value)) throw invalid('not a list', pointer)
  return value.map((item, i) => parse(item, `${pointer}/${i}`))
}

function hashOf<Id extends string>(value: unknown, pointer: string): Id {
  if (typeof value !== 'string' || !isHex64(value)) throw invalid('not 64 lowercase hex digits', pointer)
  return value as Id
}

function textOf(value: unknown, pointer: string): string {
  if (typeof value !== 'string') throw invalid('not text', pointer)
  return value
}

function countOf(value: unknown, pointer: string): number {
  if (typeof value !== 'number' || value < 0) throw invalid('not a whole number from 0', pointer)
  return value
}

function parseTensor(item: unknown, pointer: string): ManifestTensor {
  const record = recordOf(item, pointer, ['name', 'dtype', 'shape', 'bytes', 'root'])
  const dtype = textOf(record['dtype'], `${pointer}/dtype`)
  if (!isDtype(dtype)) throw invalid(`unknown dtype ${shown(dtype)}`, `${pointer}/dtype`)
  const shape = listOf(record['shape'], `${pointer}/shape`, countOf)
  if (shape.length > DIMENSIONS_MAX) throw invalid(`more than ${DIMENSIONS_MAX} dimensions`, `${pointer}/shape`)
  return {
    name: textOf(record['name'], `${pointer}/name`),
    dtype,
    shape,
    bytes: countOf(record['bytes'], `${pointer}/bytes`),
    root: hashOf(record['root'], `${pointer}/root`),
  }
}

function parseFile(item: unknown, pointer: string): ManifestFile {
  const record = recordOf(item, pointer, ['path', 'bytes', 'sha256'])
  return {
    path: textOf(record['path'], `${pointer}/path`),
    bytes: countOf(record['bytes'], `${pointer}/bytes`),
    sha256: hashOf(record['sha256'], `${pointer}/sha256`),
  }
}

function parseLayout(item: unknown, pointer: string): ManifestLayout {
  const record = recordOf(item, pointer, ['path', 'header', 'order'])
  return {
    path: textOf(record['path'], `${pointer}/path`),
    header: hashOf(record['header'], `${pointer}/header`),
    order: listOf(record['order'], `${pointer}/order`, textOf),
  }
}

function checkSorted(keys: readonly string[], pointer: string): void {
  for (let i = 1; i < keys.length; i++) {
    const order = keys[i - 1] === keys[i] ? 0 : compareUtf8(keys[i - 1] ?? '', keys[i] ?? '')
    if (order === 0) throw invalid(`${shown(keys[i] ?? '')} stands twice`, `${pointer}/${i}`)
    if (order > 0) throw invalid(`${shown(keys[i] ?? '')} is out of order`, `${pointer}/${i}`)
  }
}

function checkManifest(manifest: Manifest): void {
  checkForm(manifest)
  if (contentRootOf(manifest.tensors) !== manifest.content)
    throw new TributaryError('DIGEST_MISMATCH', "the manifest's content root is not that of its tensors", {
      pointer: '/content',
    })
}

function checkForm({ tensors, files, layout }: Manifest): void {
  if (tensors.length > TENSORS_MAX)
    throw new TributaryError('TOO_MANY_TENSORS', `${tensors.length} tensors, where at most ${TENSORS_MAX} are allowed`)
  checkSorted(
    tensors.map(({ name }) => name),
    '/tensors',
  )
  checkSorted(
    files.map(({ path }) => path),
    '/files',
  )
  checkSorted(
    layout.map(({ path }) => path),
    '/layout',
  )
  for (const [i, tensor] of tensors.entries()) {
    checkTensorName(tensor.name)
    const bytes = tensorBytesOf(tensor)
    if (tensor.bytes !== bytes)
      throw invalid(
        `tensor ${shown(tensor.name)} says ${tensor.bytes} bytes where its shape and dtype take ${bytes}`,
        `/tensors/${i}/bytes`,
      )
  }
  for (const { path } of [...files, ...layout]) checkModelPath(path)
  checkLayout(tensors, files, layout)
}

/** Every tensor lies in exactly one file, and no path is both a file and a layout. */
function checkLayout(
  tensors: readonly ManifestTensor[],
  files: readonly ManifestFile[],
  layout: readonly ManifestLayout[],
): void {
  const paths = new Set(files.map(({ path }) => path))
  const open = new Set(tensors.map(({ name }) => name))
  for (const [i, { path, order }] of layout.entries()) {
    if (paths.has(path)) throw invalid(`${shown(path)} is both a file and a layout`, `/layout/${i}/path`)
    for (const [j, name] of order.entries())
      if (!open.delete(name))
        throw invalid(`the layout has ${shown(name)} twice, or no tensor is called so`, `/layout/${i}/order/${j}`)
  }
  const [lost] = open
  if (lost !== undefined) throw invalid(`tensor ${shown(lost)} lies in no file of the layout`, '/layout')
}
