/** /healthz: the process answers. /readyz: it can do its work. Both are free of any token. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Operations } from '../../operations/operations.ts'
import { Ready } from '../schemas.ts'

const tags = ['operation']
const alive = Type.Object({ status: Type.Literal('ok') }, { additionalProperties: false })
const lives = { tags, summary: 'Is the process there?', response: { 200: alive } }
const isReady = { tags, summary: 'Can it do its work?', response: { 200: Ready, 503: Ready } }

export const healthRoutes: FastifyPluginAsyncTypebox<{ operations: Operations }> = async (app, { operations }) => {
  app.get('/healthz', { schema: lives }, async () => ({ status: 'ok' as const }))
  app.get('/readyz', { schema: isReady }, async (_, reply) => {
    const readiness = await operations.readiness()
    return reply.code(readiness.ready ? 200 : 503).send(readiness)
  })
}
