/** Tile files in memory, counting how many are open. */
import { invariant } from '../../src/core/invariant.ts'
import type { TileFile, TileFiles } from '../../src/storage/tile-files.ts'

export class MemoryTileFiles implements TileFiles {
  readonly files = new Map<string, Uint8Array>()
  open = 0
  mostOpen = 0

  openForReading = (path: string): TileFile => this.#open(path)
  openForWriting = (path: string): TileFile => this.#open(path)

  #open(path: string): TileFile {
    const bytes = this.files.get(path)
    invariant(bytes, `${path} is there`)
    this.open += 1
    this.mostOpen = Math.max(this.mostOpen, this.open)
    return {
      read: (into, position) => {
        invariant(position + into.length <= bytes.length, 'a read stays within the file')
        into.set(bytes.subarray(position, position + into.length))
      },
      write: (from, position) => {
        bytes.set(from, position)
      },
      close: () => {
        this.open -= 1
      },
    }
  }
}
