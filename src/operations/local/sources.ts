/** The checkpoints that a recipe on this machine names: found, read through their headers, each once. */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve as resolvePath } from 'node:path'
import { TributaryError } from '../../core/errors.ts'
import { type Checkpoint, readCheckpoint } from '../../merging/read-checkpoint.ts'
import { type LoadedRecipe, loadRecipe } from '../../recipes/load.ts'
import type { Recipe } from '../../recipes/recipe.ts'
import { printRef, type Ref } from '../../recipes/refs.ts'
import type { FileSystem } from '../../storage/file-system.ts'
import { shown } from '../../tensors/names.ts'

/** A checkpoint, and every way the recipe spells its path. */
export interface Source {
  readonly refs: readonly string[]
  readonly checkpoint: Checkpoint
}

export interface Sources {
  readonly loaded: LoadedRecipe
  readonly inputs: readonly Source[]
  readonly base?: Source
  readonly filesFrom?: Source
  /** Each checkpoint once. */
  readonly all: readonly Source[]
}

export async function openSources(files: FileSystem, recipePath: string): Promise<Sources> {
  const loaded = loadRecipe(await readRecipe(recipePath), { allowPaths: true, name: recipePath })
  const directory = dirname(resolvePath(recipePath))
  const { recipe } = loaded
  const inputRefs = refsOf(recipe)
  const extra = [recipe.base, recipe.out.filesFrom].filter((ref) => ref !== undefined)
  const spelled = new Map<string, string[]>()
  for (const ref of [...inputRefs, ...extra]) {
    const refs = spelled.get(locate(ref, directory)) ?? []
    if (!refs.includes(printRef(ref))) refs.push(printRef(ref))
    spelled.set(locate(ref, directory), refs)
  }
  const known = new Map<string, Source>()
  for (const [location, refs] of spelled)
    known.set(location, { refs, checkpoint: await readCheckpoint(files, location, refs[0]) })
  const sourceOf = (ref: Ref | undefined) => (ref === undefined ? undefined : known.get(locate(ref, directory)))
  const base = sourceOf(recipe.base)
  const filesFrom = sourceOf(recipe.out.filesFrom)
  return {
    loaded,
    inputs: [...new Set(inputRefs.map(sourceOf))].filter((source) => source !== undefined),
    ...(base && { base }),
    ...(filesFrom && { filesFrom }),
    all: [...known.values()],
  }
}

async function readRecipe(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const isDirectory = (cause as { code?: string }).code === 'EISDIR'
    throw new TributaryError(
      'FILE_NOT_FOUND',
      isDirectory ? `${shown(path)} is a directory, where a recipe is wanted` : `there is no recipe ${shown(path)}`,
      { cause, hint: 'name a YAML file: mergekit\'s form, or one that begins with "tributary: 1"' },
    )
  }
}

/** What a local recipe merges: what it selects, else everything it gives a weight, params or a part. */
function refsOf({ select, weights, paramsFor, overridesFor, roles, order }: Recipe): readonly Ref[] {
  const refs = select.contributions ?? [
    ...(Array.isArray(weights) ? (weights as readonly (readonly [Ref, number])[]).map(([ref]) => ref) : []),
    ...paramsFor.map(([ref]) => ref),
    ...overridesFor.map(([ref]) => ref),
    ...roles.map(([, ref]) => ref),
    ...(order ?? []),
  ]
  if (refs.length === 0)
    throw new TributaryError('NOTHING_SELECTED', 'the recipe names no model to merge', {
      pointer: '/select',
      hint: 'add select: {contributions: [PATH, …]}',
    })
  return refs
}

function locate(ref: Ref, directory: string): string {
  if (ref.kind !== 'path')
    throw new TributaryError(
      'REFERENCE_NOT_ALLOWED',
      `${shown(printRef(ref))} names a model of a replica, and this merge runs on this machine's files alone`,
      { hint: 'pull it first and name its directory, or ask the replica to merge' },
    )
  const { path } = ref
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : resolvePath(directory, path)
}
