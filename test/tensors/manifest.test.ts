import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, utf8 } from '../../src/core/bytes.ts'
import { canonicalBytes } from '../../src/core/canonical.ts'
import { domainPrefix, sha256Hex } from '../../src/core/digest.ts'
import type { FileDigest, TensorRoot } from '../../src/core/ids.ts'
import { leafHash } from '../../src/core/merkle.ts'
import {
  contentLeafOf,
  contentRootOf,
  makeManifest,
  type Manifest,
  manifestBytes,
  type ManifestFile,
  modelIdOf,
  parseManifest,
} from '../../src/tensors/manifest.ts'
import { dataStartOf, parseHeader, type TensorShape, writeHeader } from '../../src/tensors/safetensors.ts'
import { checkStoredHeader, segmentsOf, segmentsWithin } from '../../src/tensors/segments.ts'
import { CHUNK_BYTES, hashTensor, TensorHasher } from '../../src/tensors/tensor-hasher.ts'
import { golden } from '../support/golden.ts'
import { refusalOf } from '../support/refusal.ts'

const vectors = golden<{
  file: string
  config: string
  manifest: string
  content: string
  model: string
  roots: Record<string, string>
}>('tensors_checkpoint')
const realFile = new Uint8Array(Buffer.from(vectors.file, 'base64'))

const pattern = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i * 31 + Math.floor(i / 251))

/** The manifest of a model that lies in these files. */
function manifestOf(stored: Record<string, Uint8Array>, others: readonly ManifestFile[] = []): Manifest {
  const read = Object.entries(stored).map(([path, bytes]) => {
    const header = parseHeader(bytes)
    const start = dataStartOf(header)
    const tensors = header.tensors.map(({ name, dtype, shape, begin, end }) => {
      const { root, bytes: size } = hashTensor(bytes.subarray(start + begin, start + end))
      return { name, dtype, shape, bytes: size, root }
    })
    const layout = {
      path,
      header: sha256Hex(bytes.subarray(8, start)) as FileDigest,
      order: tensors.map(({ name }) => name),
    }
    return { tensors, layout }
  })
  return makeManifest({
    tensors: read.flatMap(({ tensors }) => tensors),
    files: others,
    layout: read.map(({ layout }) => layout),
  })
}

type Weights = readonly (TensorShape & { readonly data: Uint8Array })[]
const fileOf = (weights: Weights, metadata?: [string, string][]): Uint8Array =>
  concat(writeHeader(weights, metadata), ...weights.map(({ data }) => data))

const WEIGHTS: Weights = [
  { name: 'a', dtype: 'BF16', shape: [2, 2], data: pattern(8) },
  { name: 'b', dtype: 'F32', shape: [3], data: pattern(12) },
  { name: 'ﬁ', dtype: 'U8', shape: [5], data: pattern(5) },
  { name: '🌊', dtype: 'F32', shape: [], data: pattern(4) },
]
const [A, B, C, D] = WEIGHTS as unknown as [Weights[0], Weights[0], Weights[0], Weights[0]]

describe('TensorHasher', () => {
  test('[MAN-1] roots of a tensor of any size are those that Python computes by RFC 9162', () => {
    for (const [size, root] of Object.entries(vectors.roots))
      expect([size, hashTensor(pattern(Number(size))).root]).toEqual([size, root])
  })

  test('[MAN-1] a tensor of no bytes has no chunk, and the root SHA-256("")', () => {
    expect(new TensorHasher().finish()).toEqual({ root: sha256Hex(), bytes: 0, leaves: [] })
  })

  test('[MAN-1] how the stream is cut does not matter, and every chunk has its leaf', () => {
    const bytes = pattern(3 * CHUNK_BYTES + 5)
    const whole = hashTensor(bytes)
    expect(whole.leaves.length).toBe(4)
    expect(whole.leaves[3]).toEqual(leafHash(bytes.subarray(3 * CHUNK_BYTES)))
    const cuts = fc.array(
      fc.oneof(
        fc.nat(bytes.length),
        fc.constantFrom(1, 2).map((n) => n * CHUNK_BYTES),
      ),
      { maxLength: 6 },
    )
    fc.assert(
      fc.property(cuts, (places) => {
        const hasher = new TensorHasher()
        const sorted = [0, ...places.sort((a, b) => a - b), bytes.length]
        for (let i = 1; i < sorted.length; i++) hasher.update(bytes.subarray(sorted[i - 1], sorted[i]))
        expect(hasher.finish()).toEqual(whole)
      }),
      { seed: 1, numRuns: 20 },
    )
  })
})

describe('identity', () => {
  test('[MAN-2] a file of the safetensors library has the manifest, content root and model id that Python computes', () => {
    const config = utf8(vectors.config)
    const others = [{ path: 'config.json', bytes: config.length, sha256: sha256Hex(config) as FileDigest }]
    const manifest = manifestOf({ 'model.safetensors': realFile }, others)
    expect(Buffer.from(manifestBytes(manifest)).toString('utf8')).toBe(vectors.manifest)
    expect(manifest.content).toBe(vectors.content)
    expect(modelIdOf(manifest)).toBe(vectors.model)
    expect(parseManifest(utf8(vectors.manifest))).toEqual(manifest)
  })

  test('[MAN-3] sharding, header order, metadata and file names do not change the content root, and change the model id', () => {
    const manifests = [
      manifestOf({ 'model.safetensors': fileOf(WEIGHTS) }),
      manifestOf({ 'other.safetensors': fileOf(WEIGHTS) }),
      manifestOf({ 'model.safetensors': fileOf([D, C, B, A]) }),
      manifestOf({ 'model.safetensors': fileOf(WEIGHTS, [['step', '7']]) }),
      manifestOf({
        'model-00001-of-00002.safetensors': fileOf([C, A]),
        'model-00002-of-00002.safetensors': fileOf([B, D]),
      }),
    ]
    expect(new Set(manifests.map(({ content }) => content)).size).toBe(1)
    expect(new Set(manifests.map(modelIdOf)).size).toBe(manifests.length)
  })

  test('[MAN-3] a name, a dtype, a shape, a byte: each changes the content root', () => {
    const roots = [
      WEIGHTS,
      [{ ...A, name: 'c' }, B, C, D],
      [{ ...A, dtype: 'F16' as const }, B, C, D],
      [{ ...A, shape: [4] }, B, C, D],
      [{ ...A, data: pattern(9).subarray(1) }, B, C, D],
      [B, C, D],
    ].map((weights) => manifestOf({ x: fileOf(weights) }).content)
    expect(new Set(roots).size).toBe(roots.length)
  })

  test('[MAN-3] a model without tensors has the root of the empty tree', () => {
    expect(contentRootOf([])).toBe(sha256Hex())
  })

  test('[MAN-4] what else a caller keeps beside a tensor does not enter the manifest', () => {
    const plain = manifestOf({ x: fileOf([A]) })
    const decorated = makeManifest({ ...plain, tensors: plain.tensors.map((tensor) => ({ ...tensor, begin: 8 })) })
    expect(modelIdOf(decorated)).toBe(modelIdOf(plain))
  })
})

describe('parseManifest', () => {
  const good = manifestOf({ 'b.safetensors': fileOf([C, D]), 'a.safetensors': fileOf([A, B]) }, [
    { path: 'config.json', bytes: 2, sha256: sha256Hex(utf8('{}')) as FileDigest },
  ])
  type Draft = { -readonly [K in keyof Manifest]: Manifest[K] }
  /** The canonical bytes of a changed copy. */
  const changed = (change: (draft: Draft) => void): Uint8Array => {
    const draft = structuredClone(good)
    change(draft)
    return manifestBytes(draft)
  }
  const [first, second] = good.layout as unknown as [Manifest['layout'][0], Manifest['layout'][0]]

  test('[MAN-4] what is made is read again, and is sorted', () => {
    expect(parseManifest(manifestBytes(good))).toEqual(good)
    expect(good.layout.map(({ path }) => path)).toEqual(['a.safetensors', 'b.safetensors'])
    expect(good.tensors.map(({ name }) => name)).toEqual(['a', 'b', 'ﬁ', '🌊'])
  })

  const content = 'f'.repeat(64) as Manifest['content']
  test.each<[what: string, code: string, change: (draft: Draft) => void]>([
    ['another content root', 'DIGEST_MISMATCH', (m) => void (m.content = content)],
    ['another version', 'MANIFEST_INVALID', (m) => void ((m.v as number) = 2)],
    ['an unknown field', 'MANIFEST_INVALID', (m) => void Object.assign(m, { more: 1 })],
    ['tensors out of order', 'MANIFEST_INVALID', (m) => void (m.tensors = m.tensors.toReversed())],
    ['a tensor twice', 'MANIFEST_INVALID', (m) => void (m.tensors = [...m.tensors.slice(0, 1), ...m.tensors])],
    ['a tensor of the wrong size', 'MANIFEST_INVALID', (m) => void Object.assign(m.tensors[0] ?? {}, { bytes: 9 })],
    ['a negative shape', 'MANIFEST_INVALID', (m) => void Object.assign(m.tensors[0] ?? {}, { shape: [-2, -2] })],
    [
      'too many dimensions',
      'MANIFEST_INVALID',
      (m) => void Object.assign(m.tensors[3] ?? {}, { shape: Array(9).fill(1) }),
    ],
    ['an unknown dtype', 'MANIFEST_INVALID', (m) => void Object.assign(m.tensors[0] ?? {}, { dtype: 'F4' })],
    ['a root in capitals', 'MANIFEST_INVALID', (m) => void Object.assign(m.tensors[0] ?? {}, { root: 'A'.repeat(64) })],
    [
      'a tensor name that climbs',
      'SAFETENSORS_NAME_INVALID',
      (m) => void Object.assign(m.tensors[0] ?? {}, { name: '../a' }),
    ],
    [
      'a file path that climbs',
      'PATH_INVALID',
      (m) => void Object.assign(m.files[0] ?? {}, { path: '../config.json' }),
    ],
    [
      'a file that is also a layout',
      'MANIFEST_INVALID',
      (m) => void Object.assign(m.files[0] ?? {}, { path: 'a.safetensors' }),
    ],
    ['a layout out of order', 'MANIFEST_INVALID', (m) => void (m.layout = [second, first])],
    ['a tensor that lies nowhere', 'MANIFEST_INVALID', (m) => void (m.layout = [first])],
    [
      'a tensor that lies twice',
      'MANIFEST_INVALID',
      (m) => void (m.layout = [first, { ...second, order: [...second.order, 'a'] }]),
    ],
    [
      'a layout of an unknown tensor',
      'MANIFEST_INVALID',
      (m) => void (m.layout = [{ ...first, order: [...first.order, 'x'] }, second]),
    ],
  ])('[MAN-5] a manifest with %s is refused as %s', (_what, code, change) => {
    expect(refusalOf(() => parseManifest(changed(change))).code).toBe(code)
  })

  test('[MAN-5] bytes that are not canonical, or not a record, are refused', () => {
    expect(refusalOf(() => parseManifest(concat(manifestBytes(good), utf8(' ')))).code).toBe('NOT_CANONICAL')
    expect(refusalOf(() => parseManifest(utf8('[]'))).code).toBe('MANIFEST_INVALID')
    expect(refusalOf(() => parseManifest(utf8('{"v":1}'))).code).toBe('MANIFEST_INVALID')
  })

  test('[MAN-5] a contradiction is refused when the manifest is made, too', () => {
    expect(refusalOf(() => makeManifest({ ...good, layout: [first] })).message).toMatch(/tensor "ﬁ" lies in no file/)
  })
})

describe('giving a file back', () => {
  const path = 'model.safetensors'
  const manifest = manifestOf({ [path]: realFile })
  const header = parseHeader(realFile)
  const stored = realFile.subarray(8, dataStartOf(header))
  const dataByRoot = new Map(
    header.tensors.map(({ begin, end }) => {
      const data = realFile.subarray(dataStartOf(header) + begin, dataStartOf(header) + end)
      return [hashTensor(data).root, data]
    }),
  )

  test('[MAN-6] the segments of a stored file, one after the other, are the file', () => {
    const segments = segmentsOf(manifest, path, stored.length)
    let reached = 0
    const pieces = segments.map((segment) => {
      expect(segment.begin).toBe(reached)
      reached = segment.end
      if (segment.kind === 'length') return segment.bytes
      if (segment.kind === 'tensor') return dataByRoot.get(segment.tensor.root) ?? expect.unreachable('a known root')
      expect(segment.header).toBe(sha256Hex(stored))
      return stored
    })
    expect(reached).toBe(realFile.length)
    expect(concat(...pieces)).toEqual(realFile)
  })

  test('[MAN-6] a byte range needs only the segments that share bytes with it', () => {
    const segments = segmentsOf(manifest, path, stored.length)
    const within = (begin: number, end: number) => segmentsWithin(segments, begin, end).map(({ kind }) => kind)
    expect(within(0, 8)).toEqual(['length'])
    expect(within(7, 9)).toEqual(['length', 'header'])
    expect(within(realFile.length - 1, realFile.length)).toEqual(['tensor'])
    expect(within(5, 5)).toEqual([])
    expect(within(0, realFile.length).length).toBe(2 + header.tensors.filter(({ begin, end }) => end > begin).length)
  })

  test('[MAN-7] a stored header must have its digest and describe the tensors of the manifest', () => {
    expect(checkStoredHeader(manifest, path, stored)).toEqual(header)
    expect(refusalOf(() => checkStoredHeader(manifest, path, stored.slice(0, -1))).code).toBe('DIGEST_MISMATCH')
    expect(refusalOf(() => checkStoredHeader(manifest, 'x', stored)).code).toBe('FILE_NOT_FOUND')
    const other = writeHeader(header.tensors.map((tensor) => ({ ...tensor, shape: [...tensor.shape, 1] }))).subarray(8)
    const lying = makeManifest({
      ...manifest,
      layout: manifest.layout.map((layout) => ({ ...layout, header: sha256Hex(other) as FileDigest })),
    })
    expect(refusalOf(() => checkStoredHeader(lying, path, other)).code).toBe('MANIFEST_INVALID')
    const shuffled = makeManifest({
      ...manifest,
      layout: manifest.layout.map((layout) => ({ ...layout, order: layout.order.toReversed() })),
    })
    expect(refusalOf(() => checkStoredHeader(shuffled, path, stored)).code).toBe('MANIFEST_INVALID')
  })
})

test('[MAN-3] the leaf of a tensor holds the canonical form of its fields, and a name outside it is refused', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }).map((text) => text.normalize('NFC')),
      fc.array(fc.maxSafeNat(), { maxLength: 8 }),
      (name, shape) => {
        const fields = { name, dtype: 'BF16' as const, shape, root: sha256Hex(utf8(name)) as TensorRoot }
        expect(contentLeafOf(fields)).toEqual(leafHash(concat(domainPrefix('tensor'), canonicalBytes(fields))))
      },
    ),
    { seed: 1, numRuns: 200 },
  )
  expect(() => contentLeafOf({ name: 'e\u0301', dtype: 'BF16', shape: [], root: '' as TensorRoot })).toThrow('NFC')
})
