/** How many bodies of bytes are taken at once: each costs a file, a hash and buffers, however slowly it comes. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { TributaryError } from '../core/errors.ts'

export const UPLOADS_AT_ONCE_MAX = 32

/** A seat is taken before the first byte is read, and free again when the answer is out or the client has gone. */
export function limitUploads(
  app: FastifyInstance,
  isUpload: (request: FastifyRequest) => boolean,
  seats = UPLOADS_AT_ONCE_MAX,
): void {
  let taken = 0
  app.addHook('preParsing', async (request, reply, payload) => {
    if (!isUpload(request)) return payload
    if (taken >= seats)
      throw new TributaryError('TOO_MANY_REQUESTS', `${seats} uploads are being taken already`, {
        hint: 'send it again in a moment; one by /v1/uploads goes on where it was',
      })
    taken++
    reply.raw.once('close', () => {
      taken--
    })
    return payload
  })
}
