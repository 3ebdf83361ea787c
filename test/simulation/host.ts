/** A whole replica of the simulator: the core that is shipped, and a disk that loses what was not yet durable. */
import { type ChainHead, emptyHead, headAfter } from '../../src/core/author.ts'
import type { OpId, ReplicaId, SpaceId } from '../../src/core/ids.ts'
import { aclOf, evidenceOf, type Op, type SignedOp } from '../../src/core/op.ts'
import type { Body } from '../../src/core/op-schemas.ts'
import type { Effect, LinkId, Metric } from '../../src/replication/effects.ts'
import { ForkLattice, type Placed } from '../../src/replication/fork-lattice.ts'
import { ReplicaCore } from '../../src/replication/replica-core.ts'
import type { SyncParts } from '../../src/replication/space-sync.ts'
import type { Clockwork } from './clockwork.ts'
import type { Luck } from './luck.ts'
import type { Endpoint, Network } from './network.ts'
import { ridOf, stubIdentity, stubSigned, stubVerify } from './stubs.ts'

export interface DiskFaults {
  meanWriteMs: number
  /** Writes fail while it is full. */
  full: boolean
}

/** Mistakes that the simulator must notice; none of them is in what is shipped. */
export interface Bugs {
  /** Tells before it is durable, and goes on in the same epoch after a crash. */
  readonly tellsEarly?: boolean
  /** The first branch of a fork that came is the one. */
  readonly firstBranchWins?: boolean
  readonly parts?: SyncParts
}

export interface HostWorld {
  readonly clockwork: Clockwork
  readonly luck: Luck
  readonly network: () => Network
  readonly space: SpaceId
  readonly init: SignedOp
  readonly bugs: Bugs
  trace(what: string, bytes?: Uint8Array): void
  /** An op became durable at a replica. */
  durable(node: number, op: SignedOp): void
  acknowledged(node: number, op: SignedOp): void
  count(node: number, metric: Metric, count: number): void
  closed(node: number, peer: number | undefined, why: string): void
}

const TICK_MS = 200

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
  readonly disk: DiskFaults = { meanWriteMs: 2, full: false }
  /** What a crash leaves. */
  stored = new Map<OpId, SignedOp>()
  epoch = -1
  isUp = false
  wasRolledBack = false
  core: ReplicaCore | undefined
  #life = 0
  #head: ChainHead = emptyHead(0)
  #isWriting = false
  readonly #peers = new Map<LinkId, number>()

  constructor(node: number, world: HostWorld) {
    this.node = node
    this.rid = ridOf(node)
    this.world = world
  }

  start(): void {
    const { space, bugs } = this.world
    this.isUp = true
    this.#life++
    this.epoch = bugs.tellsEarly ? Math.max(this.epoch, 0) : this.epoch + 1
    this.#head = this.#headOf(this.epoch)
    this.#isWriting = false
    const parts = {
      ...(bugs.parts && { parts: bugs.parts }),
      ...(bugs.firstBranchWins && { latticeOf: () => new FirstBranchWins() }),
    }
    this.core = new ReplicaCore({ identity: stubIdentity(this.rid), verify: stubVerify, ...parts })
    this.#do(this.core.tick(this.world.clockwork.now))
    this.#do(this.core.adoptSpace(space, inOrder(this.stored.values())))
    this.#tick(this.#life)
  }

  crash(): void {
    this.isUp = false
    this.#life++
    this.core = undefined
    this.#peers.clear()
    this.world.network().closeAll(this.node)
  }

  linkOpened(link: LinkId, nonce: Uint8Array, peer: number): void {
    this.#peers.set(link, peer)
    this.#do(this.core!.linkOpened({ link, nonce, named: true }))
  }
  linkClosed(link: LinkId): void {
    this.#peers.delete(link)
    this.#do(this.core!.linkClosed(link))
  }
  frameArrived(link: LinkId, frame: Uint8Array): void {
    this.world.trace(`${this.node}<${link}`, frame)
    this.#do(this.core!.frameArrived(link, frame))
  }

  /** A client's call: answered when the op is durable, and only then. */
  write(body: Body): void {
    const { clockwork, luck, space, init, bugs } = this.world
    if (!this.isUp || this.#isWriting || this.core?.set(space)?.initId === undefined) return
    const op = this.sign(body, this.#head, space, init)
    const life = this.#life
    const head = this.#head
    this.#isWriting = true
    if (bugs.tellsEarly) this.#tellEarly(op)
    clockwork.after(Math.min(luck.delay(this.disk.meanWriteMs), 5000), () => {
      if (life !== this.#life) return
      this.#isWriting = false
      if (this.disk.full || head !== this.#head) return // a failed write, or one of an epoch that is over
      this.#store(op)
      this.#head = headAfter(op)
      this.world.acknowledged(this.node, op)
      if (!bugs.tellsEarly) this.#do(this.core!.opWritten(op))
    })
  }

  sign(body: Body, head: ChainHead, space: SpaceId, init: Op): SignedOp {
    const hlc = Math.max(head.lastHlc + 1, Math.floor(this.world.clockwork.now))
    const prev = head.lastId !== undefined && { prev: head.lastId }
    const acl = aclOf([init.id])
    return stubSigned({
      v: 1,
      sp: space,
      g: 0,
      rid: this.rid,
      ep: head.ep,
      seq: head.nextSeq,
      ...prev,
      hlc,
      acl,
      ...body,
    })
  }

  /** The disk as it was some time ago. */
  rollBack(to: { readonly stored: ReadonlyMap<OpId, SignedOp>; readonly epoch: number }): void {
    this.stored = new Map(to.stored)
    this.epoch = to.epoch
    this.wasRolledBack = true
  }

  /** Time passes at once, so that what is parked is let go; what is sent then is never heard. */
  expire(ms: number): void {
    this.core?.tick(this.world.clockwork.now + ms)
    this.core?.tick(this.world.clockwork.now + ms + 1000)
    this.core?.tick(this.world.clockwork.now + ms + 2000)
    this.core?.tick(this.world.clockwork.now + ms + 3000)
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
    this.world.network().send(this.node, effect.link, effect.frame)
  }

  #tellEarly(op: SignedOp): void {
    this.#do(this.core!.opWritten(op))
  }

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
        {
          this.world.network().close(effect.link, this.node)
          return
        }
      case 'visible':
        for (const { op } of effect.added) this.#mind(op.record.rid, op.record.ep)
        return
      case 'amnesia': {
        this.#mind(this.rid, effect.known.ep)
        return
      }
      case 'accuse':
        this.write(evidenceOf(...effect.pair))
        return
      case 'report': {
        this.world.count(this.node, effect.metric, effect.count)
        return
      }
      case 'opened':
      case 'adopted':
      case 'offered':
      case 'ticket':
      case 'blob-wanted':
      case 'blob-called-off':
      case 'blob-part':
      case 'blob-end':
      case 'dial':
      case 'learned':
      case 'forgotten':
        return
    }
  }

  #storeSoon({ insert, remove }: Extract<Effect, { t: 'store' }>): void {
    const { clockwork, luck, space } = this.world
    const life = this.#life
    clockwork.after(Math.min(luck.delay(this.disk.meanWriteMs), 5000), () => {
      if (life !== this.#life) return
      if (this.disk.full) {
        this.#do(this.core!.storeFailed(space))
        return
      }
      for (const { op } of insert) this.#store(op)
      for (const id of remove) this.stored.delete(id)
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

  #store(op: SignedOp): void {
    this.stored.set(op.id, op)
    this.world.durable(this.node, op)
  }

  /** Somebody knows of an own op in this epoch or a later one, which this replica did not write: on to the next. */
  #mind(rid: ReplicaId, ep: number): void {
    if (rid !== this.rid || ep < this.epoch || this.world.bugs.tellsEarly) return
    const isOwn = ep === this.epoch && this.#knowsAll(ep)
    if (isOwn) return
    this.epoch = ep + 1
    this.#head = emptyHead(this.epoch)
  }

  /** Is the latest known op of this epoch the one written last? */
  #knowsAll(ep: number): boolean {
    const chain = this.core?.set(this.world.space)?.chain(this.rid, ep)
    return (
      chain === undefined ||
      (chain.forkedAt === Infinity && chain.nextSeq <= this.#head.nextSeq + (this.#isWriting ? 1 : 0))
    )
  }

  #headOf(ep: number): ChainHead {
    const own = [...this.stored.values()].filter(({ record }) => record.rid === this.rid && record.ep === ep)
    const last = own.sort((a, b) => b.record.seq - a.record.seq)[0]
    return last === undefined ? emptyHead(ep) : headAfter(last)
  }

  #tick(life: number): void {
    this.world.clockwork.after(TICK_MS, () => {
      if (life !== this.#life) return
      this.#do(this.core!.tick(this.world.clockwork.now))
      if (life === this.#life) this.#tick(life)
    })
  }
}
