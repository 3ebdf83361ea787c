/** Whole replicas, operations and storage included, over links in memory and a clock that is held. */
import { expect, onTestFinished } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import { sign, verify } from '../../src/core/signature.ts'
import type { FileReading } from '../../src/operations/operations.ts'
import type { SourceOpening } from '../../src/replication/link-sources.ts'
import { Replicator } from '../../src/replication/replicator.ts'
import type { ModelSource } from '../../src/transport/blob-source.ts'
import { createMemoryNetwork, type MemoryNetwork } from '../../src/transport/memory/memory-transport.ts'
import { HeldClock } from './held-clock.ts'
import { aReplica, type TestReplica } from './replica.ts'

const cut = new TributaryError('NETWORK', 'cut')
/** A disk that takes half a second for a piece is no stalled source yet. */
const FASTER = 30

export interface Standing {
  readonly replica: TestReplica
  readonly replicator: Replicator
  readonly url: string
}

export class World {
  readonly clock = new HeldClock()
  readonly network: MemoryNetwork = createMemoryNetwork(this.clock)
  readonly #all: Standing[] = []
  /** Stands between a replica and what it gives out of its blobs. */
  tamper: (from: Standing, source: ModelSource) => ModelSource = (_, source) => source

  /** Do replicas give bytes over their links? */
  givesOverLinks = true
  /** What names stand for: the world's, or one's own house. */
  resolve: (host: string) => readonly string[] = (host) => [`9.9.9.${host.replace('replica-', '')}`]

  async stand(
    seed: number,
    peers: readonly string[] = [],
    given?: TestReplica,
    { advertises = false } = {},
  ): Promise<Standing> {
    const replica = given ?? (await aReplica({ seed }))
    const { key } = replica.context
    const url = `http://replica-${seed}`
    for (const peer of peers) replica.storage.peers.add({ url: peer, addedAtMs: 1 })
    let drawn = 0
    const replicator = new Replicator({
      identity: {
        rid: key.rid,
        sign: (proof) => sign('hello', proof, key),
        verify: (proof, rid, signature) => verify('hello', proof, rid, signature),
      },
      kept: replica.kept,
      peers: replica.storage.peers,
      ...(advertises && {
        addresses: {
          urls: [url],
          allowed: [],
          stored: replica.storage.addresses,
          resolve: async (host: string) => this.resolve(host),
        },
      }),
      dialer: this.network.dialer,
      listener: this.network.listen(url),
      clock: this.clock,
      now: () => this.clock.now(),
      random: () => 0.5,
      randomBytes: (count) => new Uint8Array(count).fill(seed * 16 + (drawn += 1)),
      report: (_, error) => replica.faults.push(error),
      giveTicket: replica.ticketFor,
      readBlob: (blob, leave) => (this.givesOverLinks ? replica.readBlobFor(blob, leave) : Promise.reject(cut)),
      openSource: (opening) => this.#sourceOf(opening),
      onSource: () => replica.sourcesChanged(),
      onPeer: (who) => replica.peerChanged(who),
    })
    onTestFinished(() => replicator.stop())
    replicator.start()
    replica.fetchFrom({
      clock: this.clock,
      sourcesFor: (space) => replicator.sourcesFor(space),
      lied: (source) => replicator.lied(source),
    })
    onTestFinished(() => replica.stop())
    const standing = { replica, replicator, url }
    this.#all.push(standing)
    return standing
  }

  /** Time passes in steps in which all frames arrive. */
  async pass(ms: number): Promise<void> {
    for (let gone = 0; gone < ms; gone += 100) {
      this.clock.pass(100)
      for (let turn = 0; turn < 64; turn++) await Promise.resolve()
    }
    expect(this.#all.flatMap(({ replica }) => replica.faults)).toEqual([])
  }

  /** Time passes until it is so: faster than that of the disks, which are real, but in step with it. */
  async until(isSo: () => boolean, what: string): Promise<void> {
    for (let passed = 0; passed < 300_000 && !isSo();) {
      const before = performance.now()
      await new Promise(setImmediate)
      const step = Math.min(100, Math.ceil((performance.now() - before) * FASTER))
      this.clock.pass(step)
      passed += step
    }
    expect(isSo(), what).toBe(true)
  }

  /** What HTTP would bring, without it. */
  #sourceOf({ id, address, authorization }: SourceOpening): ModelSource {
    const from = () => this.#all.find(({ url }) => url === address.url)!
    const ticket = () => /^Ticket (.+)$/.exec(authorization() ?? '')?.[1] ?? 'none'
    async function* read(open: Promise<FileReading>, bytesMax: number, start = 0, end?: number) {
      const reading = await open
      if (reading.bytes > bytesMax) throw new TributaryError('NETWORK', 'more than was asked for')
      yield* reading.read(start, end ?? reading.bytes)
    }
    const { tamper } = this
    const source: ModelSource = {
      id,
      leaves: (root, max) => read(from().replica.readLeaves(root, ticket()), max),
      read: (root, start, end) => read(from().replica.readBlob('tensor', root, ticket()), Infinity, start, end),
      manifest: (digest, max) => read(from().replica.readBlob('manifest', digest, ticket()), max),
      file: (digest, max) => read(from().replica.readBlob('file', digest, ticket()), max),
      has: (digest) =>
        from()
          .replica.readBlob('manifest', digest, ticket())
          .then(
            () => true,
            () => false,
          ),
      close: () => undefined,
    }
    return tamper(from(), source)
  }
}
