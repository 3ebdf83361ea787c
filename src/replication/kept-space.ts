/** One space of a replica: its set, the way of new ops into it, and who is told of them. */
import { invariant } from '../core/invariant.ts'
import type { OpId, ReplicaId } from '../core/ids.ts'
import type { SignedOp } from '../core/op.ts'
import { headerOf } from '../core/shelved-op.ts'
import { Admission, type AdmissionContext } from './admission.ts'
import type { Effect, LinkId } from './effects.ts'
import { EvidenceWatch } from './evidence-watch.ts'
import type { Frame, FrameOf } from './frames.ts'
import type { Needs } from './gate.ts'
import { placeAll } from './fork-lattice.ts'
import { Gossip } from './gossip.ts'
import { idFrames, inChainOrder, opFrames } from './outbox.ts'
import type { PeerSession } from './peer-session.ts'
import type { KeptOp, SpaceSet } from './space-set.ts'
import type { SpaceSync } from './space-sync.ts'

const ASK_AGAIN_MS = 1000

export interface SpaceContext extends Omit<AdmissionContext, 'needs' | 'duplicate'> {
  readonly sessions: ReadonlyMap<LinkId, PeerSession>
  /** Who we are. */
  readonly own: ReplicaId
  readonly send: (link: LinkId, frame: Frame) => void
  readonly effect: (effect: Effect) => void
}

/** What waits. */
export interface Load {
  readonly parked: number
  readonly waiting: number
  readonly awaited: number
  /** Ids to tell, in the longest queue of a peer. */
  readonly lazy: number
}

export type SpaceFrame =
  FrameOf<'update'> | FrameOf<'records'> | FrameOf<'need'> | FrameOf<'ids'> | FrameOf<'reconcile'>

export class KeptSpace {
  readonly set: SpaceSet
  readonly admission: Admission
  readonly gossip: Gossip
  readonly #context: SpaceContext
  readonly #evidence: EvidenceWatch
  /** What was asked of whom, and when. */
  readonly #asked = new Map<string, number>()

  constructor(set: SpaceSet, context: SpaceContext) {
    this.set = set
    this.#context = context
    this.gossip = new Gossip(context.settings)
    this.#evidence = new EvidenceWatch(context.own, context.settings)
    this.admission = new Admission(set, {
      ...context,
      needs: (link, needs) => this.#ask(link, needs),
      duplicate: (link) => this.#prune(link),
    })
  }

  /** Ops that are durable already, in any order. Those above a fork are removed from storage. */
  restore(ops: Iterable<SignedOp>): void {
    const all = [...ops]
    const left = placeAll(all, (op, twin) => this.set.restore(op, twin))
    invariant(left.length === 0, `${left[0]?.id} follows nothing that is stored`)
    const kept = all.filter(({ id }) => this.set.has(id))
    for (const op of kept) this.admission.kept(op)
    this.#watch(kept)
  }

  get load(): Load {
    const { admission, gossip } = this
    return { parked: admission.parked, waiting: admission.waiting, awaited: gossip.awaited, lazy: gossip.lazy }
  }

  arrived(link: LinkId, sync: SpaceSync, frame: SpaceFrame): void {
    switch (frame.t) {
      case 'update':
        this.admission.enqueue({ link, kind: 'update', update: frame.update })
        this.pump()
        return
      case 'records':
        this.admission.enqueue({ link, kind: 'records', records: frame.records })
        this.pump()
        return
      case 'need': {
        sync.on({ t: 'need', frame })
        return
      }
      case 'reconcile': {
        sync.on({ t: 'reconcile', frame })
        return
      }
      case 'ids': {
        this.#ids(link, sync, frame)
        return
      }
    }
  }

  pump(): void {
    this.admission.pump()
    this.store()
  }

  store(): void {
    const batch = this.set.beginStoring()
    if (batch !== undefined) this.#context.effect({ t: 'store', space: this.set.space, ...batch })
  }

  /** The batch is durable. */
  stored(): void {
    const { insert, remove } = this.set.endStoring()
    this.show(
      insert.filter(({ op }) => this.set.slotOf(op.id) !== undefined),
      remove,
    )
    this.pump()
  }

  show(added: readonly KeptOp[], removed: readonly OpId[] = []): void {
    this.#context.effect({ t: 'visible', space: this.set.space, added, removed })
    this.#watch(
      added.map(({ op }) => op),
      removed,
    )
    this.#tell(added)
  }

  #watch(added: readonly SignedOp[], removed: readonly OpId[] = []): void {
    const now = this.#context.now()
    for (const id of removed) this.#evidence.fellOut(id, now)
    for (const op of added) this.#evidence.saw(op)
    for (const { rid, ep } of added.map(headerOf))
      if (this.set.isForked(rid, ep)) this.#evidence.forked({ rid, ep }, now)
  }

  /** One at a time: many forks at once are no reason to write as many ops at once. */
  #accuse(): void {
    const chain = this.#evidence.takeDue(this.#context.now())
    const forked = chain && this.set.chain(chain.rid, chain.ep)
    const [one, two] = forked?.at(forked.forkedAt).map((id) => this.set.get(id)?.op) ?? []
    if (one !== undefined && two !== undefined)
      this.#context.effect({ t: 'accuse', space: this.set.space, pair: [one, two] })
  }

  storeFailed(): void {
    this.set.abandonStoring()
    this.admission.abandon()
    this.#context.report('store.failed', 1)
  }

  tick(): void {
    const { set, gossip } = this
    const now = this.#context.now()
    this.admission.expire()
    this.#accuse()
    for (const [link, ids] of gossip.takeLazy()) this.#send(link, idFrames(set.space, 'ihave', ids))
    for (const [link, ids] of gossip.takeOverdue(now)) this.#send(link, idFrames(set.space, 'graft', ids))
    for (const [key, at] of this.#asked) if (now - at >= ASK_AGAIN_MS) this.#asked.delete(key)
    this.pump()
  }

  #ids(link: LinkId, sync: SpaceSync, { kind, ids }: FrameOf<'ids'>): void {
    const { set, gossip } = this
    switch (kind) {
      case 'ihave':
        for (const id of ids) if (set.slotOf(id) === undefined) gossip.heardOf(id, link, this.#context.now())
        return
      case 'graft':
        gossip.graft(link)
        sync.on({ t: 'wanted', ids })
        return
      case 'iwant': {
        sync.on({ t: 'wanted', ids })
        return
      }
      case 'prune': {
        gossip.prune(link)
        return
      }
    }
  }

  #tell(ops: readonly KeptOp[]): void {
    const { set, gossip, admission } = this
    const sources = new Map(ops.map(({ op }) => [op.id, admission.sourcesOf(op.id)]))
    for (const { op } of ops) gossip.arrived(op.id, [...sources.get(op.id)!][0])
    for (const session of this.#context.sessions.values()) {
      const { link } = session
      if (!session.isOpen || !session.syncs.get(set.space)?.isLive) continue
      const news = ops.filter(({ op }) => !sources.get(op.id)!.has(link))
      session.thank(ops.length - news.length)
      if (session.isTrusted && gossip.isEager(link)) this.#push(link, news)
      else for (const { op } of news) gossip.tellLater(link, op.id)
    }
  }

  #push(link: LinkId, ops: readonly KeptOp[]): void {
    this.#send(link, opFrames(this.set, inChainOrder(ops)))
  }

  #ask(link: LinkId, { rid, ep, from, prev }: Needs): void {
    const key = `${link}/${rid}/${ep}`
    if (this.#asked.has(key)) return
    this.#asked.set(key, this.#context.now())
    const { space } = this.set
    this.#context.send(link, { t: 'need', space, rid, ep, from })
    if (prev !== undefined && this.set.slotOf(prev) === undefined)
      this.#context.send(link, { t: 'ids', space, kind: 'iwant', ids: [prev] })
  }

  #prune(link: LinkId): void {
    if (this.gossip.isFullMesh) return
    this.gossip.prune(link)
    this.#context.send(link, { t: 'ids', space: this.set.space, kind: 'prune', ids: [] })
  }

  #send(link: LinkId, frames: Iterable<Frame>): void {
    for (const frame of frames) this.#context.send(link, frame)
  }
}
