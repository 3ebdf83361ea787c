/**
 * The spaces of this replica: finding one by id or name, what it is now, and writing the next op to it. States are folded
 * from the log and kept until an op comes; nothing here outlives a restart.
 */
import { authorOp, authorSpace } from '../core/author.ts'
import { TributaryError } from '../core/errors.ts'
import { isSpaceId, type OpId, type SpaceId } from '../core/ids.ts'
import { isSpaceInit, type Op, type SignedOp, spaceIdOf, spaceOf } from '../core/op.ts'
import { invariant } from '../core/invariant.ts'
import type { Body, SpaceInitBody } from '../core/op-schemas.ts'
import { fold, type SpaceState } from '../core/or-set.ts'
import { soundOps } from '../core/sound-ops.ts'
import type { StoredOp } from '../storage/op-log.ts'
import { Compaction } from './compaction.ts'
import type { Context } from './context.ts'
import { readOps, restored } from './stored-space.ts'

export interface Received {
  readonly insert: readonly SignedOp[]
  readonly remove: readonly OpId[]
}

export class SpaceBook {
  readonly #context: Context
  #tell: (op: SignedOp) => void = () => undefined
  readonly #changed: (space: SpaceId) => void
  readonly #states = new Map<SpaceId, SpaceState>()
  readonly #compaction: Compaction | undefined

  /** `changed` hears of each space whose state has changed for good. */
  constructor(context: Context, changed: (space: SpaceId) => void = () => undefined) {
    this.#context = context
    this.#changed = changed
    const { storage, compactor, limits, report } = context
    if (compactor === undefined) return
    this.#compaction = new Compaction({
      storage,
      compactor,
      opsMin: limits.snapshotOps,
      report,
      current: (space) => this.#states.get(space),
      distrust: (space) => this.#distrust(space),
    })
  }

  /** Those whose rules are known; the others are kept, and answer by name why they can't be looked at. */
  all(): readonly SpaceState[] {
    const states = this.#context.storage.spaces.list().map(({ id }) => this.state(id))
    return states.filter(({ hasKnownRules }) => hasKnownRules)
  }

  find(ref: string): SpaceState {
    const { spaces } = this.#context.storage
    if (isSpaceId(ref)) {
      const space = spaces.find(ref as SpaceId)
      if (space !== undefined) return this.state(space.id)
    }
    const named = spaces.findByName(ref)
    const [first] = named
    if (first === undefined)
      throw new TributaryError('SPACE_NOT_FOUND', `no space ${JSON.stringify(ref.slice(0, 96))} on this replica`, {
        details: { space: ref.slice(0, 96) },
        hint: 'GET /v1/spaces lists them; POST /v1/spaces makes one',
      })
    if (named.length > 1)
      throw new TributaryError('SPACE_NAME_AMBIGUOUS', `${named.length} spaces are called ${ref}`, {
        details: { ids: named.map(({ id }) => id) },
        hint: 'use the id of the one that is meant',
      })
    return this.state(first.id)
  }

  state(id: SpaceId): SpaceState {
    let state = this.#states.get(id)
    if (state === undefined) {
      state = this.#restored(id) ?? fold(this.#sound(id))
      this.#keep(state)
      this.#heed(state)
    }
    return state
  }

  /** Writes the first op of a new space. */
  create(body: Omit<SpaceInitBody, 't'>, also: (space: SpaceId) => void): SpaceState {
    const { storage, key, lease, now } = this.#context
    const op = authorSpace({ key, head: { ep: lease.epoch, nextSeq: 0, lastHlc: 0 }, now: now() }, body)
    const id = spaceIdOf(op)
    const state = storage.transact(() => {
      storage.ops.append(storedOp(op, id))
      storage.spaces.add({ id, name: body.name, init: op.id, adoptedAtMs: now() })
      also(id)
      return fold([op])
    })
    this.#keep(state)
    this.#tell(op)
    this.#changed(id)
    return state
  }

  /**
   * Writes this replica's next op. The row is durable before anyone sees the new state; `also` is committed with it and
   * sees the state before and after.
   */
  write(
    before: SpaceState,
    body: Body,
    also: (after: SpaceState) => void = () => undefined,
  ): { readonly op: SignedOp; readonly state: SpaceState } {
    const { storage, key, lease, now } = this.#context
    const written = storage.transact(() => {
      const { epoch: ep } = lease
      const head = { ep, ...storage.ops.head(before.space, 0, key.rid, ep) }
      const op = authorOp({ key, head, now: now(), space: before.space, acl: before.acl }, body)
      storage.ops.append(storedOp(op, before.space))
      const state = before.with([op])
      also(state)
      return { op, state }
    })
    this.#keep(written.state)
    this.#tell(written.op)
    this.#changed(before.space)
    return written
  }

  /**
   * Ops of other replicas, and those that fell out behind a fork: durable when it returns. `also` is committed with
   * them. A space whose first op is not here yet is no space yet, and answers undefined.
   */
  receive(
    space: SpaceId,
    { insert, remove }: Received,
    also: (before: SpaceState | undefined, after: SpaceState) => void,
  ): SpaceState | undefined {
    const { storage } = this.#context
    const before = storage.spaces.find(space) && this.state(space)
    const after = storage.transact(() => {
      for (const op of insert) storage.ops.append(storedOp(op, space))
      storage.ops.remove(remove)
      const state = before === undefined ? this.#begun(space) : before.with(insert, remove)
      if (state !== undefined) also(before, state)
      return state
    })
    if (after === undefined) return undefined
    this.#keep(after)
    this.#heed(after)
    this.#changed(space)
    return after
  }

  /** All ops that are here; of a space that is none yet, too. */
  ops(id: SpaceId): readonly SignedOp[] {
    if (this.#context.storage.spaces.find(id) === undefined) return this.#stored(id)
    return Array.from(this.state(id).ops.values(), signedOp)
  }

  /** What the disk lost is taken from peers again; they may know more of our own, so the next op begins an epoch. */
  #sound(id: SpaceId): readonly SignedOp[] {
    const { storage, key, lease, report } = this.#context
    const { ops, rotten } = readOps(storage.ops, id)
    if (rotten.length === 0) return ops
    const sound = soundOps(ops)
    const kept = new Set(sound.map((op) => op.id))
    const gone = [...rotten, ...ops.map((op) => op.id)].filter((op) => !kept.has(op))
    const error = new TributaryError(
      'DIGEST_MISMATCH',
      `${gone.length} stored ops of the space ${id} are not what their ids say, or follow such an op`,
      { details: { space: id, ops: gone.slice(0, 10) }, hint: 'check the disk' },
    )
    if (!sound.some(isSpaceInit)) throw error // nobody can give back a space that nothing names
    const isOwn = gone.some((op) => storage.ops.find(op)?.rid === key.rid)
    storage.ops.remove(gone)
    if (isOwn) lease.raise(lease.epoch)
    report('reading a space', error)
    return sound
  }

  #stored(id: SpaceId): readonly SignedOp[] {
    return readOps(this.#context.storage.ops, id).ops
  }

  /** From a snapshot, if there is one that fits what is stored. */
  #restored(id: SpaceId): SpaceState | undefined {
    const { storage } = this.#context
    const snapshot = storage.snapshots.find(id)
    if (snapshot === undefined) return undefined
    const found = restored(storage.ops, id, snapshot)
    if (found === undefined) storage.snapshots.remove(id)
    else this.#compaction?.covers(id, found.covered)
    return found?.state
  }

  #distrust(id: SpaceId): void {
    const state = fold(this.#sound(id))
    this.#states.set(id, state)
    this.#changed(id)
  }

  #keep(state: SpaceState): void {
    this.#states.set(state.space, state)
    this.#compaction?.mind(state)
  }

  /** Resolves when no snapshot is being made. */
  async compacted(): Promise<void> {
    await this.#compaction?.idle()
  }

  async stop(): Promise<void> {
    await this.#compaction?.stop()
  }

  /** Whoever tells other replicas: each op written here, once it is durable. */
  watch(written: (op: SignedOp) => void): void {
    this.#tell = written
  }

  /** Whoever was removed and let in again counts from a later epoch on: this replica goes on there. */
  #heed({ members }: SpaceState): void {
    const { key, lease } = this.#context
    const fromEp = members.find(({ rid }) => rid === key.rid)?.fromEp ?? 0
    if (fromEp > lease.epoch) lease.raise(fromEp - 1)
  }

  #begun(id: SpaceId): SpaceState | undefined {
    const { storage, now } = this.#context
    const ops: readonly Op[] = this.#stored(id)
    const init = ops.find(isSpaceInit)
    if (init === undefined) return undefined
    storage.spaces.add({ id, name: init.record.name, init: init.id, adoptedAtMs: now() })
    return fold(ops)
  }
}

/** States of the book are made of signed ops alone. */
function signedOp(op: Op & { readonly signature?: Uint8Array }): SignedOp {
  invariant(op.signature !== undefined, `the op ${op.id} has its signature`)
  return op as SignedOp
}

export const storedOp = (op: SignedOp, space: SpaceId = spaceOf(op)): StoredOp => {
  const { g, rid, ep, seq, t, hlc } = op.record
  return { id: op.id, space, g, rid, ep, seq, t, hlc, bytes: op.bytes, signature: op.signature }
}
