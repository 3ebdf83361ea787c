/** Tile files on the local disk. Errors carry the path and what to do: a full disk is DISK_FULL, the rest STORAGE_FAILED. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { TributaryError } from '../../core/errors.ts'
import type { TileFile, TileFiles } from '../tile-files.ts'

function failed(error: unknown, verb: string, path: string): TributaryError {
  const code = (error as { code?: string }).code
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new TributaryError('DISK_FULL', `the disk is full: ${path} can't be written`, {
      hint: 'free space, then run it again',
      cause: error,
    })
  return new TributaryError(
    'STORAGE_FAILED',
    `can't ${verb} ${path}: ${error instanceof Error ? error.message : String(error)}`,
    { cause: error },
  )
}

class NodeTileFile implements TileFile {
  readonly #path: string
  readonly #handle: number

  constructor(path: string, handle: number) {
    this.#path = path
    this.#handle = handle
  }

  read(into: Uint8Array, position: number): void {
    let done = 0
    while (done < into.length) {
      const count = this.#readSome(into, done, position)
      if (count === 0)
        throw new TributaryError(
          'STORAGE_FAILED',
          `${this.#path} ends at byte ${position + done}, ${into.length - done} bytes early`,
          {
            hint: 'the file changed while it was read; run it again',
          },
        )
      done += count
    }
  }

  write(from: Uint8Array, position: number): void {
    let done = 0
    while (done < from.length) done += this.#writeSome(from, done, position)
  }

  close(): void {
    closeSync(this.#handle)
  }

  #readSome(into: Uint8Array, done: number, position: number): number {
    try {
      return readSync(this.#handle, into, done, into.length - done, position + done)
    } catch (error) {
      throw failed(error, 'read', this.#path)
    }
  }

  #writeSome(from: Uint8Array, done: number, position: number): number {
    try {
      return writeSync(this.#handle, from, done, from.length - done, position + done)
    } catch (error) {
      throw failed(error, 'write', this.#path)
    }
  }
}

const open = (path: string, flags: string, verb: string): TileFile => {
  try {
    return new NodeTileFile(path, openSync(path, flags))
  } catch (error) {
    throw failed(error, verb, path)
  }
}

export const nodeTileFiles: TileFiles = {
  openForReading: (path) => open(path, 'r', 'read'),
  openForWriting: (path) => open(path, 'r+', 'write'),
}
