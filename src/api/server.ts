/** The HTTP skin of a replica: puts the plugins together, and holds every limit in sight. No logic of its own. */
import { Socket } from 'node:net'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, { type FastifyInstance, LogController } from 'fastify'
import { isLoopback, type ReplicaConfig } from '../config.ts'
import { TributaryError } from '../core/errors.ts'
import { invariant } from '../core/invariant.ts'
import type { Operations } from '../operations/operations.ts'
import type { Peers } from '../operations/peers.ts'
import { type Clock, systemClock } from './clock.ts'
import { bringsBytes, readMedia } from './media.ts'
import { serveMetrics } from './metrics.ts'
import { describeApi } from './openapi.ts'
import { answerProblems, malformedAnswer, sendProblem } from './refusals.ts'
import { createRouteTable, type RouteTable } from './route-table.ts'
import { blobRoutes } from './routes/blobs.ts'
import { contributionRoutes } from './routes/contributions.ts'
import { eventRoutes } from './routes/events.ts'
import { healthRoutes } from './routes/health.ts'
import { memberRoutes } from './routes/members.ts'
import { mergeRoutes } from './routes/merges.ts'
import { modelRoutes } from './routes/models.ts'
import { peerRoutes } from './routes/peers.ts'
import { openWebsockets, REPLICATE, replicateRoutes, type Replicating } from './routes/replicate.ts'
import { revocationRoutes } from './routes/revocations.ts'
import { spaceRoutes } from './routes/spaces.ts'
import { strategyRoutes } from './routes/strategies.ts'
import { uploadRoutes } from './routes/uploads.ts'
import { limitUploads } from './seats.ts'
import { guard } from './security.ts'
import { hashToken } from './token.ts'
import { validatorCompiler } from './validation.ts'

const KIB = 1024
const JSON_BYTES_MAX = 1024 * KIB
const HEADER_BYTES_MAX = 16 * KIB
const HEADERS_MS_MAX = 20_000
const KEEP_ALIVE_MS = 10_000
/** A client that takes nothing of an answer for so long has gone. */
const IDLE_MS_MAX = 120_000
/** How long a refused upload may go on being sent, so that its sender gets to read why. */
const LINGER_MS = 5_000
/** How long what is under way may go on when the replica stops: uploads resume, merges begin again. */
const STOP_MS_MAX = 10_000
const UPLOAD_BYTES_MAX = 1024 ** 4

export interface ServerOptions {
  readonly operations: Operations
  readonly config: Pick<ReplicaConfig, 'host' | 'port' | 'token' | 'publicHosts' | 'logLevel'>
  readonly version: string
  /** SHA-256 of the bearer token, from `resolveToken`; that of `config.token` where absent. */
  readonly tokenSha256?: string
  /** Other replicas; without it there is no place for them. */
  readonly replicas?: Replicas
  readonly clock?: Clock
  readonly uploadBytesMax?: number
  readonly uploadsAtOnceMax?: number
  /** Where log lines go: stderr, for stdout is data. */
  readonly log?: { write(line: string): void }
}

export interface Replicas {
  readonly links: Replicating
  readonly peers: Peers
}

export interface Server extends FastifyInstance {
  readonly routes: RouteTable
  readonly asksForToken: boolean
}

export function createServer(options: ServerOptions): Server {
  const { operations, config, version, replicas, clock = systemClock, log = process.stderr } = options
  const tokenSha256 = options.tokenSha256 ?? (config.token === undefined ? undefined : hashToken(config.token))

  const app = fastify({
    bodyLimit: JSON_BYTES_MAX,
    http: { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: HEADERS_MS_MAX, requireHostHeader: true },
    requestTimeout: 0, // an upload may take hours; what is too slow is judged by its pace
    connectionTimeout: IDLE_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    return503OnClosing: false, // answered as a problem instead
    forceCloseConnections: 'idle',
    trustProxy: false,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: 256, caseSensitive: true },
    logger: {
      level: config.logLevel,
      redact: { paths: ['req.headers.authorization', 'headers.authorization', 'authorization'], censor: '[redacted]' },
      stream: log,
    },
    logController: new LogController({ disableRequestLogging: true }),
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
    clientErrorHandler(error, socket) {
      if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
      socket.end(malformedAnswer(error.code))
    },
  }).withTypeProvider<TypeBoxTypeProvider>()

  const routes = createRouteTable()
  app.addHook('onRoute', ({ method, url }) => routes.add(method, url))
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))

  answerProblems(app, routes)
  guard(app, {
    names: { host: config.host, publicHosts: config.publicHosts, ports: () => portsOf(app, config.port) },
    tokenSha256,
    ...(replicas !== undefined && { ownAsking: [REPLICATE] }),
  })
  if (replicas !== undefined) openWebsockets(app, replicas.links)
  keepTime(app, clock)
  limitUploads(app, bringsBytes, options.uploadsAtOnceMax)
  readMedia(app, { bytesMax: options.uploadBytesMax ?? UPLOAD_BYTES_MAX, clock })
  describeApi(app, version)
  serveMetrics(app, operations, replicas?.peers)
  for (const plugin of [
    spaceRoutes,
    modelRoutes,
    uploadRoutes,
    contributionRoutes,
    revocationRoutes,
    memberRoutes,
    mergeRoutes,
    strategyRoutes,
    blobRoutes,
    healthRoutes,
  ])
    app.register(plugin, { operations })
  app.register(eventRoutes, { operations, clock })
  if (replicas !== undefined) {
    app.register(replicateRoutes, { replicating: replicas.links })
    app.register(peerRoutes, { peers: replicas.peers })
  }

  return Object.assign(app as unknown as FastifyInstance, { routes, asksForToken: tokenSha256 !== undefined })
}

/** Before it listens: the port it was given. */
function portsOf(app: FastifyInstance, given: number): readonly number[] {
  const ports = app.addresses().flatMap((address) => (typeof address === 'string' ? [] : [address.port]))
  return ports.length > 0 ? ports : [given]
}

/** Who waits for whom, and how long: reading is timed by pace, working not at all, answering by the socket. */
function keepTime(app: FastifyInstance, clock: Clock): void {
  app.addHook('preClose', async () => {
    clock.after(STOP_MS_MAX, () => app.server.closeAllConnections())
  })
  app.addHook('onRequest', async ({ raw }) => {
    if (raw.socket instanceof Socket) raw.socket.setTimeout(0)
  })
  app.addHook('onSend', async ({ raw }) => {
    if (raw.socket instanceof Socket) raw.socket.setTimeout(IDLE_MS_MAX)
  })
  app.addHook('onResponse', async (request, reply) => {
    const { raw } = request
    request.log.info(
      { method: request.method, url: request.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'request',
    )
    if (raw.complete || !(raw.socket instanceof Socket)) return
    raw.resume()
    const callOff = clock.after(LINGER_MS, () => raw.socket.destroy())
    raw.once('close', callOff)
  })
}

/** Starts answering; resolves to the address. Beyond loopback never without a token. */
export async function startListening(
  app: Server,
  { host, port }: Pick<ReplicaConfig, 'host' | 'port'>,
): Promise<string> {
  invariant(isLoopback(host) || app.asksForToken, 'a listener beyond loopback asks for a token')
  try {
    return await app.listen({ host, port })
  } catch (error) {
    const why = LISTEN_FAILURES[(error as NodeJS.ErrnoException).code ?? '']
    if (why === undefined) throw error
    throw new TributaryError('LISTEN_FAILED', `can't listen on ${host}:${port}: ${why}`, {
      hint: 'give another --port (0 takes a free one) or another --host',
    })
  }
}

const LISTEN_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program does',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'this user may not take that port',
  ENOTFOUND: 'nobody knows that name',
}
