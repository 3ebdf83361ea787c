/**
 * Port: positional reads and writes of large files, made for a worker thread that does nothing else, hence synchronous.
 * A read fills its buffer or throws; a write writes all of it or throws.
 */
export interface TileFile {
  read(into: Uint8Array, position: number): void
  write(from: Uint8Array, position: number): void
  close(): void
}

export interface TileFiles {
  openForReading(path: string): TileFile
  /** The file exists already: whoever planned the output made it. */
  openForWriting(path: string): TileFile
}
