/** Which kinds of body a route takes, judged before a byte is read: JSON unless it says otherwise, or raw bytes. */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { TributaryError } from '../core/errors.ts'
import { type BodyLimits, emptyBody, readBody, tooLarge } from './body.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default: json. */
    takes?: 'json' | 'bytes' | 'either'
  }
}

const JSON_TYPES = ['application/json']
export const BYTES_TYPES = ['application/octet-stream', 'application/x-safetensors', 'application/offset+octet-stream']
const TAKEN = { json: JSON_TYPES, bytes: BYTES_TYPES, either: [...BYTES_TYPES, ...JSON_TYPES] } as const

const mediaTypeOf = (request: FastifyRequest): string | undefined =>
  request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
const isJson = (request: FastifyRequest): boolean => JSON_TYPES.includes(mediaTypeOf(request) ?? '')
const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

/** Does it bring bytes, as a model does? */
export const bringsBytes = (request: FastifyRequest): boolean =>
  takesOf(request) !== 'json' && !isJson(request) && hasBody(request)

export const takesOf = (request: FastifyRequest) => request.routeOptions.config.takes ?? 'json'

function checkMediaType(request: FastifyRequest): void {
  const type = mediaTypeOf(request)
  const takes = takesOf(request)
  const taken: readonly string[] = TAKEN[takes]
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity')
    throw new TributaryError('MEDIA_TYPE_UNSUPPORTED', `bodies encoded as ${JSON.stringify(encoding)} are not taken`, {
      hint: 'send the body as it is, without a Content-Encoding',
    })
  // `curl --upload-file` names no type: where only bytes are taken that is no question.
  if (type === undefined ? takes === 'bytes' || !hasBody(request) : taken.includes(type)) return
  throw new TributaryError(
    'MEDIA_TYPE_UNSUPPORTED',
    `${type === undefined ? 'a body without a Content-Type' : JSON.stringify(type)} is not taken here`,
    { hint: `send it with "Content-Type: ${taken[0]!}"`, details: { taken } },
  )
}

/** The raw body of a request to a route that takes bytes. */
export const bytesOf = (body: unknown): AsyncIterable<Uint8Array> =>
  (body as AsyncIterable<Uint8Array> | undefined) ?? emptyBody()

/** How long it says it is. */
export function announcedBytes({ headers }: FastifyRequest): { bytes?: number } {
  const announced = headers['content-length']
  return announced === undefined ? {} : { bytes: Number(announced) }
}

export function readMedia(app: FastifyInstance, limits: BodyLimits): void {
  app.removeContentTypeParser('text/plain')
  app.addContentTypeParser('*', (_, payload, done) => done(null, readBody(payload as Readable, limits)))
  app.addHook('preParsing', async (request, _, payload) => {
    if (!request.is404) checkMediaType(request)
    if (isJson(request)) return Readable.from(readBody(payload, limits), { objectMode: false })
    const { bytes = 0 } = announcedBytes(request)
    if (bytes > limits.bytesMax) throw tooLarge(limits.bytesMax)
    return payload
  })
}
