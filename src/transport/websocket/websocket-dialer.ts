/** The side that dials. It follows no redirect, and goes to the pinned address where one was judged. */
import { isIPv6 } from 'node:net'
import type { LookupFunction } from 'node:net'
import { WebSocket } from 'ws'
import type { Clock } from '../../core/clock.ts'
import { TributaryError } from '../../core/errors.ts'
import { type Address, type Dialer, type Link, LINK_LIMITS, type LinkLimits } from '../transport.ts'
import { WebSocketLink } from './websocket-link.ts'

const PATH = '/v1/replicate'

export const createWebSocketDialer = (clock: Clock, limits: LinkLimits = LINK_LIMITS): Dialer => ({
  dial: (address, signal) =>
    new Promise<Link>((resolve, reject) => {
      const url = websocketUrl(address)
      const socket = new WebSocket(url, {
        perMessageDeflate: false,
        maxPayload: limits.frameBytesMax,
        followRedirects: false,
        ...(address.pinned !== undefined && { lookup: pinnedTo(address.pinned) }),
      })
      const settle = () => {
        stopWaiting()
        signal?.removeEventListener('abort', giveUp)
        socket.removeAllListeners()
        socket.on('error', () => undefined) // what a connection that was given up still has to say
      }
      const refuse = (why: string, cause?: unknown) => {
        settle()
        socket.terminate()
        reject(new TributaryError('NETWORK', `no link to ${url.origin}: ${why}`, { cause }))
      }
      const giveUp = () => refuse('it was called off')
      const stopWaiting = clock.after(limits.openingMsMax, () => refuse('no answer in time'))
      socket.once('open', () => {
        settle()
        resolve(new WebSocketLink(socket, { clock, limits, direction: 'dialed', remote: url.host }))
      })
      socket.once('unexpected-response', (_, { statusCode }) => refuse(`it answers ${String(statusCode)}`))
      socket.once('error', (error: NodeJS.ErrnoException) => refuse(error.code ?? error.message, error))
      if (signal?.aborted === true) giveUp()
      else signal?.addEventListener('abort', giveUp, { once: true })
    }),
})

function websocketUrl({ url }: Address): URL {
  const target = new URL(url)
  target.protocol = target.protocol === 'https:' || target.protocol === 'wss:' ? 'wss:' : 'ws:'
  target.pathname = `${target.pathname.replace(/\/+$/, '')}${PATH}`
  return target
}

/** A name may mean another machine by the time it is dialed: what was judged is what is dialed. */
export const pinnedTo =
  (address: string): LookupFunction =>
  (_, options, done) => {
    const family = isIPv6(address) ? 6 : 4
    if (options.all === true) done(null, [{ address, family }])
    else done(null, address, family)
  }
