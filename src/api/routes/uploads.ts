/** /v1/uploads: directories, and uploads that go on where they stopped. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Operations } from '../../operations/operations.ts'
import { bytesOf } from '../media.ts'
import { checkPath } from '../paths.ts'
import { Added, Binary, Upload } from '../schemas.ts'
import { addedView } from './models.ts'

const tags = ['uploads']
const one = Type.Object({ upload: Type.String() })
const file = Type.Object({ upload: Type.String(), '*': Type.String({ description: 'Path of an announced file' }) })
const bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const body = Type.Object(
  {
    files: Type.Array(
      Type.Object(
        { path: Type.String(), bytes, sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })) },
        { additionalProperties: false },
      ),
      { minItems: 1 },
    ),
  },
  { additionalProperties: false },
)
const offset = Type.Object({ 'upload-offset': bytes })
const sent = { content: { 'application/offset+octet-stream': { schema: Binary } } }
const written = Type.Null({ description: 'Stored; the Upload-Offset header says up to which byte' })

const starts = { tags, summary: 'Announce the files of a model', body, response: { 201: Upload } }
const finds = { tags, summary: 'See how far each file is', params: one, response: { 200: Upload } }
const writes = {
  tags,
  summary: 'Send bytes of a file, from Upload-Offset on',
  params: file,
  headers: offset,
  body: sent,
  response: { 204: written },
}
const finishes = { tags, summary: 'Make the files a model', params: one, response: { 200: Added, 201: Added } }

export const uploadRoutes: FastifyPluginAsyncTypebox<{ operations: Operations }> = async (app, { operations }) => {
  app.post('/v1/uploads', { schema: starts }, async (request, reply) => {
    const upload = await operations.startUpload(request.body.files)
    return reply.code(201).header('location', `/v1/uploads/${upload.id}`).send(upload)
  })
  app.get('/v1/uploads/:upload', { schema: finds }, async ({ params }) => operations.findUpload(params.upload))
  app.put('/v1/uploads/:upload/files/*', { schema: writes, config: { takes: 'bytes' } }, async (request, reply) => {
    const { upload, '*': path } = request.params
    const from = request.headers['upload-offset']
    const durable = await operations.writeUpload(upload, checkPath(path), from, bytesOf(request.body))
    return reply.code(204).header('upload-offset', durable).send(null)
  })
  app.post('/v1/uploads/:upload/finish', { schema: finishes }, async ({ params }, reply) => {
    const added = await operations.finishUpload(params.upload)
    return reply
      .code(added.created ? 201 : 200)
      .header('location', `/v1/models/${added.model}`)
      .send(addedView(added))
  })
}
