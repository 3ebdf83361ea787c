/**
 * Uploads under way, by what is sent and where to, so that the same command given again goes on where it stopped. It is
 * a cache: what can't be read is forgotten, what can't be written costs a resume and nothing else.
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { LocalFile } from './local-files.ts'

export interface UploadMemory {
  find(): Promise<string | undefined>
  keep(upload: string): Promise<void>
  forget(): Promise<void>
}

/** A file that changed since is another upload. */
export function uploadMemory(cacheDirectory: string, url: string, files: readonly LocalFile[]): UploadMemory {
  const key = createHash('sha256')
  key.update(
    JSON.stringify([url, files.map(({ path, at, bytes, modifiedMs }) => [path, resolve(at), bytes, modifiedMs])]),
  )
  const folder = join(cacheDirectory, 'uploads')
  const file = join(folder, key.digest('hex'))
  return {
    find: async () => {
      const text = await readFile(file, 'utf8').catch(() => '')
      return /^[\w-]{1,128}$/.test(text) ? text : undefined
    },
    keep: async (upload) => {
      await mkdir(folder, { recursive: true, mode: 0o700 }).catch(() => undefined)
      await writeFile(file, upload, { mode: 0o600 }).catch(() => undefined)
    },
    forget: () => rm(file, { force: true }).catch(() => undefined),
  }
}
