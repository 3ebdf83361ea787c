/** /v1/replicate: where other replicas open their links. The websocket is handed on as it is; nothing here reads a frame. */
import type { Socket } from 'node:net'
import websocket, { type WebSocket } from '@fastify/websocket'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { TributaryError } from '../../core/errors.ts'

/** Who takes the links. A replica says who it is in its first frames, so the route asks for no token. */
export interface Replicating {
  readonly frameBytesMax: number
  readonly accept: (socket: WebSocket, from: { readonly remote: string; readonly stream: Socket }) => void
  /** Ends all links: the listener waits for them before it is closed. */
  readonly close: () => void
}

export const REPLICATE = '/v1/replicate'

/** Before any route, for it changes how each is registered. */
export function openWebsockets(app: FastifyInstance, { frameBytesMax, close }: Replicating): void {
  app.register(websocket, {
    options: { maxPayload: frameBytesMax, perMessageDeflate: false, clientTracking: false },
    errorHandler: (_, socket) => socket.terminate(), // the link that holds it tells why
    preClose: (done) => {
      close()
      done()
    },
  })
}

const schema = { tags: ['replicas'], summary: 'Open a link between two replicas (websocket)' }

export const replicateRoutes: FastifyPluginAsync<{ replicating: Replicating }> = async (app, { replicating }) => {
  app.route({
    method: 'GET',
    url: REPLICATE,
    exposeHeadRoute: false,
    schema,
    handler: async () => {
      throw new TributaryError('UPGRADE_REQUIRED', 'replicas open a websocket here', {
        hint: 'give this address to another replica as a peer',
      })
    },
    wsHandler: (socket, request) => {
      replicating.accept(socket, { remote: request.ip, stream: request.raw.socket })
    },
  })
}
