/**
 * A replica's bytes over HTTP ranges. Addresses are made of its base and digests alone; no redirect is followed, and a
 * pinned address is the one that is dialed. Connections are kept for the next range.
 */
import { Agent as HttpAgent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isIPv6, type LookupFunction } from 'node:net'
import { TributaryError } from '../../core/errors.ts'
import type { ModelSource } from '../blob-source.ts'
import type { Address } from '../transport.ts'

export interface HttpSourceOptions {
  readonly id: string
  readonly address: Address
  /** The Authorization header for the next request: a ticket lasts five minutes. */
  readonly authorization?: () => string | undefined
  /** So long it may think about whether it has a model. */
  readonly silentMs?: number
}

const CONNECTIONS_MAX = 8
const SILENT_MS = 15_000

const pinnedTo =
  (address: string): LookupFunction =>
  (_, options, done) => {
    const family = isIPv6(address) ? 6 : 4
    if (options.all === true) done(null, [{ address, family }])
    else done(null, address, family)
  }

export function createHttpBlobSource({
  id,
  address,
  authorization,
  silentMs = SILENT_MS,
}: HttpSourceOptions): ModelSource {
  const base = new URL(address.url)
  const isSecure = base.protocol === 'https:' || base.protocol === 'wss:'
  const agent = new (isSecure ? HttpsAgent : HttpAgent)({
    keepAlive: true,
    maxSockets: CONNECTIONS_MAX,
    ...(address.pinned !== undefined && { lookup: pinnedTo(address.pinned) }),
  })
  const path = base.pathname.replace(/\/+$/, '')
  const problem = (why: string, cause?: unknown) =>
    new TributaryError('NETWORK', `${base.host}: ${why}`, { cause, details: { source: id } })

  const lacks = new TributaryError('BLOB_NOT_FOUND', `${base.host} does not have it`, { details: { source: id } })

  function open(
    target: string,
    headers: Record<string, string>,
    signal: AbortSignal,
    method = 'GET',
  ): Promise<IncomingMessage> {
    const ask = isSecure ? httpsRequest : httpRequest
    const allowed = authorization?.()
    return new Promise((resolve, reject) => {
      const request: ClientRequest = ask(
        {
          agent,
          method,
          hostname: base.hostname.replace(/^\[|\]$/g, ''),
          port: base.port,
          path: `${path}/v1/blobs/${target}`,
          headers: { host: base.host, ...(allowed !== undefined && { authorization: allowed }), ...headers },
        },
        resolve,
      )
      request.on('error', (error) => reject(problem((error as NodeJS.ErrnoException).code ?? error.message, error)))
      // not an option of the request: its connection would be bound to this signal for good, and outlives the request
      const callOff = () => request.destroy() // without an error: its connection may have no one to hear it any more
      if (signal.aborted) callOff()
      signal.addEventListener('abort', callOff, { once: true })
      request.once('close', () => signal.removeEventListener('abort', callOff))
      request.end()
    })
  }

  /** Exactly `bytes` of a body (or at most so many), or NETWORK; whatever happens, the connection is not left half read. */
  async function* body(
    answer: IncomingMessage,
    bytes: number,
    status: number,
    isExact = true,
  ): AsyncIterable<Uint8Array> {
    let left = bytes
    try {
      if (answer.statusCode === 404) throw lacks
      if (answer.statusCode !== status) throw problem(`it answers ${String(answer.statusCode)}`)
      for await (const piece of answer as AsyncIterable<Buffer>) {
        left -= piece.length
        if (left < 0) throw problem('it sends more than was asked for')
        yield piece
      }
      if (isExact && left > 0) throw problem('its answer ends early')
    } catch (error) {
      throw error instanceof TributaryError ? error : problem('its answer was cut off', error)
    } finally {
      if (answer.complete)
        answer.resume() // all of it is here, and until it is read its connection is of no use to anyone
      else answer.destroy()
    }
  }

  return {
    id,
    async *leaves(root, bytesMax, signal) {
      yield* body(await open(`${root}/leaves`, {}, signal), bytesMax, 200)
    },
    async *read(root, start, end, signal) {
      const answer = await open(root, { range: `bytes=${start}-${end - 1}` }, signal)
      const range = answer.headers['content-range']
      const isIt = range === undefined || range.startsWith(`bytes ${start}-${end - 1}/`)
      if (!isIt) answer.destroy()
      if (!isIt) throw problem(`it sends ${range} where ${start}-${end - 1} was asked for`)
      yield* body(answer, end - start, 206)
    },
    async *manifest(digest, bytesMax, signal) {
      yield* body(await open(`${digest}?kind=manifest`, {}, signal), bytesMax, 200, false)
    },
    async has(digest, signal) {
      const soon = AbortSignal.any([signal, AbortSignal.timeout(silentMs)])
      const answer = await open(`${digest}?kind=manifest`, {}, soon, 'HEAD')
      answer.resume()
      return answer.statusCode === 200
    },
    async *file(digest, bytesMax, signal) {
      yield* body(await open(`${digest}?kind=file`, {}, signal), bytesMax, 200, false)
    },
    close: () => agent.destroy(),
  }
}
