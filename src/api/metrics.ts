/** /metrics: what Prometheus may know. Labels are bounded: a route's pattern, never its path. */
import type { FastifyInstance } from 'fastify'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Peers } from '../operations/peers.ts'
import type { Figures, MergeState, Operations } from '../operations/operations.ts'

const SECONDS = [0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120, 600]

/** What the process says of itself, once however many listeners it has. */
let processRegistry: Registry | undefined
function processMetrics(): Registry {
  if (processRegistry === undefined) {
    processRegistry = new Registry()
    collectDefaultMetrics({ register: processRegistry })
  }
  return processRegistry
}

const COUNTS: Readonly<Record<Exclude<keyof Figures, 'merges'>, string>> = {
  spaces: 'Spaces that this replica holds.',
  ops: 'Ops stored, of all spaces.',
  contributions: 'Visible contributions, of all spaces.',
  models: 'Models stored.',
  receipts: 'Receipts stored.',
  unfinished_uploads: 'Uploads that are neither finished nor expired.',
  merged_bytes: 'Bytes of output that merges have written.',
  blob_bytes_given: 'Bytes of blobs that were given out, over links and by HTTP, since the start.',
  blob_bytes_received: 'Bytes of blobs that other replicas sent since the start.',
  forked_keys: 'Keys that signed two ops for one place, of all spaces.',
  own_forked_epochs: 'Epochs in which the key of this replica did, summed over spaces: two replicas run with one key.',
  fetched_bytes: 'Bytes of models of other replicas that are kept, of all spaces.',
  fetched_bytes_of_largest_space: 'The same of the space that has most of them.',
  fetch_quota_bytes: 'How many of them one space may have.',
  damaged_models: 'Models that are not whole, because bytes of theirs rotted.',
  rotten_blobs: 'Blobs found rotten or gone since the start.',
  scrubbed_bytes: 'Stored bytes that were read again and verified since the start.',
  free_bytes: 'Bytes free in the data directory.',
}

const bounded = /^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH)$/

export function serveMetrics(app: FastifyInstance, operations: Operations, peers?: Peers): void {
  const registry = new Registry()
  const durations = new Histogram({
    name: 'tributary_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: SECONDS,
    registers: [registry],
  })
  const gauges = Object.entries(COUNTS).map(([name, help]) => {
    const gauge = new Gauge({ name: `tributary_${name}`, help, registers: [registry] })
    return [name as keyof typeof COUNTS, gauge] as const
  })
  const merges = new Gauge({
    name: 'tributary_merges',
    help: 'Merges by state.',
    labelNames: ['state'],
    registers: [registry],
  })

  const showPeers = peers === undefined ? () => undefined : peerMetrics(registry, peers)

  app.addHook('onResponse', async (request, reply) => {
    const method = bounded.test(request.method) ? request.method : 'other'
    const status = `${Math.floor(reply.statusCode / 100)}xx`
    durations.observe({ method, route: request.routeOptions.url ?? 'none', status }, reply.elapsedTime / 1000)
  })

  // As a plugin, so that the description of the API is there to see the route.
  app.register(async (scope) => {
    scope.get('/metrics', { schema: { tags: ['operation'], summary: 'Figures for Prometheus' } }, async (_, reply) => {
      showPeers()
      const figures = await operations.figures()
      for (const [name, gauge] of gauges) gauge.set(figures[name])
      for (const [state, count] of Object.entries(figures.merges) as [MergeState, number][])
        merges.set({ state }, count)
      const text = await Registry.merge([processMetrics(), registry]).metrics()
      return reply.type(registry.contentType).send(text)
    })
  })
}

/** Labels are the closed words of the replica core. */
function peerMetrics(registry: Registry, peers: Peers): () => void {
  const registers = [registry]
  const linked = new Gauge({
    name: 'tributary_peers',
    help: 'Other replicas by state.',
    labelNames: ['state'],
    registers,
  })
  const behind = new Gauge({
    name: 'tributary_peer_spaces_out_of_sync',
    help: 'Spaces, summed over links, of which this replica and the other do not keep the same.',
    registers,
  })
  const lag = new Gauge({
    name: 'tributary_peer_lag_seconds',
    help: 'For how long a linked replica and this one have not kept the same of a space, where that is longest.',
    registers,
  })
  const parked = new Gauge({
    name: 'tributary_parked_ops',
    help: 'Ops that wait for others which must come first.',
    registers,
  })
  const events = new Gauge({
    name: 'tributary_replication_events',
    help: 'What happened on links to other replicas since the start, by kind.',
    labelNames: ['event'],
    registers,
  })
  return () => {
    const all = peers.list()
    for (const state of ['dialing', 'greeting', 'linked', 'known'])
      linked.set({ state }, all.filter((peer) => peer.state === state).length)
    lag.set(all.flatMap(({ spaces }) => spaces).reduce((most, { lag_seconds: s = 0 }) => Math.max(most, s), 0))
    behind.set(all.flatMap(({ spaces }) => spaces.filter(({ in_sync: inSync }) => !inSync)).length)
    parked.set(peers.parkedOps())
    for (const [event, count] of peers.counts()) events.set({ event }, count)
  }
}
