/** What every FileSystem promises. `directory` exists and is empty. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../src/core/bytes.ts'
import type { FileSystem } from '../../src/storage/file-system.ts'

export function describeFileSystem(
  name: string,
  open: () => Promise<{ readonly files: FileSystem; readonly directory: string }>,
): void {
  const bytesOf = async (files: FileSystem, path: string) => {
    const file = await files.openForReading(path)
    if (file === undefined) return undefined
    const bytes = new Uint8Array(await file.bytes())
    await file.read(bytes, 0)
    await file.close()
    return bytes
  }
  const put = async (files: FileSystem, path: string, text: string) => {
    const file = await files.openForWriting(path)
    await file.write(utf8(text), 0)
    await file.close()
  }

  describe(name, () => {
    test('[STO-1] what is written at a position is read at it, and a read tells where the file ends', async () => {
      const { files, directory } = await open()
      const path = join(directory, 'a')
      const file = await files.createExclusive(path)
      await file.write(utf8('world'), 6)
      await file.write(utf8('hello '), 0)
      await file.sync()
      const target = new Uint8Array(8).fill(255)
      expect(await file.read(target, 6)).toBe(5)
      expect(target).toEqual(new Uint8Array([...utf8('world'), 255, 255, 255]))
      expect(await file.read(target, 11)).toBe(0)
      expect(await file.bytes()).toBe(11)
      await file.close()
      expect(await bytesOf(files, path)).toEqual(utf8('hello world'))
    })

    test('[STO-1] opening for writing keeps what is there, and exclusive creation refuses it', async () => {
      const { files, directory } = await open()
      const path = join(directory, 'a')
      await put(files, path, 'kept')
      await (await files.openForWriting(path)).close()
      expect(await bytesOf(files, path)).toEqual(utf8('kept'))
      await expect(files.createExclusive(path)).rejects.toMatchObject({
        code: 'STORAGE_FAILED',
        cause: { code: 'EEXIST' },
      })
    })

    test('[STO-1] what is not there is an answer, not a failure', async () => {
      const { files, directory } = await open()
      const absent = join(directory, 'not', 'there')
      expect(await files.openForReading(absent)).toBeUndefined()
      expect(await files.stat(absent)).toBeUndefined()
      expect(await files.list(absent)).toEqual([])
      await expect(files.remove(absent)).resolves.toBeUndefined()
      await expect(files.openForWriting(absent)).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
      await expect(files.rename(absent, join(directory, 'b'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
      await expect(files.syncDirectory(absent)).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    })

    test('[STO-1] directories are made with their parents, listed in order, and synced', async () => {
      const { files, directory } = await open()
      const deep = join(directory, 'x', 'y')
      await files.makeDirectory(deep)
      await files.makeDirectory(deep)
      await put(files, join(deep, 'b'), '2')
      await put(files, join(deep, 'a'), '1')
      await files.syncDirectory(deep)
      expect(await files.list(deep)).toEqual(['a', 'b'])
      expect(await files.list(directory)).toEqual(['x'])
      expect(await files.stat(deep)).toMatchObject({ kind: 'directory' })
      expect(await files.stat(join(deep, 'a'))).toMatchObject({ kind: 'file', bytes: 1 })
      expect(await files.freeBytes(deep)).toBeGreaterThan(0)
    })

    test('[STO-1] a rename replaces, and a reader of the replaced file goes on', async () => {
      const { files, directory } = await open()
      const [from, to] = [join(directory, 'from'), join(directory, 'to')]
      await put(files, from, 'new')
      await put(files, to, 'old')
      const reader = await files.openForReading(to)
      await files.rename(from, to)
      expect(await bytesOf(files, to)).toEqual(utf8('new'))
      expect(await files.stat(from)).toBeUndefined()
      const target = new Uint8Array(3)
      await reader?.read(target, 0)
      await reader?.close()
      expect(target).toEqual(utf8('old'))
      await files.remove(to)
      expect(await files.stat(to)).toBeUndefined()
    })
  })
}
