/** /v1/spaces/{s}/contributions: offer a model under a name, list and prove what is offered, retract. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { TributaryError } from '../../core/errors.ts'
import type { Contributed, Offer, Operations } from '../../operations/operations.ts'
import { announcedBytes, bytesOf } from '../media.ts'
import { Binary, Contribution, Contributions, Offered, Proof, Space } from '../schemas.ts'
import { inSpace } from './spaces.ts'

const tags = ['contributions']
const text = Type.Optional(Type.String())
const count = Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
const texts = Type.Optional(Type.Array(Type.String()))

const query = Type.Object(
  {
    name: Type.Optional(Type.String({ description: 'Its slot; wanted with a safetensors body' })),
    weight: text,
    base: text,
    samples: count,
    license: text,
    tag: Type.Optional(Type.Array(Type.String(), { description: 'Repeatable' })),
  },
  { additionalProperties: false },
)
const offer = Type.Object(
  {
    model: Type.String({ description: 'Id of a stored model' }),
    name: Type.String({ description: 'Its slot' }),
    weight: Type.Optional(Type.Union([Type.Number(), Type.String()])),
    kind: text,
    base: text,
    samples: count,
    license: text,
    tags: texts,
    sidecars: Type.Optional(Type.Record(Type.String(), Type.String())),
    meta: Type.Optional(Type.Array(Type.Tuple([Type.String(), Type.String()]))),
  },
  { additionalProperties: false },
)
const body = {
  content: { 'application/json': { schema: offer }, 'application/octet-stream': { schema: Binary } },
}
const one = Type.Object({ ...inSpace.properties, id: Type.String() })

const contributes = {
  tags,
  summary: 'Contribute a stored model, or a safetensors file',
  params: inSpace,
  querystring: query,
  body,
  response: { 200: Offered, 201: Offered },
}
const lists = { tags, summary: 'List what is visible', params: inSpace, response: { 200: Contributions } }
const finds = { tags, summary: 'Look at a contribution', params: one, response: { 200: Contribution } }
const proves = { tags, summary: 'Prove that it is under the root', params: one, response: { 200: Proof } }
const retracts = { tags, summary: 'Retract a contribution', params: one, response: { 200: Space } }

const isBytes = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'object' && Symbol.asyncIterator in value)

const noName = () =>
  new TributaryError('REQUEST_INVALID', 'in the query: name is missing', {
    pointer: '/name',
    hint: 'give the slot: ?name=my-model',
  })
const queryBesideJson = (name: string) =>
  new TributaryError('REQUEST_INVALID', `in the query: ${name} does not go with a JSON body`, {
    pointer: `/${name}`,
    hint: 'say it in the body',
  })

const offeredView = ({ id, model, content, dot, root }: Contributed) => ({ id, model, content, dot, root })

export const contributionRoutes: FastifyPluginAsyncTypebox<{ operations: Operations }> = async (
  app,
  { operations },
) => {
  app.post(
    '/v1/spaces/:space/contributions',
    { schema: contributes, config: { takes: 'either' } },
    async (request, reply) => {
      const { space } = request.params
      const { name, tag, ...rest } = request.query
      let offered: Offer
      if (isBytes(request.body)) {
        if (name === undefined) throw noName()
        operations.findSpace(space) // before a long upload, not after it
        const { model } = await operations.uploadModel(bytesOf(request.body), announcedBytes(request))
        offered = { ...rest, model, name, ...(tag === undefined ? {} : { tags: tag }) }
      } else {
        const [stray] = Object.keys(request.query)
        if (stray !== undefined) throw queryBesideJson(stray)
        offered = request.body as Offer
      }
      const contributed = await operations.contribute(space, offered)
      return reply
        .code(contributed.created ? 201 : 200)
        .header('location', `/v1/spaces/${encodeURIComponent(space)}/contributions/${contributed.id}`)
        .send(offeredView(contributed))
    },
  )
  app.get('/v1/spaces/:space/contributions', { schema: lists }, async ({ params }) => ({
    items: operations.listContributions(params.space),
  }))
  app.get('/v1/spaces/:space/contributions/:id', { schema: finds }, async ({ params }) =>
    operations.findContribution(params.space, params.id),
  )
  app.get('/v1/spaces/:space/contributions/:id/proof', { schema: proves }, async ({ params }) =>
    operations.proveContribution(params.space, params.id),
  )
  app.delete('/v1/spaces/:space/contributions/:id', { schema: retracts }, async ({ params }) =>
    operations.retract(params.space, params.id),
  )
}
