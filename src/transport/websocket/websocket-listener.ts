/** The side that is dialed. Websockets come from the HTTP listener, which has checked who was called, and from where. */
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Clock } from '../../core/clock.ts'
import { LinkRegister } from '../link-register.ts'
import { LINK_LIMITS, type LinkLimits, type Listener } from '../transport.ts'
import { WebSocketLink } from './websocket-link.ts'

export interface WebSocketListener extends Listener {
  readonly accept: (socket: WebSocket, from: { readonly remote: string; readonly stream: Socket }) => void
}

export function createWebSocketListener(clock: Clock, limits: LinkLimits = LINK_LIMITS): WebSocketListener {
  const register = new LinkRegister(clock, limits)
  return {
    accept(socket, { remote, stream }) {
      const atEnd = (link: WebSocketLink) => register.leave(link)
      register.enter(new WebSocketLink(socket, { clock, limits, direction: 'accepted', remote, stream, atEnd }))
    },
    onLink: (handler) => register.onLink(handler),
    get links() {
      return register.count
    },
    close: () => register.close(),
  }
}
