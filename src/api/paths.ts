/** Paths of files in requests, and the pair of routes (GET, and HEAD without reading) that gives a file out. */
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import { TributaryError } from '../core/errors.ts'

const PLAIN = /^(?!.*(^|\/)\.{0,2}(\/|$))[^\\\u0000-\u001f\u007f]+$/u

/** Refuses what climbs, begins at the root, repeats a slash or hides a control character. */
export function checkPath(path: string): string {
  if (PLAIN.test(path) && path.length <= 1024) return path
  throw new TributaryError('PATH_INVALID', `${JSON.stringify(path.slice(0, 200))} is no path inside a model`, {
    hint: 'give a relative path such as config.json, with single slashes and without . or ..',
  })
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>

export function fileGets(app: FastifyInstance, url: string, schema: FastifySchema, handler: Handler): void {
  app.get(url, { schema, exposeHeadRoute: false }, handler)
  app.head(url, { schema: { ...schema, hide: true } }, handler)
}
