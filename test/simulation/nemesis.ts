/** What happens to a run's replicas while it is faulty, and what their clients ask of them. */
import type { OpId, ReplicaId, SpaceId } from '../../src/core/ids.ts'
import type { SignedOp } from '../../src/core/op.ts'
import type { OpRecord, Policy } from '../../src/core/op-schemas.ts'
import { makeContribution } from '../../src/core/contribution.ts'
import { mayAdd } from '../../src/core/or-set.ts'
import type { Byzantine } from './byzantine.ts'
import { anyBody } from './clients.ts'
import type { Clockwork } from './clockwork.ts'
import type { Backup } from './disk.ts'
import type { Faults } from './faults.ts'
import type { Host } from './host.ts'
import type { ByteWorld } from './byte-world.ts'
import type { Luck } from './luck.ts'
import { paperOf } from './members.ts'
import type { Model } from './models.ts'
import type { Network } from './network.ts'

export interface Stage {
  readonly hosts: readonly Host[]
  /** Not up until it is made. */
  readonly clone: Host | undefined
  readonly byzantine: readonly Byzantine[]
  readonly all: readonly Host[]
  readonly faults: Faults
  readonly access: Policy['access']
  /** Have the operators of honest replicas named each other? */
  readonly isNamed: boolean
  readonly cast: { readonly all: readonly ReplicaId[]; readonly removable: readonly ReplicaId[] }
  readonly luck: Luck
  readonly clockwork: Clockwork
  readonly network: Network
  readonly space: SpaceId
  readonly ever: Map<OpId, SignedOp>
  readonly acknowledged: Map<OpId, SignedOp>
  readonly bytes: ByteWorld | undefined
}

const DAY_MS = 86_400_000

export class Nemesis {
  crashes = 0
  rollbacks = 0
  readonly #stage: Stage
  /** For what was added after the first seeds were kept. */
  readonly #more: Luck
  readonly #backups = new Map<Host, Backup>()

  constructor(stage: Stage) {
    this.#stage = stage
    this.#more = stage.luck.of('nemesis')
  }

  plan(steps: number, from: number, to: number): void {
    const { clockwork, luck, faults, access, clone } = this.#stage
    const more = this.#more
    const some = (count: number, act: () => void) => {
      for (let i = 0; i < count; i++) clockwork.after(more.between(from, to), act)
    }
    for (let i = 0; i < steps; i++) clockwork.after(luck.between(from, to), () => this.#step())
    const share = steps / 130
    if (access === 'members') some(25 * share, () => this.#paper())
    if (faults.clocks) some(8 * share, () => this.#jump())
    if (faults.pauses) some(3 * share, () => more.pick(this.#stage.hosts).sleep(more.between(500, 20_000)))
    if (faults.cleanStops) some(4 * share, () => this.#stop(more.pick(this.#stage.hosts)))
    if (clone) some(1, () => this.#clone(clone))
    if (this.#stage.bytes !== undefined) this.#planBytes(this.#stage.bytes, from, to)
  }

  /** Peace: whoever is down starts, and disks have room. */
  end(): void {
    for (const host of this.#stage.all) {
      host.disk.full = false
      host.disk.meanWriteMs = 2
      host.sleep(0)
      if (!host.isUp && host !== this.#stage.clone) host.start()
      void host.bytes?.scrub()
    }
  }

  /** Each model is uploaded somewhere, and some twice. */
  #planBytes(bytes: ByteWorld, from: number, to: number): void {
    const { luck, shelf } = bytes
    bytes.onFetched = (node, did) => {
      const host = this.#stage.hosts[node]
      if (host !== undefined && bytes.isBreaking) this.#breakFetch(host, did)
    }
    const models = shelf.models.slice(0, 1 + luck.below(shelf.models.length))
    for (const model of [...models, ...models.filter(() => luck.chance(0.3))])
      this.#stage.clockwork.after(
        luck.between(from / 2, to / 2),
        () => void this.#upload(model, luck.pick(this.#stage.hosts)),
      )
  }

  /** A tensor is half here: its links break, or the replica crashes soon after something was said to be durable. */
  #breakFetch(host: Host, did: 'write' | 'sync'): void {
    const { network, faults, clockwork, bytes } = this.#stage
    const { luck } = bytes!
    if (did === 'write' && faults.partitions && luck.chance(0.1))
      for (const [link] of network.linksOf(host.node)) network.cut(link)
    if (faults.crashes && luck.chance(did === 'sync' ? 0.2 : 0.02))
      clockwork.after(luck.between(0, 200), () => {
        if (host.isUp) this.#crash(host)
      })
  }

  /** A client that is persistent, for a while. */
  async #upload(model: Model, host: Host, tries = 20): Promise<void> {
    const { clockwork, access } = this.#stage
    const contribution = makeContribution({ content: model.content, model: model.id, name: 'model' })
    const isUp =
      host.bytes!.process !== undefined && (host.bytes!.uploaded.has(model) || (await host.bytes!.upload(model)))
    if (isUp && (access === 'open' || this.#mayWrite(host)))
      if (host.write({ t: 'add', contribution, replaces: [] })) return
    if (tries > 0) clockwork.after(500, () => void this.#upload(model, host, tries - 1))
  }

  #step(): void {
    const { hosts, luck, space, byzantine, faults, all, network } = this.#stage
    const host = luck.pick(hosts)
    const dice = luck.next()
    if (dice < 0.45) {
      const known = [...(host.core?.set(space)?.ops() ?? [])].map(({ op }) => op.id)
      const body = anyBody(luck, known)
      if (this.#stage.access === 'open' || this.#mayWrite(host)) host.write(body)
    } else if (dice < 0.6) byzantine.forEach((one) => one.misbehave())
    else if (dice < 0.66 && faults.crashes && host.isUp) this.#crash(host)
    else if (dice < 0.74 && faults.partitions) {
      const [from, to] = [luck.below(all.length), luck.below(all.length)]
      const isBlocked = luck.chance(0.6)
      network.block(from, to, isBlocked)
      if (luck.chance(0.5)) network.block(to, from, isBlocked)
    } else if (dice < 0.78 && faults.clogs)
      network.clog(luck.below(all.length), luck.below(all.length), luck.between(100, 5000))
    else if (dice < 0.82 && faults.full) host.disk.full = !host.disk.full
    else if (dice < 0.86) this.#backups.set(host, host.disk.backup(this.#more.chance(0.2)))
  }

  /** A replica refuses what the fold would ignore. */
  #mayWrite = ({ state, rid, disk }: Host): boolean => state !== undefined && mayAdd(state, rid, disk.epoch)

  #paper(): void {
    const host = this.#more.pick(this.#stage.hosts)
    const { state, rid, disk } = host
    const body = state && paperOf(state, { rid, ep: disk.epoch }, this.#more, this.#stage.cast)
    if (body !== undefined) host.write(body)
  }

  #jump(): void {
    const { clock } = this.#more.pick(this.#stage.all)
    clock.offsetMs += this.#more.between(-DAY_MS, DAY_MS)
  }

  #stop(host: Host): void {
    if (!host.isUp) return
    host.stop()
    this.#startLater(host, this.#more)
  }

  #clone(clone: Host): void {
    const original = this.#stage.hosts.find(({ rid }) => rid === clone.rid)!
    clone.disk.restore(original.disk.backup())
    clone.wasRolledBack = true
    clone.start()
  }

  #crash(host: Host): void {
    this.crashes++
    host.crash()
    this.#startLater(host, this.#stage.luck)
  }

  #startLater(host: Host, luck: Luck): void {
    const { clockwork, faults } = this.#stage
    clockwork.after(luck.between(50, 8000), () => {
      if (host.isUp) return
      if (faults.rollbacks && luck.chance(0.3)) this.#rollBack(host)
      // what vanishes without a trace only an unclean stop may lose: after it an epoch begins
      if (faults.rot && !host.disk.isClean && luck.chance(0.5))
        for (const { id } of this.#spare(host, luck)) host.disk.rows.delete(id)
      if (faults.flips && this.#more.chance(0.5)) {
        const [first] = this.#spare(host, this.#more)
        if (first !== undefined) host.disk.flip(first.id, this.#more)
      }
      if (faults.flips && this.#stage.bytes?.luck.chance(0.5)) this.#rot(host, this.#stage.bytes.luck)
      host.start()
    })
  }

  #rot(host: Host, luck: Luck): void {
    void host.bytes!.rot()
    this.#stage.clockwork.after(luck.between(500, 20_000), () => void host.bytes!.scrub())
  }

  #rollBack(host: Host): void {
    const { ever, acknowledged } = this.#stage
    const backup = this.#backups.get(host)
    if (backup === undefined) return
    this.rollbacks++
    const lost = [...host.disk.rows.values()].filter(({ id }) => !backup.rows.has(id) && !this.#isElsewhere(id, host))
    host.rollBack(backup)
    if (this.#stage.bytes?.luck.chance(0.5)) host.bytes!.wipe()
    for (const { id } of lost) {
      ever.delete(id)
      acknowledged.delete(id)
    }
  }

  /** A record and what follows it in its chain, if all of it can come again. */
  #spare(host: Host, luck: Luck): readonly SignedOp[] {
    const ops = [...host.disk.rows.values()]
    if (ops.length === 0) return []
    const one = luck.pick(ops)
    const { rid, ep, seq } = one.record
    const gone = ops.filter(({ record }) => record.rid === rid && record.ep === ep && record.seq >= seq)
    const isSpare = gone.every(({ id, record }) => !this.#isFoundation(host, record.t) && this.#isElsewhere(id, host))
    return isSpare ? [one, ...gone.filter((op) => op !== one)] : []
  }

  /** Nobody can give back the first op; and a replica that names nobody lets nobody give back who its members are. */
  #isFoundation = ({ node }: Host, t: OpRecord['t']): boolean =>
    t === 'space.init' || (node === 0 && t === 'member.add' && !this.#stage.isNamed)

  #isElsewhere = (id: OpId, host: Host): boolean =>
    this.#stage.hosts.some((one) => one !== host && one.disk.rows.has(id))
}
