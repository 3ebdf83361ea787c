/**
 * A checkpoint on this machine, a directory or one safetensors file, seen through its headers: which tensors lie where, and
 * which files belong to it. No tensor data is read.
 */
import { basename, join } from 'node:path'
import { sha256Hex } from '../core/digest.ts'
import { isTributaryError, TributaryError } from '../core/errors.ts'
import type { FileDigest } from '../core/ids.ts'
import { invariant } from '../core/invariant.ts'
import type { FileSystem, OpenFile } from '../storage/file-system.ts'
import {
  assembleCheckpoint,
  chooseFiles,
  INDEX_PATH,
  type LeftOut,
  type ListedFile,
  parseIndex,
  type PlacedTensor,
  SINGLE_PATH,
} from '../tensors/checkpoint.ts'
import { HeaderReader } from '../tensors/header-reader.ts'
import { shown } from '../tensors/names.ts'
import { dataStartOf, type SafetensorsHeader } from '../tensors/safetensors.ts'
import type { TensorSlice } from './task.ts'

export interface WeightsFile extends ListedFile {
  /** Where it lies on this machine. */
  readonly location: string
  readonly header: SafetensorsHeader
  /** SHA-256 of the header as stored. */
  readonly headerDigest: FileDigest
}

export interface Checkpoint {
  /** As a person calls it. */
  readonly ref: string
  readonly location: string
  readonly weights: readonly WeightsFile[]
  /** By UTF-8 bytes of name. */
  readonly tensors: readonly PlacedTensor[]
  /** Beside the weights. */
  readonly files: readonly (ListedFile & { readonly location: string })[]
  readonly leftOut: readonly LeftOut[]
  /** Of the tensors alone. */
  readonly bytes: number
  readonly slice: (tensor: string) => TensorSlice
}

const DIRECTORIES_DEEP_MAX = 8
const FILES_MAX = 10_000
const HEADER_STEP_BYTES = 64 * 1024

export async function readCheckpoint(files: FileSystem, location: string, ref = location): Promise<Checkpoint> {
  const found = await files.stat(location)
  if (found === undefined) throw notThere(ref)
  if (found.kind === 'file') {
    const only = [{ path: SINGLE_PATH, bytes: found.bytes, location }]
    return assemble(ref, location, await readHeaders(files, only, () => basename(location)), [], [], undefined)
  }
  const { listed, leftOut } = await listFiles(files, location)
  const place = (path: string) => join(location, ...path.split('/'))
  const hasIndex = listed.some(({ path }) => path === INDEX_PATH)
  const index = hasIndex ? await indexOf(files, place(INDEX_PATH), ref) : undefined
  const chosen = within(ref, () => chooseFiles(listed, index))
  const bytesOf = new Map(listed.map(({ path, bytes }) => [path, bytes]))
  const lying = (path: string) => ({ path, bytes: bytesOf.get(path) ?? 0, location: place(path) })
  const weights = await readHeaders(files, chosen.weights.map(lying), (path) => `${ref}/${path}`)
  return assemble(ref, location, weights, chosen.files.map(lying), [...leftOut, ...chosen.leftOut], index)
}

function assemble(
  ref: string,
  location: string,
  weights: readonly WeightsFile[],
  files: Checkpoint['files'],
  leftOut: readonly LeftOut[],
  index: ReadonlyMap<string, string> | undefined,
): Checkpoint {
  const headers = new Map(weights.map(({ path, header }) => [path, header]))
  const tensors = within(ref, () => assembleCheckpoint(headers, index))
  const fileOf = new Map(weights.map((file) => [file.path, file]))
  const slices = new Map(
    tensors.map(({ name, path, begin, end, dtype }) => {
      const file = fileOf.get(path)
      invariant(file, 'a tensor lies in a file that was read')
      return [name, { path: file.location, offset: dataStartOf(file.header) + begin, bytes: end - begin, dtype }]
    }),
  )
  return {
    ref,
    location,
    weights,
    tensors,
    files,
    leftOut,
    bytes: tensors.reduce((sum, { begin, end }) => sum + end - begin, 0),
    slice: (tensor) => {
      const slice = slices.get(tensor)
      invariant(slice, `${ref} has a tensor ${tensor}`)
      return slice
    },
  }
}

const LOOKS_LIKE_REPOSITORY = /^[A-Za-z0-9][\w.-]*\/[\w.-]+$/

function notThere(ref: string): TributaryError {
  return new TributaryError('REFERENCE_NOT_FOUND', `${shown(ref)} is neither a directory nor a file here`, {
    details: { ref },
    hint: LOOKS_LIKE_REPOSITORY.test(ref)
      ? 'if it is a model of a hub, download it first; if it is a contribution, ask its replica to merge'
      : 'paths in a recipe are relative to its directory, others to the current one',
  })
}

async function indexOf(files: FileSystem, location: string, ref: string) {
  const text = new TextDecoder().decode(await readSmallFile(files, location))
  return within(ref, () => parseIndex(text))
}

async function listFiles(files: FileSystem, root: string) {
  const listed: ListedFile[] = []
  const leftOut: LeftOut[] = []
  const walk = async (directory: string, prefix: string, depth: number): Promise<void> => {
    for (const name of await files.list(directory)) {
      const path = prefix + name
      const location = join(directory, name)
      const found = await files.stat(location)
      if (found?.kind === 'directory') {
        if (name.startsWith('.')) leftOut.push({ path: `${path}/`, why: 'it is a hidden directory' })
        else if (depth === DIRECTORIES_DEEP_MAX) leftOut.push({ path: `${path}/`, why: 'it lies too deep' })
        else await walk(location, `${path}/`, depth + 1)
      } else if (found?.kind === 'file') listed.push({ path, bytes: found.bytes })
      else leftOut.push({ path, why: 'it is no plain file' })
      if (listed.length > FILES_MAX)
        throw new TributaryError('PATH_INVALID', `${shown(root)} holds more than ${FILES_MAX} files`, {
          hint: 'name the directory of the checkpoint itself',
        })
    }
  }
  await walk(root, '', 0)
  return { listed, leftOut }
}

async function readHeaders(
  files: FileSystem,
  weights: readonly (ListedFile & { readonly location: string })[],
  nameOf: (path: string) => string,
): Promise<WeightsFile[]> {
  const read: WeightsFile[] = []
  for (const file of weights) {
    const { header, stored } = await withFile(files, file.location, (open) =>
      readHeader(open, file.bytes, nameOf(file.path)),
    )
    read.push({ ...file, header, headerDigest: sha256Hex(stored) as FileDigest })
  }
  return read
}

export async function readHeader(file: OpenFile, fileBytes: number, name: string) {
  const reader = new HeaderReader({ fileBytes })
  const chunk = new Uint8Array(HEADER_STEP_BYTES)
  for (let position = 0; ;) {
    const count = await file.read(chunk, position)
    position += count
    const done = within(name, () => reader.push(chunk.slice(0, count)))
    if (done !== undefined) return done
    if (count === 0)
      within(name, () => {
        reader.end()
      })
  }
}

export async function withFile<T>(
  files: FileSystem,
  location: string,
  work: (file: OpenFile) => Promise<T>,
): Promise<T> {
  const file = await files.openForReading(location)
  if (file === undefined)
    throw new TributaryError('FILE_NOT_FOUND', `${shown(location)} is gone`, {
      hint: 'it was there a moment ago: run it again',
    })
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}

/** For JSON beside the weights, which is read whole. */
const SMALL_BYTES_MAX = 64 * 1024 * 1024

export const readSmallFile = (files: FileSystem, location: string): Promise<Uint8Array> =>
  withFile(files, location, async (file) => {
    const bytes = new Uint8Array(Math.min(await file.bytes(), SMALL_BYTES_MAX))
    return bytes.subarray(0, await file.read(bytes, 0))
  })

/** A refusal says which file or checkpoint it is about. */
function within<T>(name: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!isTributaryError(error) || error.message.includes(name)) throw error
    const { code, message, details, hint, cause } = error
    throw new TributaryError(code, `${name}: ${message}`, {
      details: { ...details, path: name },
      cause,
      ...(hint !== undefined && { hint }),
    })
  }
}
