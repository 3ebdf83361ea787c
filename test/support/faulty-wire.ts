/** A TCP way to a port that may move: it can be cut, as a network is, without a goodbye; healed; and made slow. Loopback only. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterAll } from 'vitest'

export interface FaultyWire {
  /** Where to dial: HOST:PORT. */
  readonly address: string
  /** Where it leads from now on. Until it is told, nobody answers. */
  leadTo(port: number): void
  cut(): void
  heal(): void
  /** What is sent from now on comes so much later. */
  delay(ms: number): void
}

const open: (() => void)[] = []
afterAll(() => {
  for (const close of open.splice(0)) close()
})

export async function faultyWire(): Promise<FaultyWire> {
  const sockets = new Set<Socket>()
  let port: number | undefined
  let isCut = false
  let delayMs = 0

  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  }
  /** Everything is equally late, so the order stays. */
  const carry = (from: Socket, to: Socket) => {
    const later = (act: () => void) => {
      if (delayMs === 0) act()
      else setTimeout(act, delayMs)
    }
    from.on('data', (bytes) => later(() => to.writable && to.write(bytes)))
    from.on('close', () => later(() => to.destroy()))
  }
  const server = createServer((near) => {
    keep(near)
    if (isCut || port === undefined) {
      near.destroy()
      return
    }
    const far = connect(port, '127.0.0.1')
    keep(far)
    carry(near, far)
    carry(far, near)
  })
  const cutAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  open.push(() => {
    cutAll()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    leadTo: (given) => void (port = given),
    cut() {
      isCut = true
      cutAll()
    },
    heal: () => void (isCut = false),
    delay: (ms) => void (delayMs = ms),
  }
}
