import type { FileHandle } from 'node:fs/promises'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { OutputDirectory } from '../../../src/operations/local/output-directory.ts'

/** What reached the disk, in order, and what is refused. */
const disk = vi.hoisted(() => ({ log: [] as string[], refuses: (what: string): boolean => what === '' }))

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  const watched = (path: string, handle: FileHandle): FileHandle => {
    const sync = async (how: 'sync' | 'datasync') => {
      await handle[how]()
      disk.log.push(`${how} ${path}`)
      if (disk.refuses(`${how} ${path}`)) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
    }
    return new Proxy(handle, {
      get(target, key) {
        if (key === 'sync' || key === 'datasync') return () => sync(key)
        const value: unknown = Reflect.get(target, key, target)
        return typeof value === 'function' ? (value as (...all: unknown[]) => unknown).bind(target) : value
      },
    })
  }
  return {
    ...real,
    open: async (path: string, flags?: string) => watched(path, await real.open(path, flags)),
    rename: async (from: string, to: string) => {
      await real.rename(from, to)
      disk.log.push(`rename ${from} ${to}`)
    },
  }
})

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-output-'))
  disk.log = []
  disk.refuses = (what) => what === ''
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const WEIGHTS = [
  { path: 'model-1.safetensors', header: Uint8Array.of(1, 2, 3), bytes: 10 },
  { path: 'model-2.safetensors', header: Uint8Array.of(4), bytes: 4 },
]

async function begun(): Promise<OutputDirectory> {
  const output = OutputDirectory.at(join(folder, 'out'), 'ab'.repeat(32))
  await output.begin(WEIGHTS)
  for (let i = 0; i < 9; i++) await output.write(`beside-${i}.json`, Uint8Array.of(i))
  await output.write('deep/er/file.json', Uint8Array.of(7))
  return output
}

test('[DUR-5] an output is put in its place once each of its files and directories is synced, and then so is that', async () => {
  const output = await begun()
  await output.whileSyncing(Promise.resolve())
  await output.publish()
  const place = join(folder, 'out')
  const renamed = disk.log.indexOf(`rename ${output.partial} ${place}`)
  const synced = new Set(disk.log.slice(0, renamed).filter((one) => one.startsWith('sync ')))
  const paths = (await readdir(place, { recursive: true })).map((path) => join(output.partial, path))
  expect(paths).toHaveLength(WEIGHTS.length + 9 + 3)
  expect([...synced].sort()).toEqual([output.partial, ...paths].map((path) => `sync ${path}`).sort())
  for (const path of paths)
    expect(disk.log.indexOf(`sync ${path}`)).toBeLessThan(disk.log.lastIndexOf(`sync ${dirname(path)}`))
  expect(disk.log.slice(renamed + 1)).toEqual([`sync ${folder}`])
  expect(await readFile(join(place, 'deep', 'er', 'file.json'))).toEqual(Buffer.of(7))
})

test('[DUR-5] the disk takes in the last of the weights as soon as they are written', async () => {
  const output = await begun()
  await output.whileSyncing(Promise.resolve())
  await output.publish()
  const place = `rename ${output.partial} ${join(folder, 'out')}`
  const before = disk.log.slice(0, disk.log.indexOf(place))
  expect(before).toEqual(expect.arrayContaining(WEIGHTS.map(({ path }) => `datasync ${output.locate(path)}`)))
})

test('[DUR-8] an output whose sync failed once is not published, though a later sync of the same file succeeds', async () => {
  const output = await begun()
  let failures = 0
  const failed = new Promise<void>((resolve) => {
    disk.refuses = (what) => {
      if (what !== `datasync ${output.locate('model-1.safetensors')}` || failures > 0) return false
      failures += 1
      resolve()
      return true
    }
  })
  await output.whileSyncing(failed.then(() => sleep(1)))
  await expect(output.publish()).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  expect(failures).toBe(1)
  expect(await readdir(folder)).not.toContain('out')
  await output.discard()
  expect(await readdir(folder)).toEqual([])
})

test('[LOC-9] what fails while the disk takes in bytes leaves nothing once it is discarded', async () => {
  const output = await begun()
  await expect(output.whileSyncing(Promise.reject(new Error('no')))).rejects.toThrow('no')
  await output.discard()
  expect(await readdir(folder)).toEqual([])
  expect(basename(output.partial)).toMatch(/^\.out\.tributary-/)
})
