/** /v1/spaces/{s}/merges: run a recipe over a space, watch it, take its output and its receipt. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { printReceipt } from '../../core/receipt.ts'
import type { Operations } from '../../operations/operations.ts'
import { sendFile } from '../files.ts'
import { fileGets } from '../paths.ts'
import { Merge, Merges, Receipt } from '../schemas.ts'
import { inSpace } from './spaces.ts'

const tags = ['merges']
const LIMIT = 50
const one = Type.Object({ ...inSpace.properties, id: Type.String() })
const recipe = Type.Union([Type.Object({}), Type.String()], {
  description: 'A native recipe, or mergekit YAML as text; the least is {"strategy": "weight_average"}',
})
const page = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, description: `${LIMIT} where absent` })),
    cursor: Type.Optional(Type.String({ maxLength: 200 })),
  },
  { additionalProperties: false },
)

const starts = {
  tags,
  summary: 'Merge what a recipe selects',
  params: inSpace,
  body: Type.Object({ recipe }, { additionalProperties: false }),
  response: { 200: Merge, 202: Merge },
}
const lists = { tags, summary: 'List merges', params: inSpace, querystring: page, response: { 200: Merges } }
const finds = { tags, summary: 'See how a merge is doing', params: one, response: { 200: Merge } }
const cancels = { tags, summary: 'Cancel a merge, or drop its output', params: one, response: { 200: Merge } }
const reads = { tags, summary: 'Take the merged model', params: one }
const proves = { tags, summary: 'Take the receipt, as the file it is', params: one, response: { 200: Receipt } }

export const mergeRoutes: FastifyPluginAsyncTypebox<{ operations: Operations }> = async (app, { operations }) => {
  const path = '/v1/spaces/:space/merges'
  const urlOf = (space: string) => `/v1/spaces/${encodeURIComponent(space)}/merges`

  app.post(path, { schema: starts }, async ({ params, body }, reply) => {
    const { merge, created } = await operations.startMerge(params.space, body.recipe)
    return reply
      .code(created ? 202 : 200)
      .header('location', `${urlOf(params.space)}/${merge.id}`)
      .send(merge)
  })
  app.get(path, { schema: lists }, async ({ params, query: { limit = LIMIT, cursor } }, reply) => {
    const merges = operations.listMerges(params.space, { limit, ...(cursor === undefined ? {} : { cursor }) })
    if (merges.next_cursor !== undefined) {
      const next = new URLSearchParams({ limit: String(limit), cursor: merges.next_cursor })
      reply.header('link', `<${urlOf(params.space)}?${next.toString()}>; rel="next"`)
    }
    return merges
  })
  app.get(`${path}/:id`, { schema: finds }, async ({ params }) => operations.findMerge(params.space, params.id))
  app.delete(`${path}/:id`, { schema: cancels }, async ({ params }) => operations.cancelMerge(params.space, params.id))
  app.get(`${path}/:id/receipt`, { schema: proves }, async ({ params }, reply) =>
    reply.type('application/json; charset=utf-8').send(printReceipt(operations.findReceipt(params.space, params.id))),
  )
  fileGets(app, `${path}/:id/model.safetensors`, reads, async (request, reply) => {
    const { space, id } = request.params as { space: string; id: string }
    return sendFile(request, reply, await operations.readOutput(space, id), 'model.safetensors')
  })
}
