/** /v1/spaces/{s}/revocations: an admin withdraws content for ever. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Operations } from '../../operations/operations.ts'
import { Space } from '../schemas.ts'
import { inSpace } from './spaces.ts'

const body = Type.Object(
  { content: Type.String({ description: 'A content root' }), reason: Type.Optional(Type.String({ maxLength: 500 })) },
  { additionalProperties: false },
)
const revokes = {
  tags: ['contributions'],
  summary: 'Withdraw content for ever, from the space and from this disk',
  params: inSpace,
  body,
  response: { 200: Space },
}

export const revocationRoutes: FastifyPluginAsyncTypebox<{ operations: Operations }> = async (app, { operations }) => {
  app.post('/v1/spaces/:space/revocations', { schema: revokes }, async ({ params, body: { content, reason } }) =>
    operations.revoke(params.space, content, reason),
  )
}
