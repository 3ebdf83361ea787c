/** /v1/events: what changes on this replica, as server-sent events. Who reads slowly is told less often, never more at once. */
import { Readable } from 'node:stream'
import type { FastifyPluginAsync } from 'fastify'
import { TributaryError } from '../../core/errors.ts'
import type { Operations } from '../../operations/operations.ts'
import type { Clock } from '../clock.ts'

const HEARTBEAT_MS = 15_000
const WATCHERS_MAX = 32

const schema = { tags: ['operation'], summary: 'Follow what changes (server-sent events)' }

export const eventRoutes: FastifyPluginAsync<{ operations: Operations; clock: Clock }> = async (
  app,
  { operations, clock },
) => {
  const stops = new Set<() => void>()
  app.addHook('preClose', async () => {
    for (const stop of stops) stop()
  })

  /** Ends when the replica stops or the reader has gone. */
  async function* follow(onGone: (stop: () => void) => void): AsyncGenerator<string> {
    const over = new AbortController()
    let wake = (): void => undefined
    const watching = operations.watchEvents(() => wake())
    const stop = () => {
      over.abort()
      wake()
    }
    stops.add(stop)
    onGone(stop)
    try {
      yield ': watching\n\n' // the headers go out at once
      while (!over.signal.aborted) {
        const events = watching.take()
        if (events.length > 0) {
          yield events.map(({ event, ...data }) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join('')
          continue
        }
        const isQuiet = await new Promise<boolean>((resolve) => {
          const callOff = clock.after(HEARTBEAT_MS, () => resolve(true))
          wake = () => {
            callOff()
            resolve(false)
          }
        })
        if (isQuiet) yield ': quiet\n\n'
      }
    } finally {
      watching.end()
      stops.delete(stop)
    }
  }

  app.get('/v1/events', { schema, exposeHeadRoute: false }, async (request, reply) => {
    if (stops.size >= WATCHERS_MAX)
      throw new TributaryError('TOO_MANY_REQUESTS', `${WATCHERS_MAX} are watching already`, {
        hint: 'close one of them, or ask from time to time instead',
      })
    const events = follow((stop) => request.raw.once('close', stop))
    return reply
      .headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
      .type('text/event-stream; charset=utf-8')
      .send(Readable.from(events, { objectMode: false, highWaterMark: 64 * 1024 }))
  })
}
