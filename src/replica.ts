/** Composition root: the only file that knows every driver. It chooses, wires, starts and stops in order; no logic. */
import { randomBytes } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { join } from 'node:path'
import { strategies } from '../merge-strategies/index.ts'
import { systemClock } from './api/clock.ts'
import { createServer, startListening } from './api/server.ts'
import { resolveToken } from './api/token.ts'
import { VERSION } from './cli/version.ts'
import { createCompactor } from './compactor.ts'
import type { ReplicaConfig } from './config.ts'
import { sign, verify } from './core/signature.ts'
import { createMerger } from './merger.ts'
import { LIMITS } from './operations/context.ts'
import { createOperations } from './operations/create-operations.ts'
import { Lease } from './operations/lease.ts'
import { keepSweeping } from './operations/keep-sweeping.ts'
import { keepScrubbing } from './operations/scrub.ts'
import { createPeers, parsePeerUrl } from './operations/peers.ts'
import { Replicator } from './replication/replicator.ts'
import { createNodeFileSystem } from './storage/fs/node-file-system.ts'
import { openReplicaKey } from './storage/fs/replica-key.ts'
import { openSqliteStorage } from './storage/sqlite/sqlite-storage.ts'
import { createHttpBlobSource } from './transport/http/http-blob-source.ts'
import { parseBlock } from './transport/judge-address.ts'
import { type Between, DIRECT } from './transport/partition.ts'
import { LINK_LIMITS } from './transport/transport.ts'
import { createWebSocketDialer } from './transport/websocket/websocket-dialer.ts'
import { createWebSocketListener } from './transport/websocket/websocket-listener.ts'

export interface RunningReplica {
  readonly url: string
  /** Its public key: what it is to other replicas. */
  readonly key: string
  /** Only when it was made just now: it is shown once and kept hashed. */
  readonly token?: string
  stop(): Promise<void>
}

export interface ReplicaSurroundings {
  /** For demos and drills: a network that can be cut. */
  readonly between?: Between
  /** Where lines of the log go, each one of JSON; stderr where absent. */
  readonly log?: { write(line: string): void }
}

export async function startReplica(
  config: ReplicaConfig,
  { between = DIRECT, log }: ReplicaSurroundings = {},
): Promise<RunningReplica> {
  const storage = await openSqliteStorage(config.dataDirectory)
  const stops: (() => Promise<void> | void)[] = [() => storage.close()]
  const stopAll = async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  }
  try {
    const key = await openReplicaKey(createNodeFileSystem(), join(config.dataDirectory, 'replica.key'), randomBytes)
    const lease = new Lease(storage.lease, key.rid, randomBytes(16).toString('hex'))
    const token = resolveToken({ config, settings: storage.settings })
    const merger = await createMerger(config.resources)
    stops.push(() => merger.close())
    const operations = createOperations({
      storage,
      merger,
      compactor: createCompactor(config.dataDirectory),
      strategies,
      key,
      lease,
      version: VERSION,
      limits: { ...LIMITS, fetchedBytesMax: config.fetchQuotaBytes },
      now: Date.now,
      randomHex: (bytes) => randomBytes(bytes).toString('hex'),
      report: (what, error) => server.log.error({ err: error }, what),
    })
    stops.push(() => operations.stop())
    const listener = createWebSocketListener(systemClock)
    const replicator = new Replicator({
      identity: {
        rid: key.rid,
        sign: (proof) => sign('hello', proof, key),
        verify: (proof, rid, signature) => verify('hello', proof, rid, signature),
      },
      kept: operations.kept,
      peers: storage.peers,
      addresses: {
        urls: config.advertised.map((url) => parsePeerUrl(url, '--advertise')),
        allowed: config.openBlocks.map(parseBlock),
        stored: storage.addresses,
        resolve: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
      },
      dialer: between.dialer(createWebSocketDialer(systemClock)),
      listener: between.listener(listener),
      clock: systemClock,
      now: Date.now,
      random: Math.random,
      randomBytes,
      report: (what, error) => server.log.error({ err: error }, what),
      onPeer: (who) => operations.peerChanged(who),
      giveTicket: operations.ticketFor,
      readBlob: operations.readBlobFor,
      openSource: createHttpBlobSource,
      onSource: () => operations.sourcesChanged(),
    })
    const peers = createPeers(key.rid, replicator, storage.peers)
    const named = config.peers.map((url) => parsePeerUrl(url, '--peer'))
    const server = createServer({
      operations,
      replicas: {
        links: { frameBytesMax: LINK_LIMITS.frameBytesMax, accept: listener.accept, close: () => listener.close() },
        peers,
      },
      config,
      version: VERSION,
      ...(log !== undefined && { log }),
      ...(token.sha256 !== undefined && { tokenSha256: token.sha256 }),
    })
    stops.push(() => server.close())
    const url = await startListening(server, config)
    operations.start()
    replicator.start()
    operations.fetchFrom({
      clock: systemClock,
      sourcesFor: (space) => replicator.sourcesFor(space),
      lied: (source) => replicator.lied(source),
    })
    stops.push(() => replicator.stop())
    for (const peer of named) replicator.name(peer)
    const report = (what: string, error: unknown) => server.log.error({ err: error }, what)
    stops.push(keepScrubbing({ clock: systemClock, scrub: operations.scrub, report }))
    stops.push(keepSweeping({ clock: systemClock, sweep: () => operations.sweep(), report }))
    return {
      url,
      key: key.rid,
      ...(token.made !== undefined && { token: token.made }),
      async stop() {
        const last = stops.shift() // storage closes after the lease says that all is well
        await stopAll()
        storage.lease.markClean(key.rid)
        await last?.()
      },
    }
  } catch (error) {
    await stopAll()
    throw error
  }
}
