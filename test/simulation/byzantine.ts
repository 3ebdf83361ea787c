/** A member that misbehaves: it signs what it likes and sends what it likes, over links that are its own. */
import { emptyHead, headAfter, type ChainHead } from '../../src/core/author.ts'
import { clientIdOf, encodeSigned, type SignedOp } from '../../src/core/op.ts'
import type { OpId, ReplicaId, SetRoot } from '../../src/core/ids.ts'
import { setRoot } from '../../src/core/merkle.ts'
import type { Effect, LinkId } from '../../src/replication/effects.ts'
import { encodeFrame, type FrameType } from '../../src/replication/frames.ts'
import { packUpdate } from '../../src/replication/pack-update.ts'
import { WireWriter } from '../../src/replication/wire.ts'
import { encodeRecords } from '../../src/replication/yjs-codec.ts'
import type { ReadBlob } from '../../src/replication/link-giving.ts'
import { type ByteBehaviour, ByteLiar } from './byte-liar.ts'
import { Host } from './host.ts'
import type { HostWorld } from './host-world.ts'
import { anyBody } from './clients.ts'
import { ridOf, stubSigned } from './stubs.ts'

export const BEHAVIOURS = [
  'equivocate',
  'branches',
  'copycat',
  'mute',
  'future-delete',
  'gap-spam',
  'bad-frames',
  'forge',
  'withhold',
  'replay-hello',
] as const
/** Drawn apart from the first, so that old seeds go on as they did. */
export const MORE_BEHAVIOURS = ['far-clock', 'sybils', 'papers', 'lie-root'] as const
export type Behaviour = (typeof BEHAVIOURS)[number] | (typeof MORE_BEHAVIOURS)[number]

/** Yjs writes numbers seven bits a byte, as frames do. */
const muting = (client: number): Uint8Array =>
  new WireWriter().natural(1).natural(1).natural(client).natural(0).u8(0).natural(2 ** 31).natural(0).end() // prettier-ignore
const deleting = (client: number): Uint8Array =>
  new WireWriter().natural(0).natural(1).natural(client).natural(1).natural(0).natural(1000).end()

export class Byzantine extends Host {
  readonly #behaviours: readonly Behaviour[]
  /** Its own chain, told to some as this and to others as that. */
  #chain: ChainHead = emptyHead(1000)
  readonly #written: SignedOp[] = []
  #helloHeard: Uint8Array | undefined
  readonly #rootsSeen: SetRoot[] = [setRoot([])]
  readonly #liar: ByteLiar | undefined

  constructor(
    node: number,
    world: HostWorld,
    behaviours: readonly Behaviour[],
    rid: ReplicaId,
    withBytes: readonly ByteBehaviour[] = [],
  ) {
    super(node, world, rid, false)
    this.#behaviours = behaviours
    if (world.bytes !== undefined && withBytes.length > 0) this.#liar = new ByteLiar(rid, world.bytes, withBytes)
  }

  protected override gives(read: ReadBlob): ReadBlob {
    return this.#liar?.gives ?? read
  }

  protected override out(effect: Extract<Effect, { t: 'send' }>): void {
    if (effect.type === 'hello-ack') this.#helloHeard ??= effect.frame
    if (effect.type === 'roots' && this.#behaviours.includes('lie-root')) {
      this.sendRaw(effect.link, this.#lie())
      return
    }
    if (this.#liar?.keepsBack(effect) === true) return
    const kept: readonly FrameType[] = ['hello', 'hello-ack', 'state-vector', 'roots']
    if (this.#behaviours.includes('withhold') && !kept.includes(effect.type)) return
    super.out(effect)
  }

  misbehave(): void {
    const { luck, space, network } = this.world
    const links = network().linksOf(this.node)
    if (this.state === undefined || links.length === 0) return
    const some = () => links.filter(() => luck.chance(0.5)).map(([link]) => link)
    const one = (): LinkId => luck.pick(links)[0]
    const update = (link: LinkId, bytes: Uint8Array) =>
      this.sendRaw(link, encodeFrame({ t: 'update', space, update: packUpdate(bytes) }))
    const known = [...(this.core?.set(space)?.ops() ?? [])]
    switch (luck.pick(this.#behaviours)) {
      case 'equivocate': {
        const [a, b] = [this.#next(), this.#next()]
        const toA = some()
        this.#tell(toA, a)
        this.#tell(
          links.map(([link]) => link).filter((link) => !toA.includes(link)),
          b,
        )
        this.#chain = headAfter(luck.pick([a, b]))
        if (luck.chance(0.2)) this.#chain = emptyHead(this.#chain.ep + 1)
        return
      }
      case 'branches': {
        // goes on from some op of the past, or a third and a fourth op for a place
        const last = this.#written.length === 0 ? undefined : luck.pick(this.#written)
        if (last !== undefined) this.#chain = headAfter(last)
        for (let i = luck.below(4); i >= 0; i--) {
          const op = this.#next()
          this.#tell(some(), op)
          this.#chain = headAfter(op)
        }
        return
      }
      case 'copycat': {
        if (known.length === 0) return
        const { slot } = luck.pick(known)
        const client = clientIdOf({ ep: 7, g: 0, rid: this.rid, sp: space })
        update(one(), encodeRecords([{ client, clock: 0, id: slot.id, record: slot.record }]))
        return
      }
      case 'mute': {
        update(one(), muting(known.length === 0 ? 1 : luck.pick(known).slot.client))
        return
      }
      case 'future-delete': {
        update(one(), deleting(known.length === 0 ? 1 : luck.pick(known).slot.client))
        return
      }
      case 'gap-spam':
        for (let i = 0; i < 20; i++) {
          const lost = { ep: 2000 + luck.below(3), nextSeq: 1 + luck.below(500), lastId: this.#anyId(), lastHlc: 0 }
          this.#tell([one()], this.sign(anyBody(luck, []), lost))
        }
        return
      case 'bad-frames': {
        this.sendRaw(one(), luck.bytes(luck.below(200)))
        return
      }
      case 'forge': {
        const op = this.#next()
        this.#tell([one()], { ...op, signature: luck.bytes(64) })
        return
      }
      case 'replay-hello':
        if (this.#helloHeard !== undefined) this.sendRaw(one(), this.#helloHeard)
        return
      case 'lie-root': {
        this.sendRaw(one(), this.#lie())
        return
      }
      case 'far-clock': {
        const op = this.sign(anyBody(luck, []), { ...this.#chain, lastHlc: Number.MAX_SAFE_INTEGER - 2 ** 20 })
        this.#chain = { ...headAfter(op), lastHlc: 0 }
        this.#tell(some(), op)
        return
      }
      case 'sybils':
        // keys that nobody has heard of, one op of each
        for (let i = 0; i < 10; i++) {
          const rid = Buffer.from(luck.bytes(32)).toString('hex') as ReplicaId
          const { record } = this.sign(anyBody(luck, []), emptyHead(0))
          this.#tell(some(), stubSigned({ ...record, rid }))
        }
        return
      case 'papers': {
        // as if it were an admin: it lets itself in, or turns out the one who made the space
        const [member, role] = [this.rid, 'admin'] as const
        const removal = { t: 'member.remove', member: ridOf(0), last_ep: 0, last_seq: -1 } as const
        const op = this.sign(luck.chance(0.5) ? { t: 'member.add', member, role } : removal, this.#chain)
        this.#chain = headAfter(op)
        this.#tell(some(), op)
        return
      }
      case 'withhold':
        return
    }
  }

  /** A root that it does not have: any, that of nothing, or one that it had before or is about to have. */
  #lie(): Uint8Array {
    const { luck, space } = this.world
    const own = this.core?.set(space)
    if (own !== undefined) this.#rootsSeen.push(own.opsRoot)
    const opsRoot = luck.chance(0.5) ? luck.pick(this.#rootsSeen) : (this.#anyId() as string as SetRoot)
    return encodeFrame({ t: 'roots', spaces: [{ space, ops: luck.below(200), opsRoot }] })
  }

  #anyId = (): OpId => Buffer.from(this.world.luck.bytes(32)).toString('hex') as OpId

  #next(): SignedOp {
    const { luck, space } = this.world
    const ids = [...(this.core?.set(space)?.ops() ?? [])].map(({ op }) => op.id)
    const op = this.sign(anyBody(luck, ids), this.#chain)
    this.#written.push(op)
    return op
  }

  #tell(links: readonly LinkId[], op: SignedOp): void {
    const { space } = this.world
    const frame = encodeFrame({ t: 'records', space, records: [encodeSigned(op)] })
    for (const link of links) this.sendRaw(link, frame)
  }
}
