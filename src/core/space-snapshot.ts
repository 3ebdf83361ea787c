/**
 * The folded state of a space as bytes, and back: what took seconds to fold is read in a fraction. It decides nothing.
 * The ops are given from where they are true, and a snapshot that does not name exactly those, or some of them, is none.
 */
import { compareHex } from './bytes.ts'
import { type Accusation, authorChains, type Chain, type Chains, entry, listAt } from './forks.ts'
import { IdSet } from './id-set.ts'
import type { ContentRoot, ContributionId, Name, OpId, ReplicaId, SetRoot, SpaceId } from './ids.ts'
import { at, invariant } from './invariant.ts'
import { LayeredMap } from './layered-map.ts'
import { judgePapers } from './membership.ts'
import { isSpaceInit, type Op, prevOf } from './op.ts'
import { GENERATION_KNOWN, idSetsOf, SpaceState } from './or-set.ts'
import { headerOf, type OpHeader } from './shelved-op.ts'
import { decodeSnapshot, encodeSnapshot, type Snapshot, SNAPSHOT_FORMAT, type SnapshotHead } from './snapshot-format.ts'
import { type Add, type Dot, type Ignored, type Remove, type Revocation, ShownAdd } from './visibility.ts'

const inOrder = (a: Op, b: Op): number => headerOf(a).hlc - headerOf(b).hlc || compareHex(a.id, b.id)

const sorted = <K extends string, T>(entries: [K, T][]): [K, T][] => entries.sort(([a], [b]) => compareHex(a, b))

/** Undefined where there is nothing to be had of it: the rules are not known, or a number is beyond the columns. */
export function snapshotOf(state: SpaceState): Uint8Array | undefined {
  const { judged, init, ignored, accusations } = state.facts
  const ops = [...state.ops.values()].sort(inOrder)
  if (judged === undefined || ops.some((op) => headerOf(op).seq >= 2 ** 32)) return undefined
  const placeOf = new Map(ops.map(({ id }, place) => [id, place]))
  const place = ({ id }: Op): number => placeOf.get(id)!
  const types = new Map<string, number>()
  const places = new Map<string, number>()
  const named: [string, number][] = []
  for (const op of ops) {
    const { t, rid, ep } = headerOf(op)
    entry(types, t, () => types.size)
    entry(places, `${rid}/${ep}`, () => named.push([rid, ep]) - 1)
  }
  const { shown, authority } = judged
  const killers = sorted([...shown.killers])
  const kills = killers
    .flatMap(([dot, by]) => {
      const killed = placeOf.get(dot)
      return killed === undefined ? [] : by.map((op) => [killed, place(op)] as const)
    })
    .sort(([a, by], [b, with_]) => a - b || by - with_)
  const head: SnapshotHead = {
    format: SNAPSHOT_FORMAT,
    space: state.space,
    root: state.root,
    opsRoot: state.opsRoot,
    acl: state.acl,
    init: place(init),
    types: [...types.keys()],
    places: named,
    chains: sorted([...state.chains]).flatMap(([, { epochs }]) => Array.from(epochs.values(), chainRow)),
    accusations: sorted([...accusations]).flatMap(([rid, all]) =>
      all.map(({ by, ep, seq }) => [rid, placeOf.get(by)!, ep, seq] as const).sort(([, a], [, b]) => a - b),
    ),
    papers: Array.from(authority.settled.setting.papers.values(), place).sort((a, b) => a - b),
    revoked: sorted([...shown.revoked]).map(([content, by]) => [
      content,
      by.map(({ op, by: rid, hlc, reason }) => [op, rid, hlc, reason ?? null]),
    ]),
    ignored: sorted([...ignored]).map(([op, why]) => [placeOf.get(op)!, why]),
    awaited: killers
      .filter(([dot]) => !placeOf.has(dot))
      .map(([dot, by]) => [dot, by.map(place).sort((a, b) => a - b)]),
    kills: kills.length,
    names: Array.from(shown.visible, ({ record }) => record.name),
    ops: ops.length,
    dots: shown.visible.reduce((sum, { dots }) => sum + dots.length, 0),
  }
  return encodeSnapshot(head, (columns) => {
    ops.forEach((op, i) => {
      const { hlc, seq, rid, ep, t } = headerOf(op)
      const prev = prevOf(op)
      columns.hlcs[i] = hlc
      columns.ids.set(Buffer.from(op.id, 'hex'), 32 * i)
      columns.seqs[i] = seq
      columns.places[i] = places.get(`${rid}/${ep}`)!
      columns.types[i] = types.get(t)!
      columns.prevs[i] = prev === undefined ? 0 : (placeOf.get(prev) ?? UNKNOWN) + 1
    })
    for (const [key, adds] of shown.adds) for (const add of adds) columns.contents[place(add)] = key + 1
    kills.forEach(([killed, by], i) => {
      columns.killed[i] = killed
      columns.killers[i] = by
    })
    let dot = 0
    shown.visible.forEach(({ id, dots }, i) => {
      columns.visible.set(Buffer.from(id, 'hex'), 32 * i)
      columns.dotCounts[i] = dots.length
      for (const { op } of dots) columns.dots[dot++] = placeOf.get(op)!
    })
  })
}

/** Of an op whose op before is not here. */
const UNKNOWN = 2 ** 32 - 2

const chainRow = ({ rid, ep, forkedAt, head }: Chain): SnapshotHead['chains'][number] => [
  rid,
  ep,
  forkedAt < Infinity ? forkedAt : -1,
  head.nextSeq,
  head.lastId ?? '',
  head.lastHlc,
]

/** What a snapshot says of ops that are read one after the other, in (hlc, id) order, some of which may be newer. */
export class SnapshotReader {
  readonly #snapshot: Snapshot
  readonly #ids: readonly OpId[]
  readonly #ops: Op[] = []

  private constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot
    this.#ids = idsIn(snapshot.columns.ids)
  }

  /** Undefined where these bytes are no snapshot of this space. */
  static of(space: SpaceId, bytes: Uint8Array): SnapshotReader | undefined {
    const snapshot = decodeSnapshot(bytes)
    return snapshot?.head.space === space ? new SnapshotReader(snapshot) : undefined
  }

  /** Undefined where the snapshot does not know this op; where it does, the op goes to `take`, read where it has no header. */
  next(id: OpId): { readonly id: OpId; readonly header?: OpHeader } | undefined {
    const i = this.#ops.length
    const known = this.#ids[i]
    if (known !== id) return undefined
    const { head, columns } = this.#snapshot
    const [rid, ep] = at(head.places, columns.places[i]!)
    const prev = columns.prevs[i]!
    if (prev > UNKNOWN) return { id: known }
    const header = {
      rid: rid as ReplicaId,
      ep,
      seq: columns.seqs[i]!,
      hlc: columns.hlcs[i]!,
      t: at(head.types, columns.types[i]!),
      prev: prev === 0 ? undefined : at(this.#ids, prev - 1),
    }
    return { id: known, header }
  }

  take(op: Op): void {
    this.#ops.push(op)
  }

  /** Undefined where an op of the snapshot was not among those that were read. */
  state(): SpaceState | undefined {
    const { head } = this.#snapshot
    const ops = this.#ops
    if (ops.length !== head.ops) return undefined
    const init = at(ops, head.init)
    invariant(isSpaceInit(init), 'the first op of a space stands where the snapshot says')
    const byId = new LayeredMap(new Map(ops.map((op) => [op.id, op])))
    const chains = chainsIn(head)
    const { rid, policy } = init.record
    const { visible, slots } = this.#visible()
    return new SpaceState({
      init,
      ops: byId,
      chains,
      strays: new LayeredMap(this.#strays(chains)),
      accusations: new LayeredMap(this.#accusations()),
      ignored: new LayeredMap(new Map(head.ignored.map(([i, why]): [OpId, Ignored] => [at(ops, i).id, why]))),
      ...idSetsOf(byId, head.opsRoot as SetRoot, head.acl as SetRoot),
      judged: {
        authority: judgePapers(
          rid,
          policy.access,
          chains,
          head.papers.map((i) => at(ops, i)),
        ),
        shown: {
          visible,
          slots: new LayeredMap(slots),
          revoked: new Map(head.revoked.map(([content, by]) => [content as ContentRoot, by.map(revocation)])),
          killers: new LayeredMap(this.#killers()),
          adds: new LayeredMap(this.#adds()),
        },
        visibleIds: new IdSet<SetRoot>(() => visible.map(({ id }) => id), undefined, undefined, head.root as SetRoot),
      },
    })
  }

  /** Ops behind the ends of their chains. */
  #strays(chains: Chains): ReadonlyMap<ReplicaId, readonly Op[]> {
    const { head, columns } = this.#snapshot
    const ends = head.places.map(([rid, ep]) => chains.get(rid as ReplicaId)?.epochs.get(ep)?.head.nextSeq ?? Infinity)
    const strays = new Map<ReplicaId, Op[]>()
    for (const [i, op] of this.#ops.entries())
      if (columns.seqs[i]! >= at(ends, columns.places[i]!) && op.record.g === GENERATION_KNOWN)
        listAt(strays, op.record.rid, op)
    return strays
  }

  #accusations(): ReadonlyMap<ReplicaId, readonly Accusation[]> {
    const accusations = new Map<ReplicaId, Accusation[]>()
    for (const [accused, by, ep, seq] of this.#snapshot.head.accusations) {
      const rid = accused as ReplicaId
      entry(accusations, rid, () => []).push({ by: at(this.#ops, by).id, rid, ep, seq })
    }
    return accusations
  }

  #killers(): ReadonlyMap<OpId, readonly (Add | Remove)[]> {
    const { head, columns } = this.#snapshot
    const killers = new Map(
      head.awaited.map(([dot, by]) => [dot as OpId, by.map((i) => at(this.#ops, i) as Add | Remove)]),
    )
    for (const [i, killed] of columns.killed.entries())
      listAt(killers, at(this.#ids, killed), at(this.#ops, columns.killers[i]!) as Add | Remove)
    return killers
  }

  #adds(): ReadonlyMap<number, readonly Add[]> {
    const adds = new Map<number, Add[]>()
    for (const [i, key] of this.#snapshot.columns.contents.entries())
      if (key > 0) listAt(adds, key - 1, at(this.#ops, i) as Add)
    return adds
  }

  #visible() {
    const { head, columns } = this.#snapshot
    const ids = idsIn<ContributionId>(columns.visible)
    const slots = new Map<Name, ContributionId[]>()
    for (const [i, id] of ids.entries()) listAt(slots, head.names[i] as Name, id)
    let from = 0
    const visible = ids.map((id, i) => {
      const adds = Array.from(columns.dots.subarray(from, (from += columns.dotCounts[i]!)), (op) => at(this.#ops, op))
      return new ShownAdd(id, adds[0] as Add, adds.map(dotIn), slots.get(head.names[i] as Name)!.length > 1)
    })
    return { visible, slots }
  }
}

function dotIn(op: Op): Dot {
  const { rid, hlc } = headerOf(op)
  return { op: op.id, author: rid, hlc }
}

const revocation = ([op, by, hlc, reason]: SnapshotHead['revoked'][number][1][number]): Revocation => ({
  op: op as OpId,
  by: by as ReplicaId,
  hlc,
  ...(reason !== null && { reason }),
})

function idsIn<Id extends string = OpId>(column: Uint8Array): Id[] {
  const raw = Buffer.from(column.buffer, column.byteOffset, column.length)
  return Array.from({ length: column.length / 32 }, (_, i) => raw.toString('hex', 32 * i, 32 * i + 32) as Id)
}

function chainsIn(head: SnapshotHead): Chains {
  const authors = new Map<ReplicaId, Chain[]>()
  for (const [author, ep, forkedAt, nextSeq, lastId, lastHlc] of head.chains) {
    const rid = author as ReplicaId
    const end = { ep, nextSeq, lastId: lastId === '' ? undefined : (lastId as OpId), lastHlc }
    entry(authors, rid, () => []).push({ rid, ep, forkedAt: forkedAt < 0 ? Infinity : forkedAt, head: end })
  }
  return new Map([...authors].map(([rid, chains]) => [rid, authorChains(chains)]))
}
