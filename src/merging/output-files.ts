/**
 * The files beside the merged weights: those the recipe carries over as they are, a config.json that tells the truth about
 * the dtype, and a model card. Pure, and without times, paths or names, so every run writes the same bytes.
 */
import { utf8 } from '../core/bytes.ts'
import { sha256Hex } from '../core/digest.ts'
import { TributaryError } from '../core/errors.ts'
import { invariant } from '../core/invariant.ts'
import type { Resolved } from '../recipes/resolve.ts'
import { type Dtype, isFloat } from '../tensors/dtypes.ts'
import { shown, sortByUtf8 } from '../tensors/names.ts'
import { cardOf } from './card.ts'
import { tellDtype } from './config-json.ts'

export const CONFIG_PATH = 'config.json'
export const CARD_PATH = 'README.md'

export type OutputFile =
  | { readonly path: string; readonly sha256: string; readonly kind: 'carried' }
  | { readonly path: string; readonly sha256: string; readonly kind: 'written'; readonly bytes: Uint8Array }

/** Files of the recipe's record, as they lie with the model they come from. */
export const carriedIn = ({ recipe }: Resolved): readonly (readonly [path: string, sha256: string])[] =>
  (recipe['out'] as { readonly files: readonly (readonly [string, string])[] }).files

/** The dtype that all float tensors of the output share. */
export function sharedDtypeOf({ alignment }: Resolved): Dtype | undefined {
  invariant(alignment, 'the output is known once all headers are here')
  const dtypes = new Set(alignment.tensors.map(({ dtype }) => dtype).filter(isFloat))
  return dtypes.size === 1 ? [...dtypes][0] : undefined
}

/** By UTF-8 bytes of path. `config`: the bytes of the config.json that is carried over, where one is. */
export function outputFilesOf(resolved: Resolved, config: Uint8Array | undefined): readonly OutputFile[] {
  const dtype = sharedDtypeOf(resolved)
  const carried = carriedIn(resolved).map(([path, sha256]): OutputFile => {
    if (path !== CONFIG_PATH) return { kind: 'carried', path, sha256 }
    invariant(config, 'a carried config.json was read')
    if (sha256Hex(config) !== sha256)
      throw new TributaryError('DIGEST_MISMATCH', `${shown(path)} is not the file that the recipe names`, {
        hint: 'it changed while the merge was prepared; run it again',
      })
    const told = dtype === undefined ? config : tellDtype(config, dtype)
    return told === config ? { kind: 'carried', path, sha256 } : written(path, told)
  })
  return sortByUtf8([...carried, written(CARD_PATH, utf8(cardOf(resolved)))], ({ path }) => path)
}

type Named = readonly (readonly [path: string, sha256: string])[]
const named = (files: readonly OutputFile[]): Named => files.map(({ path, sha256 }) => [path, sha256] as const)

/** What the statement names: a pure function of the merge. */
export const statedFiles = (files: readonly OutputFile[]): Named =>
  named(files.filter(({ path }) => path !== CARD_PATH))

/** The card is for people: its words may be mended without another statement, so what stands about the merge names it. */
export const describedFiles = (files: readonly OutputFile[]): Named =>
  named(files.filter(({ path }) => path === CARD_PATH))

const written = (path: string, bytes: Uint8Array): OutputFile => ({
  kind: 'written',
  path,
  bytes,
  sha256: sha256Hex(bytes),
})
