/**
 * Fetches the files of a model into a directory. A file gets its name only when it is whole, its digest held to what the
 * replica said; what was broken off goes on where it stopped. A path that leads out of the directory is refused.
 */
import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isTributaryError, TributaryError } from '../core/errors.ts'
import { inPath, type ReplicaClient } from './client.ts'
import { shown } from './text.ts'

const MARKER = '.tributary/pull'

/** New, empty, or begun by a pull of the same model. */
export async function claimDirectory(out: string, model: string): Promise<void> {
  const entries = await readdir(out).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  })
  const begun = await readFile(join(out, MARKER), 'utf8').catch(() => '')
  if (entries.length > 0 && begun !== model)
    throw new TributaryError('OUTPUT_EXISTS', `${out} holds something already`, {
      hint: 'give a directory that is new or empty with --out',
    })
  await mkdir(join(out, dirname(MARKER)), { recursive: true })
  await writeFile(join(out, MARKER), model)
}

export const releaseDirectory = (out: string): Promise<void> =>
  rm(join(out, dirname(MARKER)), { recursive: true, force: true })

/** Plain segments only: the list of files comes from elsewhere. */
export function checkPath(path: string): void {
  const segments = path.split('/')
  const plain = (segment: string) => segment !== '' && segment !== '.' && segment !== '..' && shown(segment) === segment
  if (segments.every(plain) && !/[\\:]/.test(path) && segments[0] !== dirname(MARKER)) return
  throw new TributaryError('PATH_INVALID', `the replica lists a file ${path}, which is no plain path`, {
    hint: 'do not trust this replica; nothing was written there',
  })
}

export interface FileToFetch {
  readonly client: ReplicaClient
  readonly model: string
  readonly path: string
  readonly out: string
  /** Bytes that are there now, those of an earlier pull included. */
  readonly onBytes: (bytes: number) => void
  /** Some came. */
  readonly onFetched: () => void
}

/** Answers without asking where an earlier pull has finished the file. */
export async function fetchFile(file: FileToFetch): Promise<void> {
  const target = join(file.out, ...file.path.split('/'))
  const there = await sizeOf(target)
  if (there !== undefined) {
    file.onBytes(there)
    return
  }
  const partial = `${target}.part`
  await mkdir(dirname(target), { recursive: true })
  try {
    await fetchRest(file, partial, (await sizeOf(partial)) ?? 0)
  } catch (error) {
    // a part that is longer than the file, or spoilt, is no help
    if (isTributaryError(error) && error.code === 'DIGEST_MISMATCH') await rm(partial, { force: true })
    if (!isTributaryError(error) || error.code !== 'RANGE_NOT_SATISFIABLE') throw error
    await rm(partial, { force: true })
    await fetchRest(file, partial, 0)
  }
  await rename(partial, target)
}

async function fetchRest(file: FileToFetch, partial: string, from: number): Promise<void> {
  const { client, model, path, onBytes, onFetched } = file
  const response = await client.download(`/v1/models/${inPath(model)}/files/${inPath(path)}`, { from })
  const start = response.status === 206 ? from : 0
  const handle = await open(partial, start === 0 ? 'w' : 'r+')
  try {
    const hash = createHash('sha256')
    if (start > 0) {
      for await (const chunk of handle.createReadStream({ start: 0, end: start - 1, autoClose: false }))
        hash.update(chunk as Uint8Array)
      onBytes(start)
    }
    let position = start
    for await (const chunk of client.body(response)) {
      hash.update(chunk)
      await handle.write(chunk, 0, chunk.length, position)
      position += chunk.length
      onBytes(chunk.length)
      onFetched()
    }
    await handle.sync()
    checkWhole(path, position - start, response)
    checkDigest(path, hash.digest('base64'), response.headers.get('repr-digest'))
  } finally {
    await handle.close()
  }
}

function checkWhole(path: string, bytes: number, response: Response): void {
  const promised = response.headers.get('content-length')
  if (promised !== null && Number(promised) !== bytes)
    throw new TributaryError('NETWORK', `${path} stopped after ${bytes} of ${promised} bytes`, {
      hint: 'run the same command again; what was fetched is kept',
    })
}

function checkDigest(path: string, found: string, told: string | null): void {
  const expected = told === null ? undefined : /sha-256=:([A-Za-z0-9+/=]+):/.exec(told)?.[1]
  if (expected === undefined || expected === found) return
  const inHex = (text: string) => Buffer.from(text, 'base64').toString('hex')
  throw new TributaryError('DIGEST_MISMATCH', `${path} is not what the replica says it is`, {
    details: { expected: inHex(expected), found: inHex(found) },
    hint: 'the transfer was damaged; run the same command again',
  })
}

const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    },
  )
