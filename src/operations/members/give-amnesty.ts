/** Letting a key that signed two ops for one place write again, in later epochs: a restored backup does that to honest ones. */
import { TributaryError } from '../../core/errors.ts'
import { type OpId, parseReplicaId, type ReplicaId } from '../../core/ids.ts'
import { invariant } from '../../core/invariant.ts'
import { evidenceOf, parseOp } from '../../core/op.ts'
import { mayRevoke, type SpaceState } from '../../core/or-set.ts'
import type { StoredOp } from '../../storage/op-log.ts'
import type { Context } from '../context.ts'
import { notAllowed } from '../contributions.ts'
import type { AmnestyGiven } from '../operations.ts'
import type { SpaceBook } from '../space-book.ts'
import { forkedEpochsOf, isAfterFork, writePaper } from './membership.ts'

export interface AmnestyRequest {
  readonly key: string
  /** Without it, the epoch after the last that is forked. */
  readonly from_epoch?: number
  readonly reason?: string
}

export function giveAmnesty(context: Context, book: SpaceBook, space: string, given: AmnestyRequest): AmnestyGiven {
  const state = book.find(space)
  const member = parseReplicaId(given.key)
  if (!mayRevoke(state, context.key.rid, context.lease.epoch)) throw notAllowed(context, state, 'give amnesty')
  const forked = forkedEpochsOf(state, member).at(-1)
  if (forked === undefined)
    throw new TributaryError('NOT_FORKED', `nothing in ${state.name} shows two ops of this key for one place`, {
      details: { key: member },
      hint: 'an amnesty is for a key whose epochs are forked: GET …/members tells which',
    })
  const from = given.from_epoch ?? forked + 1
  if (!Number.isSafeInteger(from) || from <= forked)
    throw new TributaryError(
      'REQUEST_INVALID',
      `the epoch ${forked} is forked: nothing before its end can be forgiven`,
      {
        pointer: '/from_epoch',
        details: { forked },
        hint: `leave from_epoch out, or give ${forked + 1} or more`,
      },
    )
  const view = { key: member, from_epoch: from }
  if (!isAfterFork(state, member, from)) return { ...view, created: false }

  const [accused, evidence] = evidenceIn(context, book, state, member, forked)
  const reason = given.reason === undefined ? {} : { reason: given.reason }
  const after = writePaper(context, book, accused, { t: 'amnesty', member, evidence, from_ep: from, ...reason })
  invariant(!isAfterFork(after, member, from), 'an amnesty by an admin counts')
  return { ...view, created: true }
}

/** The op that proves the fork; it is written first where only the two ops themselves are here. */
function evidenceIn(
  context: Context,
  book: SpaceBook,
  state: SpaceState,
  member: ReplicaId,
  forked: number,
): readonly [SpaceState, OpId] {
  const proofs = state.accusationsOf(member).filter(({ ep }) => ep === forked)
  const [first] = proofs.map(({ by }) => by).sort()
  if (first !== undefined) return [state, first]
  const seq = state.chains.get(member)?.epochs.get(forked)?.forkedAt
  invariant(seq !== undefined, 'a forked epoch is known')
  const [one, two] = context.storage.ops.inSlot(state.space, 0, member, forked, seq)
  invariant(one !== undefined && two !== undefined, 'a fork without an evidence shows in two stored ops')
  const { op, state: after } = book.write(state, evidenceOf(signedOf(one), signedOf(two)))
  return [after, op.id]
}

const signedOf = ({ bytes, signature }: StoredOp) => ({ ...parseOp(bytes), signature })
