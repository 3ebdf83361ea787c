/**
 * The header of a safetensors file: eight bytes of length, then JSON that says where each tensor lies. Headers come from
 * strangers: every byte of the file must be accounted for, and a refusal says what is wrong, where, and by how much.
 */
import { concat, utf8 } from '../core/bytes.ts'
import { TributaryError } from '../core/errors.ts'
import { at, invariant } from '../core/invariant.ts'
import { bytesPerElement, type Dtype, isDtype, parseDtype } from './dtypes.ts'
import { refuseOtherKind } from './file-kinds.ts'
import { checkTensorName, shown, sortByUtf8 } from './names.ts'
import { isJsonObject, type Json, type JsonObject, parseStrictJson } from './strict-json.ts'

export const LENGTH_WORD_BYTES = 8
export const HEADER_BYTES_MAX = 16 * 1024 * 1024
export const METADATA_BYTES_MAX = 1024 * 1024
export const TENSORS_MAX = 200_000
export const DIMENSIONS_MAX = 8
/** Header, entry, shape. */
const DEPTH_MAX = 3

/** What a tensor is, wherever it lies. */
export interface TensorShape {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
}

/** A tensor of one file; `begin` and `end` count from the end of the header. */
export interface TensorEntry extends TensorShape {
  readonly begin: number
  readonly end: number
}

export interface SafetensorsHeader {
  /** By offset; those without bytes before the one that begins where they stand, then by name. */
  readonly tensors: readonly TensorEntry[]
  readonly metadata: ReadonlyMap<string, string>
  /** Length of the JSON with its padding. The data begins 8 bytes later. */
  readonly headerBytes: number
  readonly dataBytes: number
}

/** Where the data begins in the file. */
export const dataStartOf = (header: SafetensorsHeader): number => LENGTH_WORD_BYTES + header.headerBytes

const count = (bytes: number | bigint): string => bytes.toString().replace(/\B(?=(\d{3})+$)/g, ' ')

const AGAIN = 'fetch or upload the file again; the transfer was probably interrupted'
const SAVE_AGAIN = 'save the file again with the safetensors library'

const headerInvalid = (why: string): TributaryError =>
  new TributaryError('SAFETENSORS_HEADER_INVALID', why, { hint: SAVE_AGAIN })

/** Bytes of a tensor of this shape. Multiplied without overflow: a product modulo 2^64 can look small. */
export function tensorBytesOf({ name, dtype, shape }: TensorShape): number {
  const product = shape.reduce((all, length) => all * length, bytesPerElement(dtype))
  // a product that a number holds exactly was exact on the way, unless a zero hides what came before
  if (product > 0 && product <= Number.MAX_SAFE_INTEGER) return product
  const bytes = shape.reduce((all, length) => all * BigInt(length), BigInt(bytesPerElement(dtype)))
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER))
    throw new TributaryError(
      'SAFETENSORS_SHAPE_INVALID',
      `tensor ${shown(name)} of shape [${shape.join(', ')}] and dtype ${dtype} would take ${count(bytes)} bytes`,
      { hint: 'no real tensor is that large; the header is damaged or hostile' },
    )
  return Number(bytes)
}

/**
 * Length of the JSON that follows, from the first bytes of a file: eight, and one more to be sure that it is a header.
 * With the file's size known, the length must also fit into it.
 */
export function headerLengthOf(start: Uint8Array, fileBytes?: number, headerBytesMax = HEADER_BYTES_MAX): number {
  if (start.length <= LENGTH_WORD_BYTES) {
    refuseOtherKind(start)
    throw new TributaryError(
      'SAFETENSORS_TRUNCATED',
      `the file ends after ${start.length} bytes, before its header begins`,
      { hint: AGAIN },
    )
  }
  const word = new DataView(start.buffer, start.byteOffset, LENGTH_WORD_BYTES).getBigUint64(0, true)
  const isBrace = start[LENGTH_WORD_BYTES] === 0x7b
  if (!isBrace || word > BigInt(headerBytesMax)) refuseOtherKind(start)
  if (word > BigInt(headerBytesMax))
    throw new TributaryError(
      'SAFETENSORS_HEADER_TOO_LARGE',
      `the file promises a header of ${count(word)} bytes, where at most ${count(headerBytesMax)} are allowed`,
      { hint: 'check that this is a safetensors file' },
    )
  if (!isBrace) throw headerInvalid('the header does not begin with "{"')
  const length = Number(word)
  if (length < 2) throw headerInvalid(`a header of ${length} bytes can't be JSON`)
  if (fileBytes !== undefined && length > fileBytes - LENGTH_WORD_BYTES)
    throw new TributaryError(
      'SAFETENSORS_TRUNCATED',
      `the file ends inside its header: expected ${count(LENGTH_WORD_BYTES + length)} bytes, got ${count(fileBytes)}; no tensor is complete`,
      { hint: AGAIN, details: { expected: LENGTH_WORD_BYTES + length, actual: fileBytes } },
    )
  return length
}

function parseJson(stored: Uint8Array): Json {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(stored)
  } catch (cause) {
    throw new TributaryError('SAFETENSORS_HEADER_INVALID', 'the header is not UTF-8', { cause, hint: SAVE_AGAIN })
  }
  const end = text.lastIndexOf('}') + 1
  if (/[^ ]/.test(text.slice(end))) throw headerInvalid('something other than spaces follows the header')
  const where = (offset: number) => `at byte ${LENGTH_WORD_BYTES + utf8(text.slice(0, offset)).length} of the file`
  return parseStrictJson(text.slice(0, end), DEPTH_MAX, {
    syntax: (what, offset) => {
      throw headerInvalid(`the header is not JSON: ${what} ${where(offset)}`)
    },
    duplicateKey: (key, depth, offset) => {
      if (depth > 1) throw headerInvalid(`the key ${shown(key)} stands twice in one entry, ${where(offset)}`)
      throw new TributaryError(
        'SAFETENSORS_DUPLICATE_NAME',
        `the header names tensor ${shown(key)} twice, the second time ${where(offset)}`,
        { hint: 'save the file again: readers would disagree about which of the two counts' },
      )
    },
  })
}

function parseMetadata(value: Json): Map<string, string> {
  const invalid = (why: string) =>
    new TributaryError('SAFETENSORS_METADATA_INVALID', `__metadata__ ${why}`, {
      hint: 'keep only short texts in the metadata and save the file again',
    })
  if (!isJsonObject(value)) throw invalid('is not an object')
  const metadata = new Map<string, string>()
  let bytes = 0
  for (const [key, text] of value) {
    if (typeof text !== 'string') throw invalid(`holds something other than text under ${shown(key)}`)
    bytes += utf8(key).length + utf8(text).length
    metadata.set(key, text)
  }
  if (bytes > METADATA_BYTES_MAX)
    throw invalid(`takes ${count(bytes)} bytes, where at most ${count(METADATA_BYTES_MAX)} are allowed`)
  return metadata
}

const isCount = (value: Json | undefined): value is number => typeof value === 'number' && value >= 0

function parseShape(name: string, value: Json | undefined): readonly number[] {
  const invalid = (why: string) =>
    new TributaryError('SAFETENSORS_SHAPE_INVALID', `the shape of tensor ${shown(name)} ${why}`, { hint: SAVE_AGAIN })
  if (!Array.isArray(value)) throw invalid('is not a list')
  const shape = value as readonly Json[]
  if (shape.length > DIMENSIONS_MAX)
    throw invalid(`has ${shape.length} dimensions, where at most ${DIMENSIONS_MAX} are allowed`)
  if (!shape.every(isCount)) throw invalid('holds something other than whole numbers from 0 to 2^53 - 1')
  return shape
}

const FIELDS = ['dtype', 'shape', 'data_offsets']

function parseEntry(name: string, value: Json): TensorEntry {
  checkTensorName(name)
  if (!isJsonObject(value)) throw headerInvalid(`the entry of tensor ${shown(name)} is not an object`)
  const missing = FIELDS.find((field) => !value.has(field))
  if (missing !== undefined || value.size > FIELDS.length) {
    const unknown = [...value.keys()].find((key) => !FIELDS.includes(key))
    if (unknown !== undefined) throw headerInvalid(`tensor ${shown(name)} has an unknown field ${shown(unknown)}`)
    throw headerInvalid(`tensor ${shown(name)} has no field ${shown(missing ?? '')}`)
  }

  const kind = value.get('dtype')
  if (typeof kind !== 'string') throw headerInvalid(`the dtype of tensor ${shown(name)} is not text`)
  const dtype = isDtype(kind) ? kind : parseDtype(kind, `tensor ${shown(name)}`)
  const shape = parseShape(name, value.get('shape'))
  const bytes = tensorBytesOf({ name, dtype, shape })
  const offsets = value.get('data_offsets')
  const both = Array.isArray(offsets) ? (offsets as readonly Json[]) : []
  const [begin, end] = both
  if (!isCount(begin) || !isCount(end) || both.length > 2)
    throw offsetsInvalid(`the data_offsets of tensor ${shown(name)} are not two whole numbers`)
  if (end - begin !== bytes)
    throw offsetsInvalid(
      `tensor ${shown(name)} lies at ${count(begin)} to ${count(end)}, which is ${count(end - begin)} bytes, where its shape [${shape.join(', ')}] and dtype ${dtype} take ${count(bytes)}`,
    )
  return { name, dtype, shape, begin, end }
}

const offsetsInvalid = (why: string): TributaryError =>
  new TributaryError('SAFETENSORS_OFFSETS_INVALID', why, { hint: SAVE_AGAIN })

function parseTensors(object: JsonObject): TensorEntry[] {
  const named = [...object].filter(([name]) => name !== '__metadata__')
  if (named.length > TENSORS_MAX)
    throw new TributaryError(
      'TOO_MANY_TENSORS',
      `the header names ${count(named.length)} tensors, where at most ${count(TENSORS_MAX)} are allowed`,
      { hint: 'split the checkpoint into several models' },
    )
  const entries = named.map(([name, entry]) => parseEntry(name, entry))
  const tensors = sortByUtf8(entries, ({ name }) => name).sort((a, b) => a.begin - b.begin || a.end - b.end)
  let reached = 0
  for (const [index, { name, begin, end }] of tensors.entries()) {
    if (begin !== reached) {
      const before = index === 0 ? 'the data begins' : `${shown(at(tensors, index - 1).name)} ends`
      throw offsetsInvalid(
        `tensor ${shown(name)} begins at ${count(begin)}, but ${before} at ${count(reached)}: ${
          begin > reached ? 'a hole' : 'an overlap'
        } of ${count(Math.abs(begin - reached))} bytes`,
      )
    }
    reached = end
  }
  return tensors
}

function checkDataBytes(tensors: readonly TensorEntry[], dataBytes: number): void {
  const promised = tensors.at(-1)?.end ?? 0
  if (dataBytes < promised) {
    const complete = tensors.filter(({ end }) => end <= dataBytes)
    const last = complete.at(-1)
    throw new TributaryError(
      'SAFETENSORS_TRUNCATED',
      `the data ends early: expected ${count(promised)} bytes, got ${count(dataBytes)} (${((dataBytes / promised) * 100).toFixed(1)} %); ${
        last === undefined ? 'no tensor is complete' : `last complete tensor: ${shown(last.name)}`
      } (${complete.length} of ${tensors.length})`,
      { hint: AGAIN, details: { expected: promised, actual: dataBytes } },
    )
  }
  if (dataBytes > promised)
    throw new TributaryError(
      'SAFETENSORS_TRAILING_BYTES',
      `${count(dataBytes - promised)} bytes follow the last tensor: expected ${count(promised)} bytes of data, got ${count(dataBytes)}`,
      { hint: SAVE_AGAIN, details: { expected: promised, actual: dataBytes } },
    )
}

/**
 * The header from the first bytes of a file; what follows it in `bytes` is not looked at. With `dataBytes`, the size of
 * all that follows in the file, the tensors must fill exactly that.
 */
export function parseHeader(bytes: Uint8Array, dataBytes?: number, headerBytesMax?: number): SafetensorsHeader {
  const headerBytes = headerLengthOf(bytes, bytes.length, headerBytesMax)
  return parseStored(bytes.subarray(LENGTH_WORD_BYTES, LENGTH_WORD_BYTES + headerBytes), dataBytes)
}

/** The header from its JSON bytes with their padding: what a manifest's layout names by digest. */
export function parseStored(stored: Uint8Array, dataBytes?: number): SafetensorsHeader {
  if (stored[0] !== 0x7b) throw headerInvalid('the header does not begin with "{"')
  const object = parseJson(stored)
  invariant(isJsonObject(object), 'what begins with a brace is an object')
  const metadata = parseMetadata(object.get('__metadata__') ?? new Map<string, Json>())
  const tensors = parseTensors(object)
  if (dataBytes !== undefined) checkDataBytes(tensors, dataBytes)
  return { tensors, metadata, headerBytes: stored.length, dataBytes: tensors.at(-1)?.end ?? 0 }
}

export function lengthWord(headerBytes: number): Uint8Array {
  const word = new Uint8Array(LENGTH_WORD_BYTES)
  new DataView(word.buffer).setBigUint64(0, BigInt(headerBytes), true)
  return word
}

const ALIGNMENT_BYTES = 8

/**
 * The first bytes of a file with these tensors, one after the other in the order given: length word, JSON, and spaces up
 * to a multiple of eight. One byte string for each list of tensors and metadata.
 */
export function writeHeader(
  tensors: readonly TensorShape[],
  metadata: Iterable<readonly [string, string]> = [['format', 'pt']],
): Uint8Array {
  const notes = sortByUtf8(metadata, ([key]) => key).map(([key, text]) => [key, JSON.stringify(text)])
  const fields =
    notes.length === 0 ? [] : [`"__metadata__":{${notes.map(([k, v]) => `${JSON.stringify(k)}:${v}`).join(',')}}`]
  let begin = 0
  for (const tensor of tensors) {
    const end = begin + tensorBytesOf(tensor)
    const { name, dtype, shape } = tensor
    fields.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${begin},${end}]}`,
    )
    begin = end
  }
  const json = utf8(`{${fields.join(',')}}`)
  const padding = (ALIGNMENT_BYTES - (json.length % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES
  const bytes = concat(lengthWord(json.length + padding), json, new Uint8Array(padding).fill(0x20))
  parseHeader(bytes) // what we write, we also read: names, shapes and counts are refused here
  return bytes
}
