/**
 * The body of a request, chunk by chunk as the reader asks for it: bounded in size and in patience. Leaving it early
 * leaves the connection whole, so that the refusal can still be answered.
 */
import type { Readable } from 'node:stream'
import { isTributaryError, TributaryError } from '../core/errors.ts'
import type { Clock } from './clock.ts'
import { startPace } from './pace.ts'

export interface BodyLimits {
  readonly bytesMax: number
  readonly clock: Clock
}

export const tooLarge = (bytesMax: number) =>
  new TributaryError('REQUEST_TOO_LARGE', `the body is larger than the ${bytesMax} bytes taken here`, {
    details: { bytes_max: bytesMax },
    hint: 'send less at once; a model can be sent in several files with /v1/uploads',
  })

const cutOff = (cause: unknown) =>
  new TributaryError('UPLOAD_TRUNCATED', 'the connection ended before the body did', {
    hint: 'send it again; /v1/uploads can go on where it stopped',
    cause,
  })

export async function* readBody(stream: Readable, { bytesMax, clock }: BodyLimits): AsyncGenerator<Uint8Array> {
  const chunks = stream.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Uint8Array>
  const pace = startPace(clock)
  let bytes = 0
  try {
    for (;;) {
      const next = await pace.wait(chunks.next())
      if (next.done === true) return
      bytes += next.value.length
      pace.arrived(next.value.length)
      if (bytes > bytesMax) throw tooLarge(bytesMax)
      yield next.value
    }
  } catch (error) {
    throw isTributaryError(error) ? error : cutOff(error)
  } finally {
    // Not awaited: behind a client that has gone quiet this settles only when its connection closes.
    chunks.return?.().catch(() => {})
  }
}

export async function* emptyBody(): AsyncGenerator<Uint8Array> {}
