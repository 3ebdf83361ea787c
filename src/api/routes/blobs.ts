/** /v1/blobs: the bytes of this replica by their digests, for other replicas: whole or in ranges, each chunk verifiable alone. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { BlobKind, Operations } from '../../operations/operations.ts'
import { sendFile } from '../files.ts'
import { fileGets } from '../paths.ts'
import { ticketOf } from '../security.ts'

const tags = ['replicas']
const one = Type.Object({
  digest: Type.String({ description: 'Root of a tensor, SHA-256 of a file, or id of a model' }),
})
const kinds = Type.Object(
  { kind: Type.Optional(Type.Enum(['tensor', 'file', 'manifest'], { description: 'tensor where it is not said' })) },
  { additionalProperties: false },
)
const reads = { tags, summary: 'Take a blob, whole or a range of it', params: one, querystring: kinds }
const leaves = { tags, summary: 'Take the leaf hashes of a tensor, 32 bytes for each MiB', params: one }

const digestOf = (request: FastifyRequest) => (request.params as { digest: string }).digest

export const blobRoutes: FastifyPluginAsyncTypebox<{ operations: Operations }> = async (app, { operations }) => {
  fileGets(app, '/v1/blobs/:digest', reads, async (request, reply) => {
    const { kind = 'tensor' } = request.query as { kind?: BlobKind }
    const digest = digestOf(request)
    return sendFile(request, reply, await operations.readBlob(kind, digest, ticketOf(request)), digest)
  })
  fileGets(app, '/v1/blobs/:digest/leaves', leaves, async (request, reply) => {
    delete request.headers.range // they are of use only whole
    const digest = digestOf(request)
    return sendFile(request, reply, await operations.readLeaves(digest, ticketOf(request)), `${digest}.leaves`)
  })
}
