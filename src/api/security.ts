/** What stands before every route: whose name was called, from which page, with which token; and what every answer says. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { TributaryError } from '../core/errors.ts'
import { isOwnHost, isSameOrigin, type OwnNames } from './hosts.ts'
import { isToken } from './token.ts'

export interface Guard {
  readonly names: OwnNames
  /** SHA-256 of the bearer token, in hex. Undefined: none is asked for. */
  readonly tokenSha256: string | undefined
  /** Paths that ask who calls in a way of their own. */
  readonly ownAsking?: readonly string[]
}

/** For monitors that hold no secrets. */
const FREE = ['/healthz', '/readyz']

const NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
/** swagger-ui styles its elements by attribute; its scripts are files. */
const PAGES = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

const HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
} as const

function checkHost({ raw, headers }: FastifyRequest, names: OwnNames): void {
  const hosts = raw.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host')
  if (hosts.length === 1 && isOwnHost(headers.host, names)) return
  throw new TributaryError('HOST_REFUSED', 'this replica does not go by the name in the Host header', {
    hint: 'call it by the address it listens on, or list the name in TRIBUTARY_PUBLIC_HOSTS, with the port where that differs',
  })
}

function checkOrigin({ headers }: FastifyRequest): void {
  if (headers.origin === undefined || isSameOrigin(headers.origin, headers.host ?? '')) return
  throw new TributaryError('ORIGIN_REFUSED', 'this request comes from a page of another origin', {
    hint: 'call the API from a program, or from a page of this replica',
  })
}

function checkToken(request: FastifyRequest, sha256: string | undefined, free: readonly string[]): void {
  const { headers, url } = request
  if (sha256 === undefined || free.includes(url.split('?', 1)[0] ?? '')) return
  if (url.startsWith(TICKETED) && ticketOf(request) !== undefined) return
  const token = /^Bearer +([^\s]{1,512})$/i.exec(headers.authorization ?? '')?.[1]
  if (token !== undefined && isToken(token, sha256)) return
  throw new TributaryError(
    'UNAUTHORIZED',
    token === undefined ? 'a bearer token is needed here' : 'this is not the bearer token of this replica',
    { hint: 'send "Authorization: Bearer" with the token; it was printed at the first start, or is TRIBUTARY_TOKEN' },
  )
}

/** Only the blobs take tickets; their routes check what this finds. */
const TICKETED = '/v1/blobs/'

export function ticketOf({ headers }: FastifyRequest): string | undefined {
  return /^Ticket +([^\s]{1,512})$/i.exec(headers.authorization ?? '')?.[1]
}

export function guard(app: FastifyInstance, { names, tokenSha256, ownAsking = [] }: Guard): void {
  const free = [...FREE, ...ownAsking]
  let stopping = false
  app.addHook('preClose', async () => {
    stopping = true
  })
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS)
    const shown = request.url === '/docs' || request.url.startsWith('/docs/')
    reply.header('content-security-policy', shown ? PAGES : NOTHING)
    checkHost(request, names)
    checkOrigin(request)
    checkToken(request, tokenSha256, free)
    if (stopping)
      throw new TributaryError('SERVER_STOPPING', 'this replica is shutting down', { hint: 'try again in a moment' })
  })
}
