/**
 * One merge at a time for one output. The lock is a file beside it that says which process holds it; one whose process is
 * gone, however that ended, is taken over.
 */
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve as resolvePath } from 'node:path'
import { TributaryError } from '../../core/errors.ts'
import { shown } from '../../tensors/names.ts'
import { attempt, codeOf } from './output-directory.ts'

/** Held by this process: its own number in a lock of before, as after a restarted container, is another's. */
const held = new Set<string>()

export async function lockOutput(out: string): Promise<() => Promise<void>> {
  const place = resolvePath(out)
  const path = join(dirname(place), `.${basename(place)}.tributary.lock`)
  if (held.has(path)) throw inUse(out, process.pid)
  held.add(path)
  const release = async () => {
    held.delete(path)
    await rm(path, { force: true })
  }
  try {
    await attempt(`lock ${out}`, async () => {
      await mkdir(dirname(path), { recursive: true })
      while (!(await make(path))) await clearStale(path, out)
    })
    return release
  } catch (error) {
    held.delete(path)
    throw error
  }
}

/** Linked, so that it is there with what it says; where files can't be linked, it is empty for a moment. */
async function make(path: string): Promise<boolean> {
  const text = `${process.pid} ${await startedAt(process.pid)}\n`
  const own = `${path}.${process.pid}`
  try {
    await writeFile(own, text)
    await link(own, path).catch(async (error: unknown) => {
      if (codeOf(error) === 'EEXIST') throw error
      await writeFile(path, text, { flag: 'wx' })
    })
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await rm(own, { force: true })
  }
}

/** Renamed before it is removed: of two that find it stale, one does both. */
async function clearStale(path: string, out: string): Promise<void> {
  const text = await readUnlessGone(path)
  if (text === undefined) return
  const [pid = 0, started = ''] = text.trim().split(' ')
  if (await isRunning(Number(pid), started)) throw inUse(out, Number(pid))
  const stale = `${path}.${process.pid}`
  try {
    await rename(path, stale)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
  await rm(stale, { force: true })
}

async function isRunning(pid: number, started: string): Promise<boolean> {
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
  }
  const now = await startedAt(pid)
  return now === '' || started === '' || now === started
}

/** When a process began, as Linux counts it; elsewhere nothing, and then its number alone counts. */
async function startedAt(pid: number): Promise<string> {
  const text = (await readUnlessGone(`/proc/${pid}/stat`)) ?? ''
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

async function readUnlessGone(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return undefined
    throw error
  }
}

const inUse = (out: string, pid: number) =>
  new TributaryError('OUTPUT_IN_USE', `process ${pid} is merging into ${shown(out)}`, {
    details: { out, pid },
    hint: 'wait until it has ended, or choose another directory with --out',
  })
