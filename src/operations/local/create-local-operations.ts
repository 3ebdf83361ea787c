/** The operations on local checkpoints, wired to what they work with. */
import { mkdtemp, open, rm } from 'node:fs/promises'
import { arch, platform, tmpdir } from 'node:os'
import { join, resolve as resolvePath } from 'node:path'
import { auditLocal } from '../../audit/audit-local.ts'
import type { Strategy } from '../../core/strategy.ts'
import type { Merger } from '../../merging/merger.ts'
import type { FileSystem } from '../../storage/file-system.ts'
import { createDigestCache } from './digest-cache.ts'
import type { LocalContext } from './local-context.ts'
import type { LocalOperations, LocalWatch } from './local-operations.ts'
import { digestPath, inspectPath } from './look.ts'
import { createMeasureCache } from './measure-cache.ts'
import { mergeLocal } from './merge-local.ts'
import { planLocal } from './plan-local.ts'

export interface LocalParts {
  readonly merger: Merger
  readonly files: FileSystem
  readonly strategies: readonly Strategy[]
  readonly version: string
  /** Where content roots of files are kept; absent: every file is hashed every time. */
  readonly cacheDirectory?: string | undefined
  readonly now?: () => Date
}

export function createLocalOperations(parts: LocalParts): LocalOperations {
  const { merger, files, strategies, version, cacheDirectory, now = () => new Date() } = parts
  const context: LocalContext = {
    merger,
    files,
    strategies,
    ...(cacheDirectory !== undefined && {
      cache: createDigestCache(cacheDirectory, () => now().getTime()),
      measures: createMeasureCache(cacheDirectory, strategies),
    }),
    now,
    program: `tributary ${version}`,
    machine: `${platform()} ${arch()}, node ${process.versions.node}`,
  }
  return {
    mergeLocal: (request, watch) => mergeLocal(request, context, watch),
    planLocal: (recipe) => planLocal(recipe, context),
    auditLocal: ({ target, inputs }, watch = {}) =>
      withScratch((scratch) =>
        auditLocal(
          { target: resolvePath(target), inputs: inputs.map((path) => resolvePath(path)), scratch },
          context,
          auditWatchOf(target, watch),
        ),
      ),
    digestPath: (path, watch) => digestPath(path, context, watch),
    inspectPath: (path) => inspectPath(path, context),
    close: () => merger.close(),
  }
}

const auditWatchOf = (target: string, { onProgress, signal }: LocalWatch) => ({
  ...(signal && { signal }),
  onProgress: (done: number, total: number) =>
    onProgress?.({ phase: 'verifying', what: target, bytes_done: done, bytes_total: total }),
})

async function withScratch<T>(use: (path: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'tributary-audit-'))
  try {
    const path = join(directory, 'tensor')
    await (await open(path, 'wx')).close()
    return await use(path)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
