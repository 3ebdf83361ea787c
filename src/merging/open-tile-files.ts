/** Files kept open while a task runs: as many as serve, never more than a process may hold. */
import type { TileFile, TileFiles } from '../storage/tile-files.ts'

const READING_MAX = 224
const WRITING_MAX = 32

class OpenOnes {
  readonly #open: (path: string) => TileFile
  readonly #max: number
  readonly #files = new Map<string, { readonly file: TileFile; usedAt: number }>()
  #uses = 0

  constructor(open: (path: string) => TileFile, max: number) {
    this.#open = open
    this.#max = max
  }

  get(path: string): TileFile {
    let known = this.#files.get(path)
    if (known === undefined) {
      if (this.#files.size >= this.#max) this.#closeOldest()
      this.#files.set(path, (known = { file: this.#open(path), usedAt: 0 }))
    }
    known.usedAt = ++this.#uses
    return known.file
  }

  #closeOldest(): void {
    const [oldest] = [...this.#files].reduce((least, one) => (one[1].usedAt < least[1].usedAt ? one : least))
    this.#files.get(oldest)?.file.close()
    this.#files.delete(oldest)
  }

  close(): void {
    for (const { file } of this.#files.values()) file.close()
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

  /** What was written, by whomever. */
  readBack(path: string, into: Uint8Array, position: number): void {
    this.#writing.get(path).read(into, position)
  }

  close(): void {
    this.#reading.close()
    this.#writing.close()
  }
}
