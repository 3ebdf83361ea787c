/**
 * Tensor roots of files that were hashed before, in the user's cache directory. A file is known by device, inode, size and
 * times to the nanosecond: one that changed has another key. Whatever is wrong with the cache, the file is hashed again.
 */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { utf8 } from '../../core/bytes.ts'
import { isRecord } from '../../core/canonical.ts'
import { sha256Hex } from '../../core/digest.ts'
import { isHex64 } from '../../core/ids.ts'
import type { DigestCache } from '../../merging/digest-checkpoint.ts'
import type { WeightsFile } from '../../merging/read-checkpoint.ts'
import type { DigestOutcome } from '../../merging/task.ts'

/** A file this young may change again within one tick of the file system's clock, and would keep its key. */
const SETTLED_MS = 2000

export async function identityOf(location: string): Promise<{ readonly text: string; readonly changedAtMs: number }> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(location, { bigint: true })
  return { text: [dev, ino, size, mtimeNs, ctimeNs].join(' '), changedAtMs: Number(ctimeNs / 1_000_000n) }
}

export function createDigestCache(directory: string, now: () => number): DigestCache {
  const identities = new Map<string, string>()
  const pathOf = (identity: string, { headerDigest }: WeightsFile) => {
    const key = sha256Hex(utf8(`${identity} ${headerDigest}`))
    return join(directory, 'digests', key.slice(0, 2), `${key.slice(2)}.json`)
  }
  return {
    async find(file) {
      try {
        const { text } = await identityOf(file.location)
        identities.set(file.location, text)
        return parse(await readFile(pathOf(text, file), 'utf8'), file)
      } catch {
        return undefined // not there, or not readable: the same
      }
    },
    async keep(file, outcomes) {
      try {
        const { text, changedAtMs } = await identityOf(file.location)
        if (identities.get(file.location) !== text || now() - changedAtMs < SETTLED_MS) return
        const path = pathOf(text, file)
        const tensors = outcomes.map(({ name, root, notFinite }) => [name, root, notFinite])
        await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        await writeFile(`${path}.${process.pid}`, JSON.stringify({ v: 1, tensors }), { mode: 0o600 })
        await rename(`${path}.${process.pid}`, path)
      } catch {
        // a cache that can't be written costs time, nothing else
      }
    },
  }
}

/** For one merge, which asks more than once what the cache knows of a file. */
export function askedOnce(cache: DigestCache): DigestCache {
  const found = new Map<WeightsFile, ReturnType<DigestCache['find']>>()
  return {
    keep: (file, outcomes) => cache.keep(file, outcomes),
    find(file) {
      const known = found.get(file) ?? cache.find(file)
      found.set(file, known)
      return known
    },
  }
}

/** The outcomes of exactly this file's tensors, or nothing. */
function parse(text: string, { header }: WeightsFile): readonly DigestOutcome[] | undefined {
  const value: unknown = JSON.parse(text)
  if (!isRecord(value) || value['v'] !== 1 || !Array.isArray(value['tensors'])) return undefined
  const entries = value['tensors'] as readonly unknown[]
  if (entries.length !== header.tensors.length) return undefined
  const outcomes: DigestOutcome[] = []
  for (const { name } of header.tensors) {
    const entry = entries[outcomes.length]
    if (!Array.isArray(entry)) return undefined
    const [known, root, notFinite] = entry as readonly unknown[]
    const isWell = known === name && typeof root === 'string' && isHex64(root) && typeof notFinite === 'number'
    if (!isWell) return undefined
    outcomes.push({ name, root, notFinite })
  }
  return outcomes
}
