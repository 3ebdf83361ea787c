/** Files kept open while a task runs: as many as serve, never more than a process may hold. */
import type { TileFile, TileFiles } from '../storage/tile-files.ts'

const READING_MAX = 224
const WRITING_MAX = 32

class OpenOnes {
  readonly #open: (path: string) => TileFile
  readonly #max: number
  /** The least recently used first. */
  readonly #files = new Map<string, TileFile>()

  constructor(open: (path: string) => TileFile, max: number) {
    this.#open = open
    this.#max = max
  }

  get(path: string): TileFile {
    const known = this.#files.get(path)
    if (known) {
      this.#files.delete(path)
      this.#files.set(path, known)
      return known
    }
    for (const [oldest, file] of this.#files) {
      if (this.#files.size < this.#max) break
      this.#files.delete(oldest)
      file.close()
    }
    const file = this.#open(path)
    this.#files.set(path, file)
    return file
  }

  close(): void {
    for (const file of this.#files.values()) file.close()
    this.#files.clear()
  }
}

export class OpenTileFiles {
  readonly #reading: OpenOnes
  readonly #writing: OpenOnes

  /** `workers`: how many threads share what a process may hold. */
  constructor(files: TileFiles, workers: number) {
    const share = (most: number) => Math.max(1, Math.floor(most / workers))
    this.#reading = new OpenOnes((path) => files.openForReading(path), share(READING_MAX))
    this.#writing = new OpenOnes((path) => files.openForWriting(path), share(WRITING_MAX))
  }

  read(path: string, into: Uint8Array, position: number): void {
    this.#reading.get(path).read(into, position)
  }

  write(path: string, from: Uint8Array, position: number): void {
    this.#writing.get(path).write(from, position)
  }

  close(): void {
    this.#reading.close()
    this.#writing.close()
  }
}
