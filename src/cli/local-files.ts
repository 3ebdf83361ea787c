/** The files of a checkpoint as they lie on this machine, listed to be sent. Links are followed, as caches of models use them. */
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

export interface LocalFile {
  /** Within the model, with forward slashes. */
  readonly path: string
  readonly at: string
  readonly bytes: number
  readonly modifiedMs: number
}

/** A file alone is a whole model, under the name that loaders look for. */
const SINGLE = 'model.safetensors'

/** Files below hidden directories are never part of a model. `leftOut` names others that are not. */
export async function listFiles(path: string, leftOut: ReadonlySet<string>): Promise<readonly LocalFile[]> {
  const about = await stat(path)
  if (!about.isDirectory())
    return [
      {
        path: path.endsWith('.safetensors') ? SINGLE : basename(path),
        at: path,
        bytes: about.size,
        modifiedMs: about.mtimeMs,
      },
    ]
  const files: LocalFile[] = []
  const walk = async (within: string): Promise<void> => {
    for (const name of (await readdir(join(path, within))).sort()) {
      const relative = within === '' ? name : `${within}/${name}`
      const at = join(path, relative)
      const entry = await stat(at)
      if (entry.isDirectory() && !name.startsWith('.')) await walk(relative)
      else if (entry.isFile() && !leftOut.has(relative))
        files.push({ path: relative, at, bytes: entry.size, modifiedMs: entry.mtimeMs })
    }
  }
  await walk('')
  return files
}
