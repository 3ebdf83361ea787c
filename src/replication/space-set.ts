/**
 * The ops of one space as this replica keeps them: what is durable, and what waits to become so. Only what is durable is
 * shown, told or counted in a root.
 */
import { IdSet } from '../core/id-set.ts'
import type { OpId, ReplicaId, SetRoot, SpaceId } from '../core/ids.ts'
import { invariant } from '../core/invariant.ts'
import { clientIdOf, type SignedOp, type Verify } from '../core/op.ts'
import { headerOf, type OpHeader } from '../core/shelved-op.ts'
import { ForkLattice, placeAll, type Placed } from './fork-lattice.ts'
import type { Fork, Known } from './frames.ts'
import type { ChainView, GateView } from './gate-view.ts'
import { OrderedIds } from './ordered-ids.ts'
import { OpSlot, type Slot, type SlotRecord } from './slots.ts'
import { encodeStateVector, type StateVector } from './state-vector.ts'

const GENERATION = 0

export interface KeptOp {
  readonly op: SignedOp
  readonly slot: SlotRecord
}

/** Goes into storage in one transaction: an op that falls out goes with the one that pushed it. */
export interface Batch {
  readonly insert: readonly KeptOp[]
  readonly remove: readonly OpId[]
}

export class SpaceSet implements GateView {
  readonly space: SpaceId
  readonly generation = GENERATION
  readonly verify?: Verify
  readonly #lattice: ForkLattice
  readonly #durable = new Map<OpId, SignedOp>()
  #insert = new Map<OpId, KeptOp>()
  #remove = new Set<OpId>()
  #storing: ReadonlyMap<OpId, KeptOp> | undefined
  #leaving: readonly OpId[] = []
  /** Durable ids in the order of time: what is compared with a peer's. */
  readonly timedIds = new OrderedIds()
  readonly #clients = new Map<string, number>()
  #initId: OpId | undefined
  #opIds = new IdSet<SetRoot>(() => this.#durable.keys())
  /** Since then, ids that came (true) or went. */
  readonly #changed = new Map<OpId, boolean>()

  constructor(space: SpaceId, verify?: Verify, lattice = new ForkLattice()) {
    this.space = space
    this.#lattice = lattice
    if (verify !== undefined) this.verify = verify
  }

  get initId(): OpId | undefined {
    return this.#initId
  }
  get size(): number {
    return this.#durable.size
  }
  get isStoring(): boolean {
    return this.#storing !== undefined
  }
  /** Two replicas of one opsRoot keep the same. */
  get opsRoot(): SetRoot {
    if (this.#changed.size > 0) this.#opIds = this.#opIds.with(new Map(this.#changed), () => this.#durable.keys())
    this.#changed.clear()
    return this.#opIds.root
  }

  /** An op with its place, by what it says itself. */
  keptOf(op: SignedOp): KeptOp {
    return { op, slot: new OpSlot(this.#clientOf(headerOf(op)), op) }
  }
  slotOf(id: OpId): Slot | undefined {
    return this.#kept(id)?.slot
  }
  chain(rid: ReplicaId, ep: number): ChainView | undefined {
    return this.#lattice.chain(rid, ep)
  }
  forks(): Fork[] {
    return this.#lattice.forks()
  }
  isForked(rid: ReplicaId, ep: number): boolean {
    return (this.chain(rid, ep)?.forkedAt ?? Infinity) < Infinity
  }
  highest(rid: ReplicaId): Known | undefined {
    return this.#lattice.highest(rid)
  }
  get(id: OpId): KeptOp | undefined {
    const op = this.#durable.get(id)
    return op && this.keptOf(op)
  }
  has(id: OpId): boolean {
    return this.#durable.has(id)
  }
  *ops(): Iterable<KeptOp> {
    for (const op of this.#durable.values()) yield this.keptOf(op)
  }
  /** Durable ops of a chain from a place on. */
  *from(rid: ReplicaId, ep: number, seq: number): Iterable<KeptOp> {
    for (const id of this.#lattice.from(rid, ep, seq)) {
      const kept = this.get(id)
      if (kept !== undefined) yield kept
    }
  }

  /** Of each chain that is whole, by its Yjs client, the place that comes next. */
  clocks(): StateVector {
    const clocks = new Map<number, number>()
    for (const chain of this.#lattice.whole()) {
      let next = chain.nextSeq
      while (next > 0 && !chain.at(next - 1).every((id) => this.#durable.has(id))) next--
      if (next > 0) clocks.set(this.#clientOf(chain), next)
    }
    return clocks
  }

  vector(): Uint8Array {
    return encodeStateVector(this.clocks())
  }

  /** Durable ops of whole chains that somebody with these clocks lacks, each after the one before it. */
  *after(clocks: ReadonlyMap<number, number>): Iterable<KeptOp> {
    for (const chain of this.#lattice.whole())
      yield* this.from(chain.rid, chain.ep, clocks.get(this.#clientOf(chain)) ?? 0)
  }

  /** An op that the gate let in. It is kept from now on, and shown once it is durable. */
  admit({ op, slot }: KeptOp, twin?: KeptOp): Placed['kind'] {
    const placed = this.#lattice.place(op, twin?.op)
    if (placed.kind !== 'kept') return placed.kind
    if (twin !== undefined) this.#insert.set(twin.op.id, twin)
    this.#insert.set(op.id, { op, slot })
    if (op.record.t === 'space.init') this.#initId = op.id
    this.#letFall(placed.fellOut)
    return placed.kind
  }

  /** An op that is durable already: one's own, or one read from storage. */
  restore(op: SignedOp, twin?: SignedOp): Placed['kind'] {
    const placed = this.#lattice.place(op, twin)
    if (placed.kind === 'void') this.#remove.add(op.id)
    if (placed.kind !== 'kept') return placed.kind
    if (twin !== undefined) this.#show(twin)
    this.#show(op)
    if (headerOf(op).t === 'space.init') this.#initId = op.id
    this.#letFall(placed.fellOut)
    return placed.kind
  }

  /** What is to be stored next; one batch at a time. */
  beginStoring(): Batch | undefined {
    if (this.#storing !== undefined || this.#insert.size + this.#remove.size === 0) return undefined
    this.#storing = this.#insert
    this.#leaving = [...this.#remove]
    this.#insert = new Map()
    return { insert: [...this.#storing.values()], remove: this.#leaving }
  }

  /** It is durable: from now on it is shown. */
  endStoring(): Batch {
    const batch = this.#endOfBatch()
    for (const { op } of batch.insert) this.#show(op)
    for (const id of batch.remove) this.#hide(id)
    return batch
  }

  /** It could not be stored. The chains are what the durable ops make of them, as if nothing had come. */
  abandonStoring(): void {
    const { insert, remove } = this.#endOfBatch()
    const gone = remove.flatMap((id) => this.#durable.get(id) ?? [])
    const touched = [...[...insert, ...this.#insert.values()].map(({ op }) => op), ...gone].map(headerOf)
    this.#insert = new Map()
    this.#remove = new Set()
    const chains = new Map(touched.map((header) => [`${header.rid}/${header.ep}`, header]))
    for (const { rid, ep } of chains.values()) {
      this.#lattice.forget(rid, ep)
      const isOfChain = (header: OpHeader): boolean => header.rid === rid && header.ep === ep
      const ops = [...this.#durable.values()].filter((op) => isOfChain(headerOf(op)))
      const left = placeAll(ops, (op, twin) => this.#placeAgain(op, twin))
      invariant(left.length === 0, 'what was durable had its place')
    }
    if (this.#initId !== undefined && !this.#durable.has(this.#initId)) this.#initId = undefined
  }

  #show(op: SignedOp): void {
    this.#durable.set(op.id, op)
    this.timedIds.insert({ ms: headerOf(op).hlc, id: op.id })
    if (this.#opIds.isHashed) this.#changed.set(op.id, true)
  }

  #hide(id: OpId): void {
    const op = this.#durable.get(id)
    this.#remove.delete(id)
    if (op === undefined) return
    this.#durable.delete(id)
    this.timedIds.delete({ ms: headerOf(op).hlc, id })
    if (this.#opIds.isHashed) this.#changed.set(id, false)
  }

  #placeAgain(op: SignedOp, twin: SignedOp | undefined): Placed['kind'] {
    const placed = this.#lattice.place(op, twin)
    if (placed.kind === 'kept') this.#letFall(placed.fellOut)
    if (placed.kind === 'void') this.#remove.add(op.id)
    return placed.kind
  }

  #endOfBatch(): Batch {
    const batch = { insert: [...(this.#storing?.values() ?? [])], remove: this.#leaving }
    this.#storing = undefined
    this.#leaving = []
    return batch
  }

  #letFall(ids: readonly OpId[]): void {
    for (const id of ids) if (!this.#insert.delete(id)) this.#remove.add(id)
  }

  #kept(id: OpId): KeptOp | undefined {
    if (this.#remove.has(id)) return undefined
    return this.get(id) ?? this.#insert.get(id) ?? this.#storing?.get(id)
  }

  #clientOf({ rid, ep }: { readonly rid: ReplicaId; readonly ep: number }): number {
    const key = `${rid}/${ep}`
    let client = this.#clients.get(key)
    if (client === undefined) this.#clients.set(key, (client = clientIdOf({ ep, g: GENERATION, rid, sp: this.space })))
    return client
  }
}
