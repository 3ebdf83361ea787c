import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { createServer } from '../../src/api/server.ts'
import { createMemoryNetwork } from '../../src/transport/memory/memory-transport.ts'
import { createWebSocketDialer } from '../../src/transport/websocket/websocket-dialer.ts'
import { createWebSocketListener } from '../../src/transport/websocket/websocket-listener.ts'
import { createFakeOperations, noPeers } from '../api/fake-operations.ts'
import { CONFIG } from '../api/listener.ts'
import { transportContract } from '../contracts/transport-contract.ts'

transportContract('in memory', async (clock, limits) => {
  const network = createMemoryNetwork(clock, limits)
  return {
    listener: network.listen('here'),
    dialer: network.dialer,
    address: { url: 'here' },
    nowhere: { url: 'elsewhere' },
    cut: () => network.cut(),
    stop: async () => undefined,
  }
})

transportContract('over websockets, through the HTTP listener', async (clock, limits) => {
  const listener = createWebSocketListener(clock, limits)
  const links = { frameBytesMax: limits.frameBytesMax, accept: listener.accept, close: listener.close }
  const config = { ...CONFIG, port: 0 }
  const app = createServer({
    operations: createFakeOperations(),
    config,
    version: '0',
    replicas: { links, peers: noPeers },
  })
  const sockets = new Set<Socket>()
  app.server.on('connection', (socket) => void sockets.add(socket))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const closed = await new Promise<number>((resolve) => {
    const server = createTcpServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
  const cut = () => sockets.forEach((socket) => socket.destroy())
  return {
    listener,
    dialer: createWebSocketDialer(clock, limits),
    address: { url },
    nowhere: { url: `http://127.0.0.1:${closed}` },
    cut,
    stop: async () => {
      cut()
      await app.close()
    },
  }
})
