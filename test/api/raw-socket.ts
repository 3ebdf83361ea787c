/** HTTP spoken by hand over a loopback socket, for what no client library would send. */
import { connect, type Socket } from 'node:net'
import type { Server } from '../../src/api/server.ts'

export async function listen(app: Server): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  const [address] = app.addresses()
  if (typeof address !== 'object') throw new Error('it listens nowhere')
  return address.port
}

export interface Conversation {
  readonly socket: Socket
  /** All that came back until the other side closed. */
  readonly ended: Promise<string>
  /** Resolves once what came back matches. */
  until(pattern: RegExp): Promise<string>
}

export function converse(port: number, opening: string): Conversation {
  const socket = connect(port, '127.0.0.1')
  let heard = ''
  socket.setEncoding('latin1').on('data', (text: string) => void (heard += text))
  socket.on('error', () => {}) // a reset is one way to be refused
  socket.write(opening, 'latin1')
  return {
    socket,
    ended: new Promise((resolve) => socket.on('close', () => resolve(heard))),
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (pattern.test(heard)) resolve(heard)
        }
        socket.on('data', look)
        socket.on('close', () => reject(new Error(`closed after: ${heard}`)))
        look()
      }),
  }
}
