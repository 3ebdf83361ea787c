/** Giving out a stored file: whole or in part, revalidated by ETag, with its digest where that is known. Never compressed. */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { TributaryError } from '../core/errors.ts'
import type { FileReading } from '../operations/operations.ts'
import { matchesEtag, parseRange } from './range.ts'

const outside = (bytes: number) =>
  new TributaryError('RANGE_NOT_SATISFIABLE', `the file ends at byte ${bytes}, before the range asked for`, {
    details: { bytes },
    hint: 'ask for bytes inside the file, or leave the Range header out',
  })

/** Quoted for a header: what is not plain ASCII becomes an underscore. */
const fileName = (path: string): string => (path.split('/').at(-1) ?? '').replace(/[^A-Za-z0-9._-]/g, '_')

export function sendFile(request: FastifyRequest, reply: FastifyReply, file: FileReading, path: string): FastifyReply {
  const etag = `"${file.etag}"`
  reply.headers({
    'accept-ranges': 'bytes',
    etag,
    // What an upload holds is never shown as a page of this origin.
    'content-disposition': `attachment; filename="${fileName(path)}"`,
    'cache-control': 'private, no-cache',
  })
  if (file.sha256 !== undefined)
    reply.header('repr-digest', `sha-256=:${Buffer.from(file.sha256, 'hex').toString('base64')}:`)
  if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send()

  const ifRange = request.headers['if-range']
  const ranged = request.method === 'GET' && (ifRange === undefined || ifRange === etag)
  const part = ranged ? parseRange(request.headers.range, file.bytes) : undefined
  if (part === 'unsatisfiable') {
    for (const name of ['etag', 'repr-digest', 'content-disposition', 'cache-control']) reply.removeHeader(name)
    reply.header('content-range', `bytes */${file.bytes}`)
    throw outside(file.bytes)
  }

  const { start, end } = part ?? { start: 0, end: file.bytes }
  if (part !== undefined) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${file.bytes}`)
  reply.type(file.contentType).header('content-length', end - start)
  if (request.method === 'HEAD') return reply.send()
  return reply.send(Readable.from(file.read(start, end), { objectMode: false }))
}
