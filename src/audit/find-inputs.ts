/**
 * The inputs of a merge, found by content among directories: those noted beside the output, and those the auditor names.
 * Everything is digested anew; no cache is asked.
 */
import { dirname, join } from 'node:path'
import { isRecord } from '../core/canonical.ts'
import { isTributaryError } from '../core/errors.ts'
import type { Statement } from '../core/receipt.ts'
import { type Digested, digestCheckpoint, firstDifference } from '../merging/digest-checkpoint.ts'
import type { Merger, Watch } from '../merging/merger.ts'
import { type Checkpoint, readCheckpoint, readSmallFile } from '../merging/read-checkpoint.ts'
import type { FileSystem } from '../storage/file-system.ts'
import { type AuditDifference, Difference } from './audit-report.ts'

interface Noted {
  readonly path: string
  readonly content: string
  readonly tensors: readonly { readonly name: string; readonly root: string }[]
}

export interface FindRequest {
  readonly statement: Statement
  /** That of the output, where sources may be noted. */
  readonly directory: string
  readonly inputs: readonly string[]
  readonly files: FileSystem
  readonly merger: Merger
  readonly watch: Watch
}

export interface FoundInputs {
  readonly byContent: ReadonlyMap<string, Digested>
  readonly missing: readonly { readonly content: string; readonly what: string }[]
  readonly notes: readonly string[]
}

export async function findInputs(request: FindRequest): Promise<FoundInputs> {
  const { statement } = request
  const wanted = new Map<string, string>()
  if (statement.base !== undefined) wanted.set(statement.base, 'the base')
  statement.inputs.forEach((record, i) => {
    const content = record['content'] as string // a receipt that parses has it
    if (!wanted.has(content)) wanted.set(content, `input ${i}`)
  })
  const byContent = new Map<string, Digested>()
  const notes: string[] = []
  let bytes = 0
  const digest = async (checkpoint: Checkpoint): Promise<Digested> => {
    const before = bytes
    bytes += checkpoint.bytes
    const onProgress = (done: number) => request.watch.onProgress?.(before + done)
    return digestCheckpoint(checkpoint, request, { ...request.watch, onProgress })
  }
  for (const path of request.inputs)
    for (const checkpoint of await checkpointsAt(path, request.files)) {
      const digested = await digest(checkpoint)
      const { content } = digested.manifest
      if (wanted.has(content)) byContent.set(content, digested)
      else notes.push(`${checkpoint.ref} is ${content}, which this merge does not use`)
    }
  const changed: AuditDifference[] = []
  for (const noted of await readNoted(request)) {
    if (!wanted.has(noted.content) || byContent.has(noted.content)) continue
    try {
      const digested = await digest(await readCheckpoint(request.files, noted.path))
      if (digested.manifest.content === noted.content) byContent.set(noted.content, digested)
      else changed.push(differenceOf(noted, digested, wanted.get(noted.content) ?? 'an input'))
    } catch (error) {
      if (!isTributaryError(error) || error.code === 'MERGE_CANCELLED' || error.code === 'WORKER_DIED') throw error
      if (error.code === 'REFERENCE_NOT_FOUND') notes.push(`${noted.path} is not there any more`)
      else changed.push(unreadable(noted, error.message, wanted.get(noted.content) ?? 'an input'))
    }
  }
  const [first] = changed.filter(({ expected }) => !byContent.has(expected))
  if (first) throw new Difference(first)
  const missing = [...wanted].filter(([content]) => !byContent.has(content))
  return { byContent, missing: missing.map(([content, what]) => ({ content, what })), notes }
}

/** The content root is what the receipt vouches for; the tensor is what the notes beside the output say. */
function differenceOf({ path, content, tensors }: Noted, { manifest }: Digested, what: string): AuditDifference {
  const first = firstDifference(tensors, manifest.tensors)
  return {
    what: 'input',
    name: path,
    ...(first && { tensor: first.tensor }),
    expected: content,
    found: manifest.content,
    message: `${what}, ${path}, is not the model that was merged${first ? `: tensor ${first.tensor} differs` : ''}`,
  }
}

const unreadable = ({ path, content }: Noted, why: string, what: string): AuditDifference => ({
  what: 'input',
  name: path,
  expected: content,
  found: 'unreadable',
  message: `${what}, ${path}, is not the model that was merged: ${why}`,
})

/** A checkpoint, or a directory of checkpoints. */
async function checkpointsAt(path: string, files: FileSystem): Promise<readonly Checkpoint[]> {
  try {
    return [await readCheckpoint(files, path)]
  } catch (error) {
    if (!isTributaryError(error) || error.code !== 'CHECKPOINT_EMPTY') throw error
    const found: Checkpoint[] = []
    for (const name of await files.list(path)) {
      const below = join(path, name)
      if ((await files.stat(below))?.kind !== 'directory' || name.startsWith('.')) continue
      try {
        found.push(await readCheckpoint(files, below))
      } catch (failure) {
        if (!isTributaryError(failure) || failure.code !== 'CHECKPOINT_EMPTY') throw failure
      }
    }
    if (found.length === 0) throw error
    return found
  }
}

/** Where the inputs lay when the merge ran. Damaged notes help nobody, and harm nobody. */
async function readNoted({ directory, files }: FindRequest): Promise<readonly Noted[]> {
  const location = join(directory, '.tributary', 'sources.json')
  if ((await files.stat(location))?.kind !== 'file') return []
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(await readSmallFile(files, location)))
    const list: readonly unknown[] = isRecord(value) && Array.isArray(value['sources']) ? value['sources'] : []
    return list.flatMap((entry): Noted[] => {
      if (!isRecord(entry) || typeof entry['path'] !== 'string' || typeof entry['content'] !== 'string') return []
      return [{ path: entry['path'], content: entry['content'], tensors: rootsIn(entry['tensors']) }]
    })
  } catch {
    return []
  }
}

const rootsIn = (value: unknown): Noted['tensors'] =>
  (Array.isArray(value) ? (value as readonly unknown[]) : []).flatMap((pair) => {
    const [name, root] = Array.isArray(pair) ? (pair as readonly unknown[]) : []
    return typeof name === 'string' && typeof root === 'string' ? [{ name, root }] : []
  })

export const directoryOf = async (target: string, files: FileSystem): Promise<string> =>
  (await files.stat(target))?.kind === 'directory' ? target : dirname(target)
