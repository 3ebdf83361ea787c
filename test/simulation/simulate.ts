/** One run: a world drawn from a seed, half a minute of faults, then peace, and the oracles. */
import { createHash } from 'node:crypto'
import type { OpId } from '../../src/core/ids.ts'
import type { SignedOp } from '../../src/core/op.ts'
import type { Policy } from '../../src/core/op-schemas.ts'
import { type Behaviour, BEHAVIOURS, Byzantine, MORE_BEHAVIOURS } from './byzantine.ts'
import type { Metric } from '../../src/replication/effects.ts'
import { DEFAULT_SETTINGS, type Settings } from '../../src/replication/settings.ts'
import { overspent } from './budget.ts'
import { type ByteBehaviour, BYTE_BEHAVIOURS } from './byte-liar.ts'
import { believeChunks } from './byte-mistakes.ts'
import { byteFailures, bytesAreThere, type ByteStage } from './byte-oracles.ts'
import { ByteWorld } from './byte-world.ts'
import { Clockwork } from './clockwork.ts'
import { drawFaults, type Faults } from './faults.ts'
import { Host } from './host.ts'
import type { Bugs, HostWorld } from './host-world.ts'
import { Luck } from './luck.ts'
import { foundSpace } from './members.ts'
import { largeShelf, smallShelf } from './models.ts'
import { Nemesis } from './nemesis.ts'
import { Network } from './network.ts'
import { failuresOf, haveConverged, overflowsOf, proofsOf, unproved } from './oracles.ts'
import { ridOf } from './stubs.ts'

export interface Scenario {
  /** Drawn from the seed where absent. */
  readonly honest?: number
  readonly byzantine?: number
  readonly behaviours?: readonly Behaviour[]
  readonly access?: Policy['access']
  readonly faults?: boolean | Partial<Faults>
  readonly steps?: number
  /** Do models travel? With what its misbehaving members do to them. */
  readonly bytes?: boolean | readonly ByteBehaviour[]
  readonly bugs?: Bugs
}

export interface Run {
  readonly seed: number
  readonly failures: readonly string[]
  readonly trace: string
  readonly access: Policy['access']
  readonly ops: number
  readonly acknowledged: number
  readonly frames: number
  readonly bytes: number
  readonly crashes: number
  readonly forks: number
  /** Of runs in which models travel: lies about bytes that were told, and those that were named. */
  readonly lies?: number
  readonly namings?: number
  readonly bytesHealMs?: number
  /** Of each forked chain, how many ops prove it. */
  readonly proofs: readonly number[]
  readonly rollbacks: number
  readonly byzantine: number
  readonly healMs: number
  readonly metrics: ReadonlyMap<Metric, number>
}

const FAULTY_MS = 30_000
const BYTES_FAULTY_MS = 15_000
const LIVENESS_MS = 60_000
/** A source that is silent is given up after 15 s, and a fetch that failed is tried again within a minute. */
const BYTES_LIVENESS_MS = 240_000
/** The share of seeds in which models travel: those take some times as long. */
const WITH_BYTES = 0.3
/** Longer than anything stays parked. */
const EXPIRY_MS = 62_000

function neighboursOf(count: number, luck: Luck): [number, number][] {
  const pairs: [number, number][] = []
  for (let a = 0; a < count; a++)
    for (let b = a + 1; b < count; b++)
      if (count <= 6 || b === a + 1 || (a === 0 && b === count - 1) || luck.chance(4 / count)) pairs.push([a, b])
  return pairs
}

/** Its original is no neighbour, having the same key: one that is honest must be, or nobody can tell it anything. */
function linkCopy(copy: Host, hosts: readonly Host[], neighbours: [number, number][]): void {
  const others = hosts.filter(({ rid }) => rid !== copy.rid)
  const isLinked = others.some(({ node }) => neighbours.some((pair) => pair.includes(node) && pair.includes(copy.node)))
  if (!isLinked) neighbours.push([others[0]!.node, copy.node])
}

/** Queues so short that they overflow all the time. */
const narrow = (luck: Luck): Partial<Settings> => ({
  waitingFrames: 1 + luck.below(6),
  waitingBytes: 2 ** 20,
  lazyIds: 1 + luck.below(6),
  awaitedIds: 1 + luck.below(6),
  eagerPeers: 1 + luck.below(4),
  fullMeshPeers: luck.below(6),
})

export async function simulate(seed: number, scenario: Scenario = {}): Promise<Run> {
  if (scenario.bugs?.bytes?.believesChunks !== true) return run(seed, scenario)
  const end = believeChunks(smallShelf(), largeShelf())
  try {
    return await run(seed, scenario)
  } finally {
    end()
  }
}

async function run(seed: number, scenario: Scenario): Promise<Run> {
  const luck = new Luck(seed)
  const clockwork = new Clockwork()
  const hash = createHash('sha256')
  const honest = scenario.honest ?? 3 + luck.below(luck.chance(0.2) ? 8 : 3)
  const bad = scenario.byzantine ?? (luck.chance(0.5) ? 0 : 1 + luck.below(2))
  const { faults: given = true, bugs = {} } = scenario
  const faults: Faults = { ...drawFaults(luck, given !== false), ...(typeof given === 'object' && given) }
  const papers = luck.of('papers')
  const access = scenario.access ?? (papers.chance(0.4) ? 'members' : 'open')
  /** Do the operators name each other, or does each let in only members that others named to it? */
  const isNamed = access === 'open' || papers.chance(0.5)
  const clones = faults.clones ? 1 : 0
  const isHonest = (node: number) => node < honest + clones
  const badRids = Array.from({ length: bad }, (_, i) => ridOf(honest + clones + i))

  const byteLuck = luck.of('bytes')
  const carries = scenario.bytes ?? byteLuck.chance(WITH_BYTES)
  const shelf = byteLuck.chance(0.2) ? largeShelf : smallShelf
  const bytes = carries === false ? undefined : new ByteWorld(byteLuck, shelf(), bugs.bytes ?? {})
  clockwork.settles = bytes !== undefined
  if (bytes !== undefined) bytes.isBreaking = given !== false

  const ever = new Map<OpId, SignedOp>()
  const acknowledged = new Map<OpId, SignedOp>()
  const metrics = new Map<Metric, number>()
  const failures = new Set<string>()
  const founders = [...hostRids(honest).slice(1), ...badRids.filter(() => papers.chance(0.7))]
  const founded = foundSpace(access, access === 'members' ? founders : [])
  const { space, ops: firstOps } = founded

  const world: HostWorld = {
    clockwork,
    luck,
    tears: faults.tornTails ? luck.of('tears') : undefined,
    network: () => network,
    space,
    access,
    settings: { ...DEFAULT_SETTINGS, ...(faults.narrow && narrow(luck.of('narrow'))) },
    bugs,
    bytes,
    names: (node, peer) => !isHonest(node) || (isNamed ? access === 'open' || isHonest(peer) : peer < node),
    trace(what, bytes) {
      hash.update(`${clockwork.now} ${what} `)
      if (bytes !== undefined) hash.update(bytes.length > 4096 ? bytes.subarray(0, 64) : bytes)
    },
    durable: (node, op) => {
      if (isHonest(node)) ever.set(op.id, op)
    },
    acknowledged: (node, op) => {
      if (isHonest(node)) acknowledged.set(op.id, op)
    },
    count: (node, metric, count) => {
      if (isHonest(node)) metrics.set(metric, (metrics.get(metric) ?? 0) + count)
    },
    closed: (node, peer, why) => {
      // whose disk rots gives out what is not so, and pays for it as a liar does
      if (isHonest(node) && peer !== undefined && isHonest(peer) && why === 'score' && !bytes?.hasEverRottenAt(peer))
        failures.add('score: an honest peer is let go')
    },
  }
  const drawn = [...BEHAVIOURS.filter(() => luck.chance(0.4)), ...MORE_BEHAVIOURS.filter(() => papers.chance(0.4))]
  const behaviours = scenario.behaviours ?? (drawn.length > 0 ? drawn : ['equivocate'])
  const hosts = Array.from({ length: honest }, (_, node) => new Host(node, world))
  const clone = clones > 0 ? new Host(honest, world, ridOf(papers.below(honest))) : undefined
  const withBytes = typeof carries === 'object' ? carries : BYTE_BEHAVIOURS.filter(() => byteLuck.chance(0.4))
  const byzantine = badRids.map((rid, i) => new Byzantine(honest + clones + i, world, behaviours, rid, withBytes))
  const all: Host[] = [...hosts, ...(clone ? [clone] : []), ...byzantine]
  const neighbours = neighboursOf(all.length, luck)
  if (clone !== undefined) linkCopy(clone, hosts, neighbours)
  const network: Network = new Network(all, neighbours, clockwork, luck, {
    ...faults,
    isThin: bytes !== undefined && given !== false,
  })

  for (const op of firstOps) {
    hosts[0]!.disk.rows.set(op.id, op)
    ever.set(op.id, op)
  }
  hosts[0]!.disk.epoch = 0 // the space was made in epoch 0
  for (const host of all) {
    if (faults.slowDisk) host.disk.meanWriteMs = luck.between(10, 300)
    if (faults.clocks) {
      host.clock.rate = papers.between(0.98, 1.02)
      host.clock.offsetMs = papers.between(-DAY_MS, DAY_MS)
    }
    if (host !== clone) host.start()
  }

  // without leave to read by name, an honest member that is removed is told nothing more, and need not converge
  const removable = isNamed ? [...hostRids(honest), ...badRids] : badRids
  const cast = { all: [...hostRids(honest), ...badRids], removable }
  const nemesis = new Nemesis({ hosts, clone, byzantine, all, faults, access, isNamed, cast, luck, clockwork, network, space, ever, acknowledged, bytes }) // prettier-ignore
  nemesis.plan(scenario.steps ?? 130, 3000, FAULTY_MS)
  const watch = (): void => {
    for (const host of all) if (isHonest(host.node)) for (const overflow of overflowsOf(host)) failures.add(overflow)
  }
  for (let second = 1; second <= FAULTY_MS / 1000; second++) {
    await clockwork.runUntil(second * 1000)
    watch()
  }

  network.heal(bytes !== undefined)
  nemesis.end()
  if (bytes !== undefined) {
    // ops are at peace now, and fetches are not
    for (let second = 1; second <= BYTES_FAULTY_MS / 1000; second++) {
      await clockwork.runUntil(clockwork.now + 1000)
      watch()
    }
    bytes.isBreaking = false
    network.heal()
    nemesis.end()
  }
  const ours = [...hosts, ...(clone?.isUp ? [clone] : [])]
  const healedAt = clockwork.now
  const stage: ByteStage | undefined = bytes && { world: bytes, hosts: ours, neighbours }
  const hasBytes = async () => stage === undefined || bytesAreThere(stage)
  let convergedAt: number | undefined
  let fetchedAt: number | undefined
  while (clockwork.now < healedAt + (fetchedAt === undefined && bytes ? BYTES_LIVENESS_MS : LIVENESS_MS)) {
    await clockwork.runUntil(clockwork.now + 1000)
    watch()
    if (!ours.every((host) => host.isUp) || !haveConverged(ours)) convergedAt = undefined
    else if (unproved(ours[0]!).length > 0) continue
    else convergedAt ??= clockwork.now
    if (convergedAt === undefined || clockwork.now - convergedAt < 3000) continue
    if (await hasBytes()) fetchedAt ??= clockwork.now
    if (fetchedAt !== undefined) break
  }
  if (convergedAt === undefined || convergedAt > healedAt + LIVENESS_MS)
    failures.add('liveness: not the same within 60 s of the last fault')
  // what others still hold of a lost original waits in vain for what nobody has any more
  const isWhole = bad === 0 && nemesis.rollbacks === 0
  if (isWhole && clone === undefined && ours.some((host) => (host.load()?.parked ?? 0) > 0))
    failures.add('parked: ops of honest replicas')
  for (const host of all) host.expire(EXPIRY_MS)

  for (const failure of failuresOf(ours, { ever, acknowledged: [...acknowledged.values()] })) failures.add(failure)
  if (stage !== undefined) for (const failure of await byteFailures(stage)) failures.add(failure)
  if (bad === 0) for (const failure of overspent(metrics)) failures.add(failure)
  const result: Run = {
    seed,
    failures: [...failures],
    trace: hash.digest('hex').slice(0, 16),
    access,
    ops: ever.size,
    acknowledged: acknowledged.size,
    frames: network.frames,
    bytes: network.bytes,
    crashes: nemesis.crashes,
    rollbacks: nemesis.rollbacks + (clone ? 1 : 0),
    byzantine: bad,
    proofs: [...proofsOf(ours[0]!).values()],
    forks: metrics.get('ops.forked') ?? 0,
    healMs: (convergedAt ?? Infinity) - healedAt,
    ...(bytes && {
      lies: bytes.lies,
      namings: bytes.named.length,
      bytesHealMs: (fetchedAt ?? Infinity) - healedAt,
    }),
    metrics,
  }
  for (const host of all) host.bytes?.forget()
  return result
}

const DAY_MS = 86_400_000
const hostRids = (count: number) => Array.from({ length: count }, (_, node) => ridOf(node))
