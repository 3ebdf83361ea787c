/** /v1/models: store a model without offering it, such as a base; give back its files as they came. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { ModelAdded, Operations } from '../../operations/operations.ts'
import { sendFile } from '../files.ts'
import { announcedBytes, bytesOf } from '../media.ts'
import { checkPath, fileGets } from '../paths.ts'
import { Added, Binary, Model } from '../schemas.ts'

const tags = ['models']
const one = Type.Object({ model: Type.String({ description: 'Its id' }) })
const file = Type.Object({ model: Type.String(), '*': Type.String({ description: 'Path of a file in the model' }) })
const uploaded = { content: { 'application/octet-stream': { schema: Binary } } }
const uploads = { tags, summary: 'Store one safetensors file', body: uploaded, response: { 200: Added, 201: Added } }
const finds = { tags, summary: 'Look at a model', params: one, response: { 200: Model } }
const reads = { tags, summary: 'Take a file of a model, byte for byte', params: file }

/** Without what the status says already. */
export const addedView = ({ model, content, warnings }: ModelAdded) => ({ model, content, warnings })

export const modelRoutes: FastifyPluginAsyncTypebox<{ operations: Operations }> = async (app, { operations }) => {
  app.post('/v1/models', { schema: uploads, config: { takes: 'bytes' } }, async (request, reply) => {
    const added = await operations.uploadModel(bytesOf(request.body), announcedBytes(request))
    return reply
      .code(added.created ? 201 : 200)
      .header('location', `/v1/models/${added.model}`)
      .send(addedView(added))
  })
  app.get('/v1/models/:model', { schema: finds }, async ({ params }) => operations.findModel(params.model))
  fileGets(app, '/v1/models/:model/files/*', reads, async (request, reply) => {
    const { model, '*': path } = request.params as { model: string; '*': string }
    return sendFile(request, reply, await operations.readModelFile(model, checkPath(path)), path)
  })
}
