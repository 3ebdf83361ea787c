/** Files that lie, one rule broken in each. They are made by test/golden/generate/tensors_malformed.py. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../src/core/errors.ts'
import { isTributaryError } from '../../src/core/errors.ts'
import { countNotFinite, decode, type NotFinite } from '../../src/tensors/dtypes.ts'
import { refusePickle } from '../../src/tensors/file-kinds.ts'
import { HeaderReader } from '../../src/tensors/header-reader.ts'
import { dataStartOf, headerLengthOf, parseHeader, type SafetensorsHeader } from '../../src/tensors/safetensors.ts'
import { refusalOf } from '../support/refusal.ts'

const FOLDER = new URL('safetensors/', import.meta.url)
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(`${name}.safetensors`, FOLDER)))

/** A whole file, as a reader that knows its size would open it. */
function open(file: Uint8Array): SafetensorsHeader {
  const length = headerLengthOf(file, file.length)
  return parseHeader(file, file.length - 8 - length)
}

const REFUSALS: Readonly<Record<string, readonly [rule: string, code: ErrorCode, says: RegExp]>> = {
  '01-header-length-beyond-limit': [
    '[SAF-1]',
    'SAFETENSORS_HEADER_TOO_LARGE',
    /16 777 217 bytes, where at most 16 777 216/,
  ],
  '01-header-length-2-to-the-63': ['[SAF-1]', 'SAFETENSORS_HEADER_TOO_LARGE', /9 223 372 036 854 775 808 bytes/],
  '01-header-length-beyond-file': [
    '[SAF-1]',
    'SAFETENSORS_TRUNCATED',
    /inside its header: expected 120 bytes, got 119/,
  ],
  '01-header-length-zero': ['[SAF-1]', 'SAFETENSORS_HEADER_INVALID', /0 bytes can't be JSON/],
  '01-file-of-five-bytes': ['[SAF-1]', 'SAFETENSORS_TRUNCATED', /ends after 5 bytes/],
  '01-empty-file': ['[SAF-1]', 'SAFETENSORS_TRUNCATED', /ends after 0 bytes/],
  '02-leading-space': ['[SAF-2]', 'SAFETENSORS_HEADER_INVALID', /does not begin with "\{"/],
  '02-trailing-newline': ['[SAF-2]', 'SAFETENSORS_HEADER_INVALID', /other than spaces follows/],
  '02-trailing-nul': ['[SAF-2]', 'SAFETENSORS_HEADER_INVALID', /other than spaces follows/],
  '02-second-document': ['[SAF-2]', 'SAFETENSORS_HEADER_INVALID', /after the end of the JSON at byte 119/],
  '02-header-is-a-list': ['[SAF-2]', 'SAFETENSORS_HEADER_INVALID', /does not begin with "\{"/],
  '02-comment': ['[SAF-2]', 'SAFETENSORS_HEADER_INVALID', /no string at byte 9/],
  '03-not-utf-8': ['[SAF-3]', 'SAFETENSORS_HEADER_INVALID', /not UTF-8/],
  '03-overlong-utf-8': ['[SAF-3]', 'SAFETENSORS_HEADER_INVALID', /not UTF-8/],
  '03-half-a-surrogate-pair': ['[SAF-3]', 'SAFETENSORS_HEADER_INVALID', /half of a surrogate pair/],
  '04-name-twice': ['[SAF-4]', 'SAFETENSORS_DUPLICATE_NAME', /tensor "a" twice, the second time at byte 119/],
  '04-name-twice-by-escape': ['[SAF-4]', 'SAFETENSORS_DUPLICATE_NAME', /tensor "a" twice/],
  '04-field-twice': ['[SAF-4]', 'SAFETENSORS_HEADER_INVALID', /key "dtype" stands twice/],
  '05-proto-as-name': ['[SAF-5]', 'SAFETENSORS_NAME_INVALID', /"__proto__" is a word/],
  '05-proto-as-field': ['[SAF-5]', 'SAFETENSORS_HEADER_INVALID', /unknown field "__proto__"/],
  '06-unknown-dtype': ['[SAF-6]', 'SAFETENSORS_DTYPE_UNKNOWN', /tensor "a" has dtype "F128"/],
  '06-lower-case-dtype': ['[SAF-6]', 'SAFETENSORS_DTYPE_UNKNOWN', /tensor "a" has dtype "f32"/],
  '06-dtype-below-a-byte': ['[SAF-6]', 'DTYPE_UNSUPPORTED', /tensor "a" has dtype F4/],
  '06-dtype-e8m0': ['[SAF-6]', 'DTYPE_UNSUPPORTED', /tensor "a" has dtype F8_E8M0/],
  '07-product-overflows': [
    '[SAF-7]',
    'SAFETENSORS_SHAPE_INVALID',
    /would take 3 713 821 298 447 761 542 108 676 100 bytes/,
  ],
  '07-nine-dimensions': ['[SAF-7]', 'SAFETENSORS_SHAPE_INVALID', /9 dimensions, where at most 8/],
  '07-negative-length': ['[SAF-7]', 'SAFETENSORS_SHAPE_INVALID', /other than whole numbers/],
  '07-fraction': ['[SAF-7]', 'SAFETENSORS_SHAPE_INVALID', /other than whole numbers/],
  '07-exponent': ['[SAF-7]', 'SAFETENSORS_SHAPE_INVALID', /other than whole numbers/],
  '07-beyond-2-to-the-53': ['[SAF-7]', 'SAFETENSORS_SHAPE_INVALID', /other than whole numbers/],
  '08-hole': ['[SAF-8]', 'SAFETENSORS_OFFSETS_INVALID', /"b" begins at 12, but "a" ends at 8: a hole of 4 bytes/],
  '08-overlap': ['[SAF-8]', 'SAFETENSORS_OFFSETS_INVALID', /"b" begins at 4, but "a" ends at 8: an overlap of 4 bytes/],
  '08-does-not-begin-at-zero': [
    '[SAF-8]',
    'SAFETENSORS_OFFSETS_INVALID',
    /begins at 8, but the data begins at 0: a hole/,
  ],
  '08-length-is-not-shape': [
    '[SAF-8]',
    'SAFETENSORS_OFFSETS_INVALID',
    /is 12 bytes, where its shape \[2\] and dtype F32 take 8/,
  ],
  '08-end-before-begin': ['[SAF-8]', 'SAFETENSORS_OFFSETS_INVALID', /-8 bytes/],
  '08-empty-inside-another': [
    '[SAF-8]',
    'SAFETENSORS_OFFSETS_INVALID',
    /"b" begins at 4, but "a" ends at 8: an overlap/,
  ],
  '08-three-offsets': ['[SAF-8]', 'SAFETENSORS_OFFSETS_INVALID', /not two whole numbers/],
  '08-truncated': [
    '[SAF-8]',
    'SAFETENSORS_TRUNCATED',
    /expected 16 bytes, got 14 \(87.5 %\); last complete tensor: "a" \(1 of 2\)/,
  ],
  '08-trailing-bytes': [
    '[SAF-8]',
    'SAFETENSORS_TRAILING_BYTES',
    /3 bytes follow the last tensor: expected 16 bytes of data, got 19/,
  ],
  '09-name-too-long': ['[SAF-9]', 'SAFETENSORS_NAME_INVALID', /takes 513 bytes, where at most 512/],
  '09-name-not-nfc': ['[SAF-9]', 'SAFETENSORS_NAME_INVALID', /not in Unicode form NFC/],
  '09-name-with-control-character': ['[SAF-9]', 'SAFETENSORS_NAME_INVALID', /"a\\u001b\[2J" holds a control character/],
  '09-name-climbs': ['[SAF-9]', 'SAFETENSORS_NAME_INVALID', /has a "\.\." segment/],
  '09-name-empty': ['[SAF-9]', 'SAFETENSORS_NAME_INVALID', /is empty/],
  '10-metadata-not-text': ['[SAF-10]', 'SAFETENSORS_METADATA_INVALID', /other than text under "format"/],
  '10-metadata-number': ['[SAF-10]', 'SAFETENSORS_METADATA_INVALID', /other than text under "step"/],
  '10-metadata-a-list': ['[SAF-10]', 'SAFETENSORS_METADATA_INVALID', /is not an object/],
  '10-metadata-twice': ['[SAF-4]', 'SAFETENSORS_DUPLICATE_NAME', /"__metadata__" twice/],
  '13-pytorch-zip': ['[SAF-11]', 'PICKLE_REFUSED', /zip archive, as PyTorch saves pickles/],
  '13-pickle-protocol-2': ['[SAF-11]', 'PICKLE_REFUSED', /Python pickle/],
  '13-pickle-protocol-4': ['[SAF-11]', 'PICKLE_REFUSED', /Python pickle/],
  '13-gguf': ['[SAF-11]', 'MEDIA_TYPE_UNSUPPORTED', /GGUF/],
  '13-git-lfs-pointer': ['[SAF-11]', 'MEDIA_TYPE_UNSUPPORTED', /Git LFS pointer/],
  '13-web-page': ['[SAF-11]', 'MEDIA_TYPE_UNSUPPORTED', /web page/],
}

/** Files whose header is right; what is wrong or odd lies in the data. */
const READABLE = ['12-nan-inside', '14-unaligned-data']

describe('hostile and damaged files', () => {
  test('[SAF-15] every fixture has an answer here', () => {
    const fixtures = readdirSync(FOLDER).map((name) => name.replace('.safetensors', ''))
    expect(fixtures.sort()).toEqual([...Object.keys(REFUSALS), ...READABLE].sort())
  })

  for (const [name, [rule, code, says]] of Object.entries(REFUSALS)) {
    test(`${rule} ${name} is refused as ${code}`, () => {
      const file = read(name)
      const refusal = refusalOf(() => open(file))
      expect(refusal).toMatchObject({ code, message: expect.stringMatching(says) as string })
      expect(refusal.hint, 'the one thing to do next').toBeTruthy()
    })

    test(`[SAF-14] ${name}, streamed byte by byte, is refused as ${code} too`, () => {
      const file = read(name)
      const refusal = refusalOf(() => {
        const reader = new HeaderReader({ fileBytes: file.length })
        for (const byte of file) if (reader.push(Uint8Array.of(byte)) !== undefined) return
        reader.end()
      })
      // of a stream only nine bytes are known at first: a magic that is longer is told from a whole first chunk alone
      if (['13-git-lfs-pointer'].includes(name)) expect(refusal.code).toMatch(/^SAFETENSORS_HEADER_/)
      else expect(refusal.code).toBe(code)
    })
  }

  test('[SAF-15] no refusal throws anything but a TributaryError, wherever a good file is cut or a byte is changed', () => {
    const file = read('14-unaligned-data')
    for (let i = 0; i < file.length; i++) {
      expect(refusalOf(() => open(file.slice(0, i))).code).toBe('SAFETENSORS_TRUNCATED')
      for (const bit of [0x01, 0x20, 0x80]) {
        const changed = file.slice()
        changed[i] = (changed[i] ?? 0) ^ bit
        try {
          open(changed)
        } catch (error) {
          expect(isTributaryError(error), String(error)).toBe(true)
        }
      }
    }
  })
})

describe('data', () => {
  test('[DTY-7] 12-nan-inside: NaN and infinity in the data are found', () => {
    const file = read('12-nan-inside')
    const header = open(file)
    expect(countNotFinite('F16', file.subarray(dataStartOf(header)))).toEqual({
      nan: 1,
      inf: 1,
      first: 4,
    } satisfies NotFinite)
  })

  test('[SAF-12] 14-unaligned-data: data that begins at an odd place is read all the same', () => {
    const file = read('14-unaligned-data')
    const header = open(file)
    expect(dataStartOf(header) % 4).not.toBe(0)
    const values = new Float64Array(2)
    decode('F32', file.subarray(dataStartOf(header), dataStartOf(header) + 8), values)
    expect([...values]).toEqual([1.5, -2])
    decode('F64', file.subarray(dataStartOf(header) + 8), values.subarray(0, 1))
    expect(values[0]).toBe(0.25)
  })
})

describe('files beside the weights', () => {
  test('[SAF-11] a pickle under another name is known by its first bytes', () => {
    for (const name of ['13-pytorch-zip', '13-pickle-protocol-2', '13-pickle-protocol-4'])
      expect(refusalOf(() => refusePickle('notes.dat', read(name))).message).toContain('"notes.dat" is a Python pickle')
  })

  test('[SAF-11] text, an ordinary zip and an empty file are no pickles', () => {
    const zip = Uint8Array.from([
      ...Buffer.from('PK\x03\x04'),
      ...new Uint8Array(26),
      ...Buffer.from('word/document.xml'),
    ])
    for (const start of [zip, new Uint8Array(0), Buffer.from('{"model_type":"llama"}')])
      expect(() => refusePickle('x', start)).not.toThrow()
  })
})
