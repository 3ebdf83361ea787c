/** /v1/strategies: what there is to merge with, straight from the declarations. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Operations } from '../../operations/operations.ts'
import { Strategies, Strategy } from '../schemas.ts'

const tags = ['strategies']
const one = Type.Object({ id: Type.String({ description: 'Its id, or an alias' }) })
const lists = { tags, summary: 'List the strategies', response: { 200: Strategies } }
const finds = { tags, summary: 'Look at a strategy', params: one, response: { 200: Strategy } }

export const strategyRoutes: FastifyPluginAsyncTypebox<{ operations: Operations }> = async (app, { operations }) => {
  app.get('/v1/strategies', { schema: lists }, async () => ({ items: operations.listStrategies() }))
  app.get('/v1/strategies/:id', { schema: finds }, async ({ params }) => operations.findStrategy(params.id))
}
