/** /openapi.json, generated from the routes and never written by hand; /docs shows it. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { components, ProblemSchema } from './schemas.ts'

const problem = {
  description: 'What went wrong, and what to do next',
  content: { 'application/problem+json': { schema: { $ref: `${ProblemSchema.$id}#` } } },
}

export function describeApi(app: FastifyInstance, version: string): void {
  for (const schema of components) app.addSchema(schema)
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tributary',
        version,
        description: 'Merge fine-tuned checkpoints without a coordinator. JSON in snake_case, problems by RFC 9457.',
        license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      },
      components: {
        securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'Asked for beyond loopback.' } },
      },
      security: [{}, { token: [] }],
      tags: [
        { name: 'spaces', description: 'Named sets of contributions' },
        { name: 'models', description: 'Tensors and files, named by their digests' },
        { name: 'uploads', description: 'Directories, and uploads that can be resumed' },
        { name: 'contributions', description: 'Models offered to a space' },
        { name: 'merges', description: 'Recipes run over a space, and their receipts' },
        { name: 'strategies', description: 'Ways to merge' },
        { name: 'replicas', description: 'Other replicas: what is synced, and bytes by their digests' },
        { name: 'operation', description: 'For those who run a replica' },
      ],
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) =>
        typeof json['$id'] === 'string' ? json['$id'] : `schema-${i}`,
    },
    transform: ({ schema, url }) => ({
      schema: { ...schema, response: { ...(schema.response as object | undefined), '4xx': problem, '5xx': problem } },
      url,
    }),
  })
  app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { deepLinking: true, validatorUrl: null, persistAuthorization: false },
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}
