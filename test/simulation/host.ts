/** A whole replica of the simulator: the core and the fold that are shipped, with a disk, clocks and a process of its own. */
import { type ChainHead, emptyHead, headAfter, nextHlc } from '../../src/core/author.ts'
import type { ReplicaId } from '../../src/core/ids.ts'
import { evidenceOf, type Op, type SignedOp } from '../../src/core/op.ts'
import { fold, type SpaceState } from '../../src/core/or-set.ts'
import type { Body } from '../../src/core/op-schemas.ts'
import type { Effect, LinkId } from '../../src/replication/effects.ts'
import { ForkLattice, type Placed } from '../../src/replication/fork-lattice.ts'
import type { ReadBlob } from '../../src/replication/link-giving.ts'
import { ReplicaCore } from '../../src/replication/replica-core.ts'
import { type Backup, Disk, type Transaction } from './disk.ts'
import { HostBytes } from './host-bytes.ts'
import { HostClock } from './host-clock.ts'
import type { HostWorld } from './host-world.ts'
import type { Endpoint } from './network.ts'
import { ridOf, stubIdentity, stubSigned, stubVerify } from './stubs.ts'

const TICK_MS = 200
/** As the lease has it. */
const EPOCHS_AHEAD_MAX = 1024

class FirstBranchWins extends ForkLattice {
  override place(op: Op): Placed {
    const { rid, ep, seq } = op.record
    return (this.chain(rid, ep)?.at(seq).length ?? 0) > 0 ? { kind: 'void' } : super.place(op)
  }
}

/** In the order in which chains can be built. */
const inOrder = (ops: Iterable<SignedOp>): SignedOp[] =>
  [...ops].sort((a, b) => a.record.ep - b.record.ep || a.record.seq - b.record.seq || (a.id < b.id ? -1 : 1))

export class Host implements Endpoint {
  readonly node: number
  readonly rid: ReplicaId
  readonly world: HostWorld
  readonly disk = new Disk()
  readonly clock: HostClock
  /** In runs in which models travel. */
  readonly bytes: HostBytes | undefined
  isUp = false
  wasRolledBack = false
  core: ReplicaCore | undefined
  /** The space as it is shown here, grown op by op. */
  state: SpaceState | undefined
  #life = 0
  #sleepsUntil = 0
  /** What happened while it slept. */
  #inbox: (() => void)[] = []
  #isWriting = false
  readonly #peers = new Map<LinkId, number>()

  constructor(node: number, world: HostWorld, rid = ridOf(node), isHonest = true) {
    this.node = node
    this.rid = rid
    this.world = world
    this.clock = new HostClock(world.clockwork)
    this.bytes = world.bytes && new HostBytes(this, world.bytes, isHonest)
  }

  start(): void {
    const { space, bugs, settings } = this.world
    this.isUp = true
    this.#life++
    this.#isWriting = false
    this.clock.start()
    const stored = this.disk.open(this.rid, this.disk.isClean || bugs.tellsEarly === true, bugs.readsRot)
    this.state = this.#folded()
    this.core = new ReplicaCore({
      identity: stubIdentity(this.rid),
      verify: stubVerify,
      settings: { ...settings, ...bugs.settings },
      rootOf: () => this.state?.root,
      mayRead: (_, rid) => this.#mayRead(rid),
      ...(bugs.parts && { parts: bugs.parts }),
      ...(bugs.firstBranchWins && { latticeOf: () => new FirstBranchWins() }),
    })
    this.#do(this.core.tick(this.clock.monotonic()))
    this.#do(this.core.adoptSpace(space, inOrder(stored)))
    this.#startBytes()
    this.#tick()
  }

  /** At any moment: what is being written is durable or lost. */
  crash(): void {
    for (const { insert } of this.disk.crash(this.world.tears)) this.#tellWorld(insert)
    this.bytes?.crash()
    this.#end()
  }

  /** As the operator stops it: what is being written gets there, and its epoch goes on. */
  stop(): void {
    for (const { insert } of this.disk.crash(undefined)) this.#tellWorld(insert)
    this.disk.isClean = true
    this.bytes?.stop()
    this.#end()
  }

  /** Nothing is done for so long, and all that came meanwhile is done then. */
  sleep(ms: number): void {
    this.#sleepsUntil = Math.max(this.#sleepsUntil, this.world.clockwork.now + ms)
  }

  linkOpened(link: LinkId, nonce: Uint8Array, peer: number): void {
    this.#whenAwake(() => {
      this.#peers.set(link, peer)
      this.#do(this.core!.linkOpened({ link, nonce, named: this.world.names(this.node, peer) }))
    })
  }
  linkClosed(link: LinkId): void {
    this.#whenAwake(() => {
      this.#peers.delete(link)
      this.bytes?.closed(link)
      this.#do(this.core!.linkClosed(link))
    })
  }
  frameArrived(link: LinkId, frame: Uint8Array): void {
    this.#whenAwake(() => {
      this.world.trace(`${this.node}<${link}`, frame)
      this.#do(this.core!.frameArrived(link, frame))
    })
  }

  /** Something that waited on a thin way has left. */
  frameLeft(link: LinkId): void {
    this.#whenAwake(() => this.bytes?.process?.sent(link))
  }

  /** A client's call: answered when the op is durable, and only then. False: it is refused, or the replica is busy. */
  write(body: Body): boolean {
    const { luck, bugs } = this.world
    if (!this.isUp || this.#isAsleep || this.#isWriting || this.state === undefined) return false
    const op = this.sign(body, this.#head())
    const transaction: Transaction = { insert: [op], remove: [] }
    this.#isWriting = true
    this.disk.begin(transaction)
    if (bugs.answersEarly) this.world.acknowledged(this.node, op)
    if (bugs.tellsEarly) this.#do(this.core!.opWritten(op))
    this.#after(Math.min(luck.delay(this.disk.meanWriteMs), 5000), () => {
      this.#isWriting = false
      if (this.disk.full || op.record.ep !== this.disk.epoch) {
        this.disk.abandon(transaction) // a failed write, or one of an epoch that is over
        return
      }
      this.#commit(transaction)
      if (!bugs.answersEarly) this.world.acknowledged(this.node, op)
      if (!bugs.tellsEarly) this.#do(this.core!.opWritten(op))
    })
    return true
  }

  sign(body: Body, head: ChainHead): SignedOp {
    const told = this.world.bugs.followsClocks ? [...this.disk.rows.values()].map(({ record }) => record.hlc) : []
    const hlc = nextHlc(Math.max(head.lastHlc, ...told), this.clock.wall())
    const prev = head.lastId !== undefined && { prev: head.lastId }
    const [sp, acl] = [this.world.space, this.state!.acl]
    return stubSigned({ v: 1, sp, g: 0, rid: this.rid, ep: head.ep, seq: head.nextSeq, ...prev, hlc, acl, ...body })
  }

  /** The disk as it was some time ago. */
  rollBack(to: Backup): void {
    this.disk.restore(to)
    if (this.world.bugs.trustsBackup) this.disk.isClean = true
    this.wasRolledBack = true
  }

  /** Time passes at once, so that what is parked is let go; what is sent then is never heard. */
  expire(ms: number): void {
    for (let step = 0; step <= 3; step++) this.core?.tick(this.clock.monotonic() + ms * 1.1 + step * 1000)
  }

  load() {
    return this.core?.load(this.world.space)
  }

  /** For misbehaving members: bytes as they please. */
  sendRaw(link: LinkId, frame: Uint8Array): void {
    this.world.network().send(this.node, link, frame)
  }

  /** Effects go out; a member that misbehaves changes them here. */
  protected out(effect: Extract<Effect, { t: 'send' }>): void {
    this.bytes?.sends(effect)
    this.world.network().send(this.node, effect.link, effect.frame)
  }

  /** What it gives out of its models. */
  protected gives(read: ReadBlob): ReadBlob {
    return read
  }

  // the process

  #startBytes(): void {
    const life = this.#life
    this.bytes?.start({
      after: (ms, act) => this.#after(ms, act),
      tell: (act) => {
        if (life === this.#life) this.#do(this.core!.blobs(act))
      },
      isOpen: (link) => life === this.#life && this.#peers.has(link),
      gives: (read) => this.gives(read),
    })
  }

  get #isAsleep(): boolean {
    return this.#sleepsUntil > this.world.clockwork.now
  }

  #end(): void {
    this.isUp = false
    this.#life++
    this.#sleepsUntil = 0
    this.#inbox = []
    this.core = undefined
    this.state = undefined
    this.#peers.clear()
    this.world.network().closeAll(this.node)
  }

  /** Later in this life, and not asleep. */
  #after(ms: number, act: () => void): void {
    const life = this.#life
    this.world.clockwork.after(ms, () => {
      if (life === this.#life) this.#whenAwake(act)
    })
  }

  #whenAwake(act: () => void): void {
    if (!this.#isAsleep && this.#inbox.length === 0) act()
    else if (this.#inbox.push(act) === 1) this.#wakeUpAt(this.#sleepsUntil)
  }

  #wakeUpAt(time: number): void {
    const life = this.#life
    this.world.clockwork.after(time - this.world.clockwork.now, () => {
      if (life !== this.#life) return
      if (this.#isAsleep) this.#wakeUpAt(this.#sleepsUntil)
      else
        for (let act = this.#inbox.shift(); act !== undefined && life === this.#life; act = this.#inbox.shift()) act()
    })
  }

  #tick(): void {
    this.#after(TICK_MS, () => {
      const life = this.#life
      this.#do(this.core!.tick(this.clock.monotonic()))
      if (life === this.#life) this.#tick()
    })
  }

  // what the core asks for

  #do(effects: readonly Effect[]): void {
    for (const effect of effects) this.#effect(effect)
  }

  #effect(effect: Effect): void {
    switch (effect.t) {
      case 'send': {
        this.out(effect)
        return
      }
      case 'store': {
        this.#storeSoon(effect)
        return
      }
      case 'close':
        this.world.closed(this.node, this.#peers.get(effect.link), effect.why)
        this.#peers.delete(effect.link)
        this.bytes?.closed(effect.link)
        this.world.network().close(effect.link, this.node)
        return
      case 'visible':
        return
      case 'accuse': {
        this.write(evidenceOf(...effect.pair))
        return
      }
      case 'amnesia': {
        this.#raise(effect.known.ep)
        return
      }
      case 'report': {
        this.world.count(this.node, effect.metric, effect.count)
        return
      }
      case 'opened':
        this.bytes?.opened(effect.link, effect.rid)
        return
      case 'ticket':
      case 'blob-wanted':
      case 'blob-called-off':
      case 'blob-part':
      case 'blob-end':
        this.bytes?.on(effect)
        return
      case 'adopted':
      case 'offered':
      case 'hold':
      case 'dial':
      case 'learned':
      case 'forgotten':
        return
    }
  }

  #storeSoon({ insert, remove }: Extract<Effect, { t: 'store' }>): void {
    const { luck, space } = this.world
    const transaction: Transaction = { insert: insert.map(({ op }) => op), remove }
    this.disk.begin(transaction)
    this.#after(Math.min(luck.delay(this.disk.meanWriteMs), 5000), () => {
      if (this.disk.full) {
        this.disk.abandon(transaction)
        this.#do(this.core!.storeFailed(space))
        return
      }
      this.#mind(transaction.insert)
      this.#commit(transaction)
      // a crash between the commit and the word of it
      if (luck.chance(0.001)) {
        this.crashAndRestart()
        return
      }
      this.#do(this.core!.stored(space))
    })
  }

  crashAndRestart(): void {
    this.crash()
    this.world.clockwork.after(this.world.luck.between(100, 5000), () => {
      if (!this.isUp) this.start()
    })
  }

  // ops

  #commit(transaction: Transaction): void {
    this.disk.commit(transaction)
    this.#tellWorld(transaction.insert)
    const remove = this.world.bugs.showsWhatFell ? [] : transaction.remove
    this.state = this.state === undefined ? this.#folded() : this.state.with(transaction.insert, remove)
    const fromEp = this.state?.members.find(({ rid }) => rid === this.rid)?.fromEp ?? 0
    if (fromEp > this.disk.epoch) this.#raise(fromEp - 1)
    this.bytes?.process?.changed()
  }

  #tellWorld(ops: readonly SignedOp[]): void {
    for (const op of ops) this.world.durable(this.node, op)
  }

  #folded(): SpaceState | undefined {
    const ops = [...this.disk.rows.values()]
    return ops.some(({ record }) => record.t === 'space.init') ? fold(ops) : undefined
  }

  #mayRead(rid: ReplicaId | undefined): boolean {
    if (this.state === undefined) return false
    return this.world.access === 'open' || this.state.members.some((member) => member.rid === rid)
  }

  /** An own op that others had to tell: what was written after it, they may know as well. */
  #mind(insert: readonly SignedOp[]): void {
    for (const { record } of insert) if (record.rid === this.rid && record.ep >= this.disk.epoch) this.#raise(record.ep)
  }

  #raise(above: number): void {
    const { disk } = this
    if (!this.world.bugs.tellsEarly)
      disk.epoch = Math.max(disk.epoch, Math.min(above, disk.epoch + EPOCHS_AHEAD_MAX) + 1)
  }

  /** Where its chain of this epoch ends, as the disk has it. */
  #head(): ChainHead {
    const { rows, epoch } = this.disk
    let last: SignedOp | undefined
    for (const op of rows.values()) {
      const { rid, ep, seq } = op.record
      if (rid !== this.rid || ep !== epoch) continue
      if (last === undefined || seq > last.record.seq || (seq === last.record.seq && op.id < last.id)) last = op
    }
    return last === undefined ? emptyHead(epoch) : headAfter(last)
  }
}
