/** One run: a world drawn from a seed, a minute or two of faults, then peace, and the oracles. */
import { createHash } from 'node:crypto'
import { sha256Hex } from '../../src/core/digest.ts'
import { utf8 } from '../../src/core/bytes.ts'
import type { Digest, Name, OpId } from '../../src/core/ids.ts'
import { type SignedOp, spaceIdOf } from '../../src/core/op.ts'
import type { SpaceInitRecord } from '../../src/core/op-schemas.ts'
import type { Metric } from '../../src/replication/effects.ts'
import { type Behaviour, BEHAVIOURS, Byzantine } from './byzantine.ts'
import { anyBody } from './clients.ts'
import { Clockwork } from './clockwork.ts'
import { type Bugs, Host, type HostWorld } from './host.ts'
import { Luck } from './luck.ts'
import { Network } from './network.ts'
import { failuresOf, haveConverged, proofsOf, unproved } from './oracles.ts'
import { ridOf, stubSigned } from './stubs.ts'

export interface Scenario {
  /** Drawn from the seed where absent. */
  readonly honest?: number
  readonly byzantine?: number
  readonly behaviours?: readonly Behaviour[]
  readonly faults?: boolean
  readonly steps?: number
  readonly bugs?: Bugs
}

export interface Run {
  readonly seed: number
  readonly failures: readonly string[]
  readonly trace: string
  readonly ops: number
  readonly acknowledged: number
  readonly frames: number
  readonly bytes: number
  readonly crashes: number
  readonly forks: number
  /** Of each forked chain, how many ops prove it. */
  readonly proofs: readonly number[]
  readonly rollbacks: number
  readonly byzantine: number
  readonly healMs: number
  readonly metrics: ReadonlyMap<Metric, number>
}

const FAULTY_MS = 30_000
const LIVENESS_MS = 60_000
/** Longer than anything stays parked. */
const EXPIRY_MS = 62_000

/** Swarm testing: each seed has a random half of the faults. */
function drawFaults(luck: Luck, isFaulty: boolean) {
  const on = () => isFaulty && luck.chance(0.5)
  return {
    loss: on() ? luck.between(0, 0.4) : 0,
    duplicates: on() ? luck.between(0, 0.1) : 0,
    meanDelayMs: on() ? luck.between(1, 100) : 5,
    reorders: on(),
    partitions: on(),
    clogs: on(),
    crashes: on(),
    rollbacks: on() && luck.chance(0.4),
    full: on(),
    slowDisk: on(),
    rot: on(),
  }
}

function neighboursOf(count: number, luck: Luck): [number, number][] {
  const pairs: [number, number][] = []
  for (let a = 0; a < count; a++)
    for (let b = a + 1; b < count; b++)
      if (count <= 6 || b === a + 1 || (a === 0 && b === count - 1) || luck.chance(4 / count)) pairs.push([a, b])
  return pairs
}

function spaceOf(creator: number) {
  const record: SpaceInitRecord = {
    v: 1,
    g: 0,
    rid: ridOf(creator),
    ep: 0,
    seq: 0,
    hlc: 1,
    t: 'space.init',
    name: 'team' as Name,
    nonce: sha256Hex(utf8('nonce')) as Digest,
    policy: { access: 'open', rules: 1 },
  }
  const init = stubSigned(record)
  return { init: init as SignedOp, space: spaceIdOf(init) }
}

export function simulate(seed: number, scenario: Scenario = {}): Run {
  const luck = new Luck(seed)
  const clockwork = new Clockwork()
  const hash = createHash('sha256')
  const honest = scenario.honest ?? 3 + luck.below(luck.chance(0.2) ? 8 : 3)
  const bad = scenario.byzantine ?? (luck.chance(0.5) ? 0 : 1 + luck.below(2))
  const faults = drawFaults(luck, scenario.faults ?? true)
  const ever = new Map<OpId, SignedOp>()
  let acknowledged: { node: number; op: SignedOp }[] = []
  const metrics = new Map<Metric, number>()
  const failures = new Set<string>()
  const { init, space } = spaceOf(0)
  let crashes = 0
  let rollbacks = 0

  const world: HostWorld = {
    clockwork,
    luck,
    network: () => network,
    space,
    init,
    bugs: scenario.bugs ?? {},
    trace(what, bytes) {
      hash.update(`${clockwork.now} ${what} `)
      if (bytes !== undefined) hash.update(bytes)
    },
    durable: (node, op) => {
      if (node < honest) ever.set(op.id, op)
    },
    acknowledged: (node, op) => {
      if (node < honest) acknowledged.push({ node, op })
    },
    count: (node, metric, count) => {
      if (node < honest) metrics.set(metric, (metrics.get(metric) ?? 0) + count)
    },
    closed: (node, peer, why) => {
      if (node < honest && peer !== undefined && peer < honest && why === 'score')
        failures.add('score: an honest peer is let go')
    },
  }
  const behaviours = scenario.behaviours ?? BEHAVIOURS.filter(() => luck.chance(0.4))
  const hosts = Array.from({ length: honest }, (_, node) => new Host(node, world))
  const byzantine = Array.from(
    { length: bad },
    (_, i) => new Byzantine(honest + i, world, behaviours.length > 0 ? behaviours : ['equivocate']),
  )
  const all: Host[] = [...hosts, ...byzantine]
  const network: Network = new Network(all, neighboursOf(all.length, luck), clockwork, luck, { ...faults })

  hosts[0]!.stored.set(init.id, init)
  ever.set(init.id, init)
  hosts[0]!.epoch = 0 // the space was made in epoch 0
  for (const host of all) {
    if (faults.slowDisk) host.disk.meanWriteMs = luck.between(10, 300)
    host.start()
  }

  const backups = new Map<Host, { stored: ReadonlyMap<OpId, SignedOp>; epoch: number }>()
  const isElsewhere = (op: SignedOp, host: Host) => hosts.some((one) => one !== host && one.stored.has(op.id))

  function rollBack(host: Host): void {
    const backup = backups.get(host)
    if (backup === undefined) return
    rollbacks++
    const lost = [...host.stored.values()].filter((op) => !backup.stored.has(op.id) && !isElsewhere(op, host))
    host.rollBack(backup)
    for (const op of lost) ever.delete(op.id)
    acknowledged = acknowledged.filter(({ op }) => ever.has(op.id))
  }

  /** A record that can't be read any more, and what follows it in its chain. */
  function rot(host: Host): void {
    const ops = [...host.stored.values()]
    const one = luck.pick(ops)
    const gone = ops.filter(
      ({ record }) => record.rid === one.record.rid && record.ep === one.record.ep && record.seq >= one.record.seq,
    )
    if (gone.every((op) => isElsewhere(op, host))) for (const { id } of gone) host.stored.delete(id)
  }

  function crash(host: Host): void {
    crashes++
    host.crash()
    clockwork.after(luck.between(50, 8000), () => {
      if (host.isUp) return
      if (faults.rollbacks && luck.chance(0.3)) rollBack(host)
      if (faults.rot && luck.chance(0.5)) rot(host)
      host.start()
    })
  }

  function step(): void {
    const host = luck.pick(hosts)
    const dice = luck.next()
    if (dice < 0.45) {
      const known = [...(host.core?.set(space)?.ops() ?? [])].map(({ op }) => op.id)
      host.write(anyBody(luck, known))
    } else if (dice < 0.6) byzantine.forEach((one) => one.misbehave())
    else if (dice < 0.66 && faults.crashes && host.isUp) crash(host)
    else if (dice < 0.74 && faults.partitions) {
      const [from, to] = [luck.below(all.length), luck.below(all.length)]
      const isBlocked = luck.chance(0.6)
      network.block(from, to, isBlocked)
      if (luck.chance(0.5)) network.block(to, from, isBlocked)
    } else if (dice < 0.78 && faults.clogs)
      network.clog(luck.below(all.length), luck.below(all.length), luck.between(100, 5000))
    else if (dice < 0.82 && faults.full) host.disk.full = !host.disk.full
    else if (dice < 0.86) backups.set(host, { stored: new Map(host.stored), epoch: host.epoch })
  }

  const steps = scenario.steps ?? 130
  for (let i = 0; i < steps; i++) clockwork.after(luck.between(3000, FAULTY_MS), step)
  clockwork.runUntil(FAULTY_MS)

  network.heal()
  for (const host of all) {
    host.disk.full = false
    host.disk.meanWriteMs = 2
    if (!host.isUp) host.start()
  }
  const healedAt = clockwork.now
  let convergedAt: number | undefined
  while (clockwork.now < healedAt + LIVENESS_MS) {
    clockwork.runUntil(clockwork.now + 1000)
    if (!hosts.every((host) => host.isUp) || !haveConverged(hosts)) convergedAt = undefined
    else if (unproved(hosts[0]!).length > 0) continue
    else convergedAt ??= clockwork.now
    if (convergedAt !== undefined && clockwork.now - convergedAt >= 3000) break
  }
  if (bad === 0 && hosts.some((host) => (host.load()?.parked ?? 0) > 0)) failures.add('parked: ops of honest replicas')
  for (const host of all) host.expire(EXPIRY_MS)

  for (const failure of failuresOf(hosts, { ever, acknowledged })) failures.add(failure)
  return {
    seed,
    failures: [...failures],
    trace: hash.digest('hex').slice(0, 16),
    ops: ever.size,
    acknowledged: acknowledged.length,
    frames: network.frames,
    bytes: network.bytes,
    crashes,
    rollbacks,
    byzantine: bad,
    proofs: [...proofsOf(hosts[0]!).values()],
    forks: metrics.get('ops.forked') ?? 0,
    healMs: (convergedAt ?? Infinity) - healedAt,
    metrics,
  }
}
