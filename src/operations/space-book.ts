/**
 * The spaces of this replica: finding one by id or name, what it is now, and writing the next op to it. States are folded
 * from the log and kept until an op comes; nothing here outlives a restart.
 */
import { authorOp, authorSpace } from '../core/author.ts'
import { TributaryError } from '../core/errors.ts'
import { isSpaceId, type SpaceId } from '../core/ids.ts'
import { parseOp, type SignedOp, spaceIdOf, spaceOf } from '../core/op.ts'
import type { Body, SpaceInitBody } from '../core/op-schemas.ts'
import { fold, type SpaceState } from '../core/or-set.ts'
import type { StoredOp } from '../storage/op-log.ts'
import type { Context } from './context.ts'

export class SpaceBook {
  readonly #context: Context
  readonly #states = new Map<SpaceId, SpaceState>()

  constructor(context: Context) {
    this.#context = context
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
      state = fold(this.#context.storage.ops.forSpace(id).map(({ bytes }) => parseOp(bytes)))
      this.#states.set(id, state)
    }
    return state
  }

  /** Writes the first op of a new space. */
  create(body: Omit<SpaceInitBody, 't'>, also: (space: SpaceId) => void): SpaceState {
    const { storage, key, epoch, now } = this.#context
    const op = authorSpace({ key, head: { ep: epoch, nextSeq: 0, lastHlc: 0 }, now: now() }, body)
    const id = spaceIdOf(op)
    const state = storage.transact(() => {
      storage.ops.append(storedOp(op, id))
      storage.spaces.add({ id, name: body.name, init: op.id, adoptedAtMs: now() })
      also(id)
      return fold([op])
    })
    this.#states.set(id, state)
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
    const { storage, key, epoch, now } = this.#context
    const written = storage.transact(() => {
      const head = { ep: epoch, ...storage.ops.head(before.space, 0, key.rid, epoch) }
      const op = authorOp({ key, head, now: now(), space: before.space, acl: before.acl }, body)
      storage.ops.append(storedOp(op, before.space))
      const state = fold([...before.ops.values(), op])
      also(state)
      return { op, state }
    })
    this.#states.set(before.space, written.state)
    return written
  }
}

export const storedOp = (op: SignedOp, space: SpaceId = spaceOf(op)): StoredOp => {
  const { g, rid, ep, seq, t, hlc } = op.record
  return { id: op.id, space, g, rid, ep, seq, t, hlc, bytes: op.bytes, signature: op.signature }
}
