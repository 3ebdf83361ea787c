/** /v1/peers: the other replicas. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Peers } from '../../operations/peers.ts'
import { Peer, PeerList } from '../schemas.ts'

const tags = ['replicas']
const body = Type.Object(
  { url: Type.String({ maxLength: 512, description: 'http(s)://HOST:PORT of the other replica' }) },
  { additionalProperties: false },
)
const lists = { tags, summary: 'List the other replicas this one knows or is linked to', response: { 200: PeerList } }
const names = {
  tags,
  summary: 'Name a replica to link to, now and after every start',
  body,
  response: { 200: Peer, 201: Peer },
}

export const peerRoutes: FastifyPluginAsyncTypebox<{ peers: Peers }> = async (app, { peers }) => {
  app.get('/v1/peers', { schema: lists }, async () => ({ replica: peers.self, items: [...peers.list()] }))
  app.post('/v1/peers', { schema: names }, async ({ body: { url } }, reply) => {
    const { peer, created } = peers.add(url)
    return reply.code(created ? 201 : 200).send(peer)
  })
}
