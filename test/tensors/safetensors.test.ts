import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareUtf8, concat, utf8 } from '../../src/core/bytes.ts'
import { type Dtype, DTYPES } from '../../src/tensors/dtypes.ts'
import { HeaderReader } from '../../src/tensors/header-reader.ts'
import {
  dataStartOf,
  HEADER_BYTES_MAX,
  lengthWord,
  METADATA_BYTES_MAX,
  parseHeader,
  parseStored,
  tensorBytesOf,
  TENSORS_MAX,
  type TensorShape,
  writeHeader,
} from '../../src/tensors/safetensors.ts'
import { golden } from '../support/golden.ts'
import { refusalOf } from '../support/refusal.ts'

const headerOf = (json: string): Uint8Array => concat(lengthWord(utf8(json).length), utf8(json))
const jsonOf = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(8)).toString('utf8')

const real = golden<{ file: string; manifest: string }>('tensors_checkpoint')
const realFile = new Uint8Array(Buffer.from(real.file, 'base64'))

const names = fc
  .oneof(fc.string({ maxLength: 12, unit: 'binary' }), fc.constantFrom('constructor', '0', 'a/b', 'a..b', 'toString'))
  .map((name) => `t${name.normalize('NFC').replace(/\p{Cc}|\/|\\/gu, '')}`)
const tensorsOf = fc.uniqueArray(
  fc.record({
    name: names,
    dtype: fc.constantFrom(...(Object.keys(DTYPES) as Dtype[])),
    shape: fc.array(fc.nat(5), { maxLength: 8 }),
  }),
  { selector: ({ name }) => name, maxLength: 12 },
)

describe('what is accepted', () => {
  test('[SAF-13] a file of the safetensors library is read: tensors by offset, dtypes, shapes, metadata', () => {
    const length = Number(new DataView(realFile.buffer, realFile.byteOffset).getBigUint64(0, true))
    const header = parseHeader(realFile, realFile.length - 8 - length)
    const manifest = JSON.parse(real.manifest) as { layout: { order: string[] }[]; tensors: TensorShape[] }
    expect(header.tensors.map(({ name }) => name)).toEqual(manifest.layout[0]?.order)
    expect(header.metadata).toEqual(new Map([['format', 'pt']]))
    expect(dataStartOf(header) + header.dataBytes).toBe(realFile.length)
    for (const { name, dtype, shape } of manifest.tensors)
      expect(header.tensors.find((tensor) => tensor.name === name)).toMatchObject({ dtype, shape })
  })

  test('[SAF-8] tensors without bytes may stand at any boundary, in any order of the header', () => {
    const entry = (shape: string, begin: number, end: number) =>
      `{"dtype":"U8","shape":${shape},"data_offsets":[${begin},${end}]}`
    const { tensors } = parseHeader(
      headerOf(
        `{"z":${entry('[0]', 3, 3)},"y":${entry('[1]', 2, 3)},"x":${entry('[2]', 0, 2)},"w":${entry('[5,0]', 2, 2)},"v":${entry('[0]', 0, 0)},"u":${entry('[0]', 2, 2)}}`,
      ),
      3,
    )
    expect(tensors.map(({ name }) => name).join('')).toBe('vxuwyz')
  })

  test('[SAF-5] names that mean something to JavaScript are names like any other', () => {
    const tensors = ['constructor', 'toString', 'hasOwnProperty'].map(
      (name) => ({ name, dtype: 'U8', shape: [1] }) as const,
    )
    expect(parseHeader(writeHeader(tensors)).tensors).toMatchObject(tensors)
  })

  test('[SAF-2] no tensors at all, and trailing spaces, are right', () => {
    expect(parseHeader(headerOf('{}      '), 0)).toMatchObject({ tensors: [], headerBytes: 8, dataBytes: 0 })
  })

  test('[SAF-9] slashes, dots and letters of any script are only characters of a name', () => {
    for (const name of ['a/b', '..a', 'a..b/c', 'ключ', '🌊', ' '])
      expect(parseHeader(writeHeader([{ name, dtype: 'F32', shape: [] }])).tensors[0]).toMatchObject({ name, end: 4 })
  })
})

describe('limits', () => {
  test('[SAF-9] one tensor more than allowed is refused, the limit itself is not', () => {
    // entries that are wrong in themselves: the count is judged first, and two hundred thousand right ones take a while
    const wrong = (count: number) => headerOf(`{${Array.from({ length: count }, (_, i) => `"${i}":0`).join(',')}}`)
    expect(refusalOf(() => parseHeader(wrong(TENSORS_MAX + 1)))).toMatchObject({
      code: 'TOO_MANY_TENSORS',
      message: expect.stringContaining('200 001') as string,
    })
    expect(refusalOf(() => parseHeader(wrong(TENSORS_MAX))).code).toBe('SAFETENSORS_HEADER_INVALID')
  })

  test('[SAF-10] metadata of a mebibyte is read, a byte more is refused', () => {
    const withNote = (bytes: number) => headerOf(`{"__metadata__":{"note":"${'x'.repeat(bytes - 4)}"}}`)
    expect(parseHeader(withNote(METADATA_BYTES_MAX)).metadata.get('note')?.length).toBe(METADATA_BYTES_MAX - 4)
    expect(refusalOf(() => parseHeader(withNote(METADATA_BYTES_MAX + 1))).code).toBe('SAFETENSORS_METADATA_INVALID')
  })

  test('[SAF-1] the limit of the header can be set, and holds before anything is read', () => {
    const bytes = writeHeader([{ name: 'a', dtype: 'F32', shape: [1] }])
    expect(refusalOf(() => parseHeader(bytes, 4, 16)).code).toBe('SAFETENSORS_HEADER_TOO_LARGE')
    expect(HEADER_BYTES_MAX).toBe(16_777_216)
  })

  test('[SAF-15] a header of one endless string or of deep nesting is refused, not a crash', () => {
    const string = refusalOf(() => parseHeader(headerOf(`{"${'\\u0061'.repeat(2_000_000)}":0}`)))
    expect(string.code).toBe('SAFETENSORS_NAME_INVALID')
    expect(string.message.length).toBeLessThan(300)
    const nested = refusalOf(() => parseHeader(headerOf(`{"a":${'['.repeat(1_000_000)}}`)))
    expect(nested).toMatchObject({
      code: 'SAFETENSORS_HEADER_INVALID',
      message: expect.stringMatching(/deeper than 3/) as string,
    })
  })

  test.each([
    '{"a":}',
    '{"a"}',
    '{a:1}',
    '{"a":01}',
    '{"a":"\\x"}',
    '{"a":1,}',
    '{"a":nul}',
    '{"a":[1}',
    '{"a":"\t"}',
    '{,}',
  ])('[SAF-2] %s is not JSON', (json) =>
    expect(refusalOf(() => parseHeader(headerOf(json))).code).toBe('SAFETENSORS_HEADER_INVALID'),
  )

  test('[SAF-6] a field that is missing, unknown, or not of its type is refused', () => {
    for (const entry of [
      '{"dtype":"U8","shape":[1]}',
      '{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}',
      '{"dtype":8,"shape":[1],"data_offsets":[0,1]}',
      '[]',
      'null',
    ])
      expect(refusalOf(() => parseHeader(headerOf(`{"a":${entry}}`))).code).toBe('SAFETENSORS_HEADER_INVALID')
    expect(refusalOf(() => parseHeader(headerOf('{"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}}'))).code).toBe(
      'SAFETENSORS_SHAPE_INVALID',
    )
  })
})

describe('writeHeader', () => {
  test('[SAF-13] one spelling: metadata first, fields in order, padded with spaces to a multiple of eight', () => {
    const bytes = writeHeader([
      { name: 'b', dtype: 'BF16', shape: [2, 3] },
      { name: 'a"\u{1f30a}', dtype: 'F32', shape: [] },
    ])
    expect(jsonOf(bytes)).toBe(
      '{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"a\\"🌊":{"dtype":"F32","shape":[],"data_offsets":[12,16]}}   ',
    )
    expect(bytes.length % 8).toBe(0)
    expect(jsonOf(writeHeader([], [])).trimEnd()).toBe('{}')
  })

  test('[SAF-13] metadata is sorted, so its order does not matter', () => {
    const notes = [
      ['z', '1'],
      ['a', '2'],
    ] as const
    expect(writeHeader([], notes)).toEqual(writeHeader([], notes.toReversed()))
  })

  test('[SAF-13] what is written is read again: the same tensors in the same order, gapless', () => {
    fc.assert(
      fc.property(tensorsOf, fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }), (tensors, notes) => {
        const bytes = writeHeader(tensors, Object.entries(notes))
        const total = tensors.reduce((sum, tensor) => sum + tensorBytesOf(tensor), 0)
        const header = parseHeader(bytes, total)
        expect(bytes.length).toBe(dataStartOf(header))
        expect(header.dataBytes).toBe(total)
        expect(Object.fromEntries(header.metadata)).toEqual(notes)
        // tensors without bytes have no place of their own among those at one boundary
        const filled = (list: readonly TensorShape[]) => list.filter((tensor) => tensorBytesOf(tensor) > 0)
        expect(filled(header.tensors)).toMatchObject(filled(tensors))
        expect(header.tensors.map(({ name }) => name).sort(compareUtf8)).toEqual(
          tensors.map(({ name }) => name).sort(compareUtf8),
        )
      }),
      { seed: 1, numRuns: 200 },
    )
  })

  test('[SAF-13] what could not be read is not written', () => {
    const tensor = { name: 'a', dtype: 'F32', shape: [1] } as const
    expect(refusalOf(() => writeHeader([tensor, tensor])).code).toBe('SAFETENSORS_DUPLICATE_NAME')
    expect(refusalOf(() => writeHeader([{ ...tensor, name: '../x' }])).code).toBe('SAFETENSORS_NAME_INVALID')
    expect(refusalOf(() => writeHeader([{ ...tensor, shape: [2 ** 40, 2 ** 40] }])).code).toBe(
      'SAFETENSORS_SHAPE_INVALID',
    )
  })
})

describe('HeaderReader', () => {
  test('[SAF-14] a stream cut anywhere gives the header, its stored bytes, and the rest of the last chunk', () => {
    const expected = parseHeader(realFile)
    const dataStart = dataStartOf(expected)
    const cuts = fc.array(fc.integer({ min: 0, max: realFile.length }), { maxLength: 6 })
    fc.assert(
      fc.property(cuts, (places) => {
        const sorted = [0, ...places.sort((a, b) => a - b), realFile.length]
        const reader = new HeaderReader({ fileBytes: realFile.length })
        for (let i = 1; i < sorted.length; i++) {
          const read = reader.push(realFile.subarray(sorted[i - 1], sorted[i]))
          if (read === undefined) continue
          expect(read.header).toEqual(expected)
          expect(parseStored(read.stored)).toEqual(expected)
          expect(read.rest).toEqual(realFile.subarray(dataStart, sorted[i]))
          expect(sorted[i - 1]).toBeLessThan(Math.max(dataStart, 1))
          reader.end()
          return
        }
        expect.unreachable('the header was never whole')
      }),
      { seed: 1, numRuns: 200 },
    )
  })

  test('[SAF-14] a stream that ends inside the header is refused with what was expected and what came', () => {
    const reader = new HeaderReader()
    reader.push(realFile.subarray(0, 100))
    expect(refusalOf(() => reader.end())).toMatchObject({
      code: 'SAFETENSORS_TRUNCATED',
      details: { expected: dataStartOf(parseHeader(realFile)), actual: 100 },
    })
  })

  test('[SAF-14] with the size announced, a file that is too short or too long is refused as soon as the header is whole', () => {
    const announced = (fileBytes: number) => refusalOf(() => new HeaderReader({ fileBytes }).push(realFile)).code
    expect(announced(realFile.length - 1)).toBe('SAFETENSORS_TRUNCATED')
    expect(announced(realFile.length + 1)).toBe('SAFETENSORS_TRAILING_BYTES')
    expect(refusalOf(() => new HeaderReader({ fileBytes: 20 }).push(realFile.subarray(0, 9))).message).toMatch(
      /inside its header/,
    )
  })
})
