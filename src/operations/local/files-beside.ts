/** The files of an output beside its weights: where each comes from, and its bytes written. */
import { createReadStream } from 'node:fs'
import { utf8 } from '../../core/bytes.ts'
import { TributaryError } from '../../core/errors.ts'
import { invariant } from '../../core/invariant.ts'
import { type Digested, hashFile } from '../../merging/digest-checkpoint.ts'
import { carriedIn, CONFIG_PATH, type OutputFile, outputFilesOf } from '../../merging/output-files.ts'
import type { OutputWeights } from '../../merging/output-weights.ts'
import { readSmallFile } from '../../merging/read-checkpoint.ts'
import type { Resolved } from '../../recipes/resolve.ts'
import { shown } from '../../tensors/names.ts'
import type { LocalContext } from './local-context.ts'
import type { OutputDirectory } from './output-directory.ts'
import type { Source } from './sources.ts'

export interface FoundFile {
  readonly file: OutputFile
  /** Where a carried file lies. */
  readonly location?: string
}

/** Every file of the output, and for those carried over a source that has it. */
export async function findFiles(
  resolved: Resolved,
  digested: ReadonlyMap<Source, Digested>,
  { files }: LocalContext,
): Promise<readonly FoundFile[]> {
  const locations = new Map<string, string>()
  for (const { checkpoint, manifest } of digested.values())
    for (const { path, sha256 } of manifest.files) {
      const location = checkpoint.files.find((file) => file.path === path)?.location
      if (location !== undefined) locations.set(`${sha256} ${path}`, location)
    }
  const locate = (path: string, sha256: string) => {
    const location = locations.get(`${sha256} ${path}`)
    invariant(location, `${path} came with a source`)
    return location
  }
  const config = carriedIn(resolved).find(([path]) => path === CONFIG_PATH)
  const bytes = config && (await readSmallFile(files, locate(...config)))
  return outputFilesOf(resolved, bytes).map((file) => ({
    file,
    ...(file.kind === 'carried' && { location: locate(file.path, file.sha256) }),
  }))
}

/** What is known before the weights are. */
export async function writeBeside(
  output: OutputDirectory,
  files: readonly FoundFile[],
  { index }: OutputWeights,
  context: LocalContext,
) {
  for (const file of files) await writeFile(output, file, context)
  if (index) await output.write(index[0], utf8(index[1]))
}

async function writeFile(output: OutputDirectory, { file, location }: FoundFile, { files }: LocalContext) {
  if (file.kind === 'written') return output.write(file.path, file.bytes)
  invariant(location, 'a carried file lies somewhere')
  await output.copy(file.path, createReadStream(location))
  const { sha256 } = await hashFile(files, output.locate(file.path), file.path)
  if (sha256 !== file.sha256) throw changed(location)
}

export const changed = (location: string) =>
  new TributaryError('DIGEST_MISMATCH', `${shown(location)} changed while the merge ran`, {
    hint: 'let whoever writes it finish, then run it again',
  })
