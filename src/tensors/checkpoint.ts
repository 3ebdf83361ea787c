/**
 * A checkpoint directory seen through its file list and headers: which files are weights, whether the index tells the
 * truth about them, and how a new one is cut into shards. Nothing is guessed: what is left out is listed with its reason.
 */
import { TributaryError } from '../core/errors.ts'
import { at } from '../core/invariant.ts'
import { isPickleName } from './file-kinds.ts'
import { checkModelPath, shown, sortByUtf8 } from './names.ts'
import type { SafetensorsHeader, TensorEntry } from './safetensors.ts'
import { isJsonObject, type JsonObject, parseStrictJson } from './strict-json.ts'

export const INDEX_PATH = 'model.safetensors.index.json'
export const SINGLE_PATH = 'model.safetensors'
const INDEX_BYTES_MAX = 64 * 1024 * 1024
const SHARD_NAME = /^[A-Za-z0-9._-]+\.safetensors$/

export interface ListedFile {
  readonly path: string
  readonly bytes: number
}

export interface LeftOut {
  readonly path: string
  readonly why: string
}

export interface CheckpointFiles {
  /** Safetensors files that hold the model's tensors, by UTF-8 bytes. */
  readonly weights: readonly string[]
  /** What belongs to the model beside them: config, tokenizer, card. The index, where there is one, is among them. */
  readonly files: readonly string[]
  /** Warnings: files that are not taken, and why. */
  readonly leftOut: readonly LeftOut[]
}

/** Where a tensor of a checkpoint lies. */
export interface PlacedTensor extends TensorEntry {
  readonly path: string
}

/** Which shard the index says each tensor is in. */
export type WeightMap = ReadonlyMap<string, string>

const mismatch = (
  why: string,
  hint = 'save the checkpoint again, or remove the index: it is made anew from the shards',
) => new TributaryError('INDEX_MISMATCH', why, { hint })

/** Only `weight_map` counts; `metadata.total_size` is wrong in too many real checkpoints to mean anything. */
export function parseIndex(text: string): WeightMap {
  if (text.length > INDEX_BYTES_MAX) throw mismatch(`${INDEX_PATH} is larger than ${INDEX_BYTES_MAX} bytes`)
  const index = parseStrictJson(text, 8, {
    syntax: (what, offset) => {
      throw mismatch(`${INDEX_PATH} is not JSON: ${what} at character ${offset}`)
    },
    duplicateKey: (key, _depth, offset) => {
      throw mismatch(`${INDEX_PATH} has the key ${shown(key)} twice, the second time at character ${offset}`)
    },
  })
  const weightMap = isJsonObject(index) ? index.get('weight_map') : undefined
  if (!isJsonObject(weightMap)) throw mismatch(`${INDEX_PATH} has no weight_map`)
  return checkWeightMap(weightMap)
}

function checkWeightMap(weightMap: JsonObject): WeightMap {
  const shards = new Map<string, string>()
  for (const [name, shard] of weightMap) {
    if (typeof shard !== 'string' || !SHARD_NAME.test(shard))
      throw mismatch(
        `${INDEX_PATH} puts tensor ${shown(name)} into ${shown(typeof shard === 'string' ? shard : 'something that is no text')}, which is no name of a shard`,
        'shards are files beside the index, named by letters, digits, dots, dashes and underscores, ending in .safetensors',
      )
    shards.set(name, shard)
  }
  return shards
}

const isSafetensors = (path: string): boolean => path.endsWith('.safetensors')
const isHidden = (path: string): boolean =>
  path
    .split('/')
    .slice(0, -1)
    .some((segment) => segment.startsWith('.'))

/** The safetensors files that hold the weights, before any of them is opened. */
function weightsAmong(paths: readonly string[], index: WeightMap | undefined): Set<string> {
  const present = paths.filter((path) => isSafetensors(path) && !path.includes('/'))
  if (index === undefined)
    // as loaders do: a file of this name is the whole model, and what lies beside it is something else
    return new Set(present.includes(SINGLE_PATH) ? [SINGLE_PATH] : present)
  const named = new Set(index.values())
  const missing = sortByUtf8(named, (shard) => shard).filter((shard) => !present.includes(shard))
  if (missing.length > 0) {
    const lost = [...index.values()].filter((shard) => missing.includes(shard)).length
    throw mismatch(
      `${INDEX_PATH} names ${missing.length} of ${named.size} shards that are not there, the first ${shown(at(missing, 0))}, with ${lost} tensors in all`,
      'fetch or upload the missing shards',
    )
  }
  if (present.includes(SINGLE_PATH) && !named.has(SINGLE_PATH))
    throw mismatch(
      `the directory holds both ${SINGLE_PATH} and an index of other shards: loaders disagree about which is the model`,
      `remove either ${SINGLE_PATH} or the shards with their index`,
    )
  return named
}

/** Sorts a directory's files into weights, files kept beside them, and files left out. */
export function chooseFiles(listed: readonly ListedFile[], index?: WeightMap): CheckpointFiles {
  const paths = sortByUtf8(listed, ({ path }) => path).map(({ path }) => path)
  for (const [i, path] of paths.entries()) {
    checkModelPath(path)
    if (path === paths[i - 1])
      throw new TributaryError('PATH_INVALID', `the file ${shown(path)} is listed twice`, {
        hint: 'list each file once',
      })
  }
  const weights = weightsAmong(paths, index)
  const files: string[] = []
  const leftOut: LeftOut[] = []
  for (const path of paths) {
    if (weights.has(path)) continue
    if (isHidden(path)) leftOut.push({ path, why: 'it lies in a hidden directory' })
    else if (isPickleName(path))
      leftOut.push({ path, why: 'its name is that of a pickle, which can run code when opened' })
    else if (isSafetensors(path)) leftOut.push({ path, why: whyNoWeights(path, index) })
    else files.push(path)
  }
  if (weights.size === 0) throw checkpointEmpty(paths)
  return { weights: sortByUtf8(weights, (path) => path), files, leftOut }
}

function whyNoWeights(path: string, index: WeightMap | undefined): string {
  if (path.includes('/')) return 'it lies in a subdirectory: only the weights at the top are the model'
  return index === undefined ? `${SINGLE_PATH} is the whole model` : 'the index does not name it'
}

function checkpointEmpty(paths: readonly string[]): TributaryError {
  const pickle = paths.find(isPickleName)
  const nested = paths.find(isSafetensors)
  return new TributaryError('CHECKPOINT_EMPTY', `none of the ${paths.length} files is a safetensors file at the top`, {
    hint:
      pickle !== undefined
        ? `convert ${shown(pickle)} to safetensors where you trust it`
        : nested !== undefined
          ? `push ${shown(nested.slice(0, nested.lastIndexOf('/')))} instead`
          : 'save the model with safetensors first',
  })
}

/** Every tensor of the checkpoint, by UTF-8 bytes of name. Each must be in one shard, and the index must say so of all. */
export function assembleCheckpoint(
  headers: ReadonlyMap<string, SafetensorsHeader>,
  index?: WeightMap,
): readonly PlacedTensor[] {
  const placed = new Map<string, PlacedTensor>()
  for (const [path, header] of sortByUtf8(headers, ([path]) => path)) {
    for (const tensor of header.tensors) {
      const earlier = placed.get(tensor.name)
      if (earlier !== undefined)
        throw new TributaryError(
          'SAFETENSORS_DUPLICATE_NAME',
          `tensor ${shown(tensor.name)} is in two shards, ${shown(earlier.path)} and ${shown(path)}`,
          { hint: 'remove the shards of another save from the directory' },
        )
      placed.set(tensor.name, { ...tensor, path })
    }
  }
  if (index !== undefined) checkIndex(placed, headers, index)
  return sortByUtf8(placed.values(), ({ name }) => name)
}

function checkIndex(
  placed: ReadonlyMap<string, PlacedTensor>,
  headers: ReadonlyMap<string, SafetensorsHeader>,
  index: WeightMap,
): void {
  for (const [name, shard] of index) {
    const actual = placed.get(name)?.path
    if (actual === shard) continue
    const held = headers.get(shard)?.tensors.length
    throw mismatch(
      `${INDEX_PATH} puts tensor ${shown(name)} into ${shown(shard)}, ${
        held === undefined ? 'which was not read' : `which holds ${held} tensors, none of that name`
      }${actual === undefined ? '' : `; it is in ${shown(actual)}`}`,
    )
  }
  for (const { name, path } of placed.values())
    if (!index.has(name))
      throw mismatch(`${shown(path)} holds tensor ${shown(name)}, which ${INDEX_PATH} does not name`)
}
