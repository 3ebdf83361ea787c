/** One replica that is reached in two ways: by HTTP, and where that fails over its link. It is tried by HTTP again later. */
import type { Clock } from '../core/clock.ts'
import { isTributaryError } from '../core/errors.ts'
import type { ModelSource } from '../transport/blob-source.ts'

/** So long nothing is asked by HTTP after it failed. */
const AGAIN_MS = 60_000

/** What a source does not have, it does not have by any way. */
const isFailure = (error: unknown): boolean => isTributaryError(error) && error.code !== 'BLOB_NOT_FOUND'

export function eitherSource(http: ModelSource, link: ModelSource, clock: Clock): ModelSource {
  let failedUntil = -Infinity
  const isFailing = () => clock.now() < failedUntil
  const failed = () => void (failedUntil = clock.now() + AGAIN_MS)

  /** What began by one way ends by it. */
  async function* bytes(
    open: (source: ModelSource) => AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    if (!isFailing()) {
      let hasBegun = false
      try {
        for await (const piece of open(http)) {
          hasBegun = true
          yield piece
        }
        return
      } catch (error) {
        if (!isFailure(error) || signal.aborted) throw error
        failed()
        if (hasBegun) throw error
      }
    }
    yield* open(link)
  }

  return {
    id: http.id,
    leaves: (root, bytesMax, signal) => bytes((source) => source.leaves(root, bytesMax, signal), signal),
    read: (root, start, end, signal) => bytes((source) => source.read(root, start, end, signal), signal),
    manifest: (digest, bytesMax, signal) => bytes((source) => source.manifest(digest, bytesMax, signal), signal),
    file: (digest, bytesMax, signal) => bytes((source) => source.file(digest, bytesMax, signal), signal),
    async has(digest, signal) {
      if (!isFailing())
        try {
          return await http.has(digest, signal)
        } catch (error) {
          if (!isFailure(error) || signal.aborted) throw error
          failed()
        }
      return link.has(digest, signal)
    },
    close() {
      http.close()
      link.close()
    },
  }
}
