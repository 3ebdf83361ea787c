/** /v1/spaces/{s}/members and /amnesties: who may write in a space. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Operations } from '../../operations/operations.ts'
import { Amnesty, Member, Members } from '../schemas.ts'
import { inSpace } from './spaces.ts'

const tags = ['members']
const key = Type.String({ description: 'The public key of a replica, 64 hex digits' })
const reason = Type.Optional(Type.String({ maxLength: 500 }))
const epoch = Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }))
const closed = { additionalProperties: false } as const
const one = Type.Object({ ...inSpace.properties, key })
const why = Type.Object({ reason }, closed)

const added = Type.Object({ key, role: Type.String({ description: 'admin, writer or reader' }) }, closed)
const amnesty = Type.Object({ key, from_epoch: epoch, reason }, closed)

const lists = { tags, summary: 'List the members', params: inSpace, response: { 200: Members } }
const adds = { tags, summary: 'Add a member', params: inSpace, body: added, response: { 200: Member, 201: Member } }
const removes = { tags, summary: 'Remove a member', params: one, querystring: why, response: { 200: Members } }
const forgives = {
  tags,
  summary: 'Let a member whose chain is forked write again',
  params: inSpace,
  body: amnesty,
  response: { 200: Amnesty, 201: Amnesty },
}

export const memberRoutes: FastifyPluginAsyncTypebox<{ operations: Operations }> = async (app, { operations }) => {
  app.get('/v1/spaces/:space/members', { schema: lists }, async ({ params }) => ({
    items: operations.listMembers(params.space),
  }))
  app.post('/v1/spaces/:space/members', { schema: adds }, async ({ params, body }, reply) => {
    const { member, created } = await operations.addMember(params.space, body)
    return reply.code(created ? 201 : 200).send(member)
  })
  app.delete('/v1/spaces/:space/members/:key', { schema: removes }, async ({ params, query }) => ({
    items: await operations.removeMember(params.space, params.key, query.reason),
  }))
  app.post('/v1/spaces/:space/amnesties', { schema: forgives }, async ({ params, body }, reply) => {
    const { created, ...given } = await operations.giveAmnesty(params.space, body)
    return reply.code(created ? 201 : 200).send(given)
  })
}
