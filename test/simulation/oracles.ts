/** What must be true of the replicas once the world is whole again. Each answers with the reasons why it is not. */
import type { OpId, ReplicaId } from '../../src/core/ids.ts'
import { fold, type SpaceState } from '../../src/core/or-set.ts'
import { seedFromContents } from '../../src/core/seed.ts'
import { accusedBy, type Op, type SignedOp } from '../../src/core/op.ts'
import { oracle } from '../core/or-set-oracle.ts'
import { STRANGERS_MAX } from '../../src/replication/admission.ts'
import { PARKED_MAX } from '../../src/replication/parking.ts'
import type { Host } from './host.ts'

export interface Seen {
  /** Every op that was durable at any honest replica at any time. */
  readonly ever: ReadonlyMap<OpId, SignedOp>
  readonly acknowledged: readonly SignedOp[]
}

const chainOf = ({ record }: Op): string => `${record.rid}/${record.ep}`
const opsOf = (host: Host): SignedOp[] => [...(host.core?.set(host.world.space)?.ops() ?? [])].map(({ op }) => op)
const idsOf = (ops: Iterable<{ readonly id: string }>): string =>
  [...ops]
    .map(({ id }) => id)
    .sort()
    .join()

/** All honest replicas keep the same ops. */
export const haveConverged = (hosts: readonly Host[]): boolean =>
  new Set(hosts.map((host) => idsOf(opsOf(host)))).size === 1

/** What should be kept of all that was ever kept: a chain up to its lowest fork, and there the two smallest ids. */
export function shouldBeKept(ever: Iterable<SignedOp>): SignedOp[] {
  const chains = new Map<string, SignedOp[]>()
  for (const op of ever) chains.set(chainOf(op), [...(chains.get(chainOf(op)) ?? []), op])
  return [...chains.values()].flatMap((ops) => {
    const at = (seq: number) => ops.filter(({ record }) => record.seq === seq).sort((a, b) => (a.id < b.id ? -1 : 1))
    const forkedAt = Math.min(...ops.map(({ record }) => record.seq).filter((seq) => at(seq).length > 1))
    return [...ops.filter(({ record }) => record.seq < forkedAt), ...at(forkedAt).slice(0, 2)]
  })
}

/** Forks of chains that no op proves: evidence of each is written by somebody, some time after it is seen. */
export function unproved(host: Host): string[] {
  const proved = new Set(
    opsOf(host).flatMap(({ record }) => (record.t === 'evidence' ? [chainOf(accusedBy(record))] : [])),
  )
  const forks = host.core?.set(host.world.space)?.forks() ?? []
  return forks.map(({ rid, ep }) => `${rid}/${ep}`).filter((chain) => !proved.has(chain))
}

/** Ops that prove the fork of a chain, by chain. */
export function proofsOf(host: Host): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { record } of opsOf(host))
    if (record.t === 'evidence') {
      const chain = chainOf(accusedBy(record))
      counts.set(chain, (counts.get(chain) ?? 0) + 1)
    }
  return counts
}

/** Of a merge of all that is visible. */
const seedOf = ({ visible }: SpaceState) =>
  seedFromContents(visible.map(({ record }) => record.content).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)))

/** What a replica holds for later is bounded, at any time. */
export function overflowsOf(host: Host): string[] {
  const load = host.load()
  if (load === undefined) return []
  const { waitingFrames, awaitedIds, lazyIds } = host.world.settings
  return [
    ...(load.parked > PARKED_MAX + STRANGERS_MAX ? ['caps: too many ops are parked'] : []),
    ...(load.waiting > waitingFrames ? ['caps: too many frames wait'] : []),
    ...(load.awaited > awaitedIds ? ['caps: too many ids are awaited'] : []),
    ...(load.lazy > lazyIds ? ['caps: too many ids wait to be told'] : []),
    ...(host.bytes?.overflows() ?? []),
  ]
}

export function failuresOf(hosts: readonly Host[], { ever, acknowledged }: Seen): string[] {
  const failures: string[] = []
  const check = (isTrue: boolean, what: string) => {
    if (!isTrue) failures.push(what)
  }
  check(haveConverged(hosts), 'diverged: honest replicas keep different ops')
  const ops = opsOf(hosts[0]!)
  const kept = new Set(ops.map(({ id }) => id))
  check(idsOf(ops) === idsOf(shouldBeKept(ever.values())), 'kept: not what the lattice makes of all that was ever kept')

  const slow = oracle(ops)
  const seed = seedOf(fold(ops))
  for (const { state } of hosts) {
    check(state?.opsRoot === slow.opsRoot, 'ops_root: not that of the oracle')
    check(state?.root === slow.root, 'root: not that of the oracle')
    check(idsOf(state?.visible ?? []) === idsOf(slow.visible), 'visible: not that of the oracle')
    check(state !== undefined && seedOf(state) === seed, 'seed: not that of the others')
    const members = (state?.members ?? []).map(({ rid, role }) => [rid, role])
    check(JSON.stringify(members) === JSON.stringify(slow.members), 'members: not those of the oracle')
  }
  for (const host of hosts)
    check(
      host.core?.set(host.world.space)?.opsRoot === slow.opsRoot,
      'ops_root: the replica tells another than the oracle',
    )
  for (const host of hosts) {
    const stored = idsOf(host.disk.rows.values())
    check(stored === idsOf(opsOf(host)), 'disk: holds other ops than the replica shows')
  }

  const latest = new Map<ReplicaId, number>()
  for (const { rid, clock } of hosts) latest.set(rid, Math.max(latest.get(rid) ?? 0, clock.latestMs))
  const byPlace = new Map(ops.map((op) => [`${chainOf(op)}/${op.record.seq}`, op]))
  for (const op of ops) {
    const { rid, seq, hlc } = op.record
    const own = latest.get(rid)
    const before = byPlace.get(`${chainOf(op)}/${seq - 1}`)
    if (own === undefined) continue
    check(hlc <= own + ops.length, 'clock: an honest op is later than any clock of its author')
    check(before === undefined || before.record.hlc < hlc, 'clock: an honest op is not later than the one before it')
  }

  const rolledBack = new Set(hosts.filter((host) => host.wasRolledBack).map(({ rid }) => rid))
  const forks = new Set(
    hosts.flatMap((host) => host.core?.set(host.world.space)?.forks() ?? []).map(({ rid, ep }) => `${rid}/${ep}`),
  )
  for (const { rid } of hosts)
    if (!rolledBack.has(rid)) check(![...forks].some((fork) => fork.startsWith(rid)), 'fork: of an honest replica')
  for (const op of acknowledged) {
    const isLostByRollback = rolledBack.has(op.record.rid) && (forks.has(chainOf(op)) || !ever.has(op.id))
    check(kept.has(op.id) || isLostByRollback, 'acknowledged: an op is gone')
  }
  for (const host of hosts) check(unproved(host).length === 0, 'evidence: of a fork nobody wrote any')
  for (const host of hosts) {
    const load = host.load()
    check(load?.parked === 0, 'parked: ops are left')
    check(load?.awaited === 0, 'awaited: ids are left')
    check(load?.waiting === 0, 'waiting: frames are left')
  }
  return [...new Set(failures)]
}
