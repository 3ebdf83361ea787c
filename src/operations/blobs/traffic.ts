/** How many bytes of blobs other replicas were given and gave, by HTTP and over links, since the start. */
import type { ModelSource } from '../../transport/blob-source.ts'
import type { Bytes, FileReading } from '../operations.ts'

export class Traffic {
  #given = 0
  #received = 0

  get given(): number {
    return this.#given
  }
  get received(): number {
    return this.#received
  }

  giving(reading: FileReading): FileReading {
    return {
      ...reading,
      read: (start, end) => counted(reading.read(start, end), (bytes) => (this.#given += bytes)),
    }
  }

  /** What comes counts, wanted or not. */
  from(source: ModelSource): ModelSource {
    const count = (pieces: Bytes) => counted(pieces, (bytes) => (this.#received += bytes))
    return {
      id: source.id,
      has: (digest, signal) => source.has(digest, signal),
      leaves: (...asked) => count(source.leaves(...asked)),
      read: (...asked) => count(source.read(...asked)),
      manifest: (...asked) => count(source.manifest(...asked)),
      file: (...asked) => count(source.file(...asked)),
      close: () => source.close(),
    }
  }
}

async function* counted(pieces: Bytes, count: (bytes: number) => void): Bytes {
  for await (const piece of pieces) {
    count(piece.length)
    yield piece
  }
}
