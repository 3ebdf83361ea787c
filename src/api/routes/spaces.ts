/** /v1/spaces: make a space, list them, look at one by id or name. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Operations } from '../../operations/operations.ts'
import { Space, Spaces } from '../schemas.ts'

export const inSpace = Type.Object({ space: Type.String({ description: 'Its id, or its name' }) })
const tags = ['spaces']
const body = Type.Object(
  {
    name: Type.String(),
    base: Type.Optional(Type.String({ description: 'A model id or content root: the default base of its recipes' })),
    access: Type.Optional(Type.Enum(['open', 'members'], { description: 'Who may write; open where absent' })),
  },
  { additionalProperties: false },
)
const creates = { tags, summary: 'Make a space', body, response: { 201: Space } }
const lists = { tags, summary: 'List the spaces here', response: { 200: Spaces } }
const finds = { tags, summary: 'Look at a space', params: inSpace, response: { 200: Space } }

export const spaceRoutes: FastifyPluginAsyncTypebox<{ operations: Operations }> = async (app, { operations }) => {
  app.post('/v1/spaces', { schema: creates }, async (request, reply) => {
    const space = await operations.createSpace(request.body)
    return reply.code(201).header('location', `/v1/spaces/${space.id}`).send(space)
  })
  app.get('/v1/spaces', { schema: lists }, async () => ({ items: operations.listSpaces() }))
  app.get('/v1/spaces/:space', { schema: finds }, async ({ params }) => operations.findSpace(params.space))
}
