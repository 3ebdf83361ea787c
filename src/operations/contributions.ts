/** Offering models to a space, looking at what is offered, and taking it back. */
import { fromHex, hex } from '../core/bytes.ts'
import { contributionId, type ContributionRecord, makeContribution } from '../core/contribution.ts'
import { TributaryError } from '../core/errors.ts'
import {
  type ContributionId,
  type Name,
  type OpId,
  parseContentRoot,
  parseContributionId,
  parseModelId,
} from '../core/ids.ts'
import { inclusionProofs, leafHash } from '../core/merkle.ts'
import { DOTS_MAX, REPLACES_MAX } from '../core/op-schemas.ts'
import { mayAdd, mayRetract, mayRevoke, type SpaceState } from '../core/or-set.ts'
import type { VisibleContribution } from '../core/visibility.ts'
import type { BlobName } from '../storage/blob-store.ts'
import { type Context, isoTime } from './context.ts'
import { manifestOf } from './models.ts'
import type { Contributed, ContributionView, Offer, ProofView, SpaceView } from './operations.ts'
import type { SpaceBook } from './space-book.ts'
import { namedModel, spaceView } from './spaces.ts'
import { holdVisible, settle } from './holding.ts'
import { dropBlobs } from './sweep.ts'

export function contribute(context: Context, book: SpaceBook, space: string, offer: Offer): Contributed {
  const state = book.find(space)
  const model = parseModelId(offer.model)
  const { content } = manifestOf(context, model)
  const record = recordOf(context, book, offer, content)
  const id = contributionId(record)
  const known = state.find(id)
  if (known !== undefined) return { id, model, content, dot: known.dots[0]!.op, root: state.root, created: false }

  if (state.revoked.has(content))
    throw new TributaryError('CONTENT_REVOKED', `the content ${content} was withdrawn from ${state.name} for ever`, {
      details: { content },
      hint: 'contribute other weights',
    })
  if (!mayAdd(state, context.key.rid, context.lease.epoch)) throw notAllowed(context, state, 'contribute')
  const room = makeRoom(context, book, state, record.name)
  const replaces = room
    .dotsIn(record.name)
    .map(({ op }) => op)
    .sort()
    .slice(0, REPLACES_MAX)
  const { op, state: after } = book.write(room, { t: 'add', contribution: record, replaces }, (next) =>
    holdVisible(context, room, next),
  )
  return { id, model, content, dot: op.id, root: after.root, created: true }
}

/** An add replaces a bounded number of dots; what a crowded slot has beyond them is removed before. */
function makeRoom(context: Context, book: SpaceBook, state: SpaceState, name: Name): SpaceState {
  const surplus = state
    .dotsIn(name)
    .map(({ op }) => op)
    .filter((dot) => mayRetract(state, context.key.rid, dot, context.lease.epoch))
    .slice(REPLACES_MAX)
  return removeDots(context, book, state, surplus)
}

/** An op names a bounded number of dots, so many take several. */
function removeDots(context: Context, book: SpaceBook, before: SpaceState, dots: readonly OpId[]): SpaceState {
  let state = before
  for (let from = 0; from < dots.length; from += DOTS_MAX) {
    const last = state
    const body = { t: 'remove', dots: dots.slice(from, from + DOTS_MAX).sort() } as const
    state = book.write(last, body, (next) => holdVisible(context, last, next)).state
  }
  return state
}

function recordOf(context: Context, book: SpaceBook, offer: Offer, content: string): ContributionRecord {
  const { base, ...rest } = offer
  return makeContribution({
    ...rest,
    content,
    ...(base !== undefined && { base: namedModel(context, book, base).content }),
  } as never)
}

export const notAllowed = ({ key }: Context, { name }: SpaceState, verb: string) =>
  new TributaryError('NOT_ALLOWED', `this replica's key may not ${verb} in ${name}`, {
    details: { replica: key.rid },
    hint: 'ask an admin of the space to add this key to its members',
  })

function view({ storage }: Context, { id, record, dots, conflict }: VisibleContribution): ContributionView {
  return {
    id,
    ...record,
    dots: dots.map(({ op, author, hlc }) => ({ op, author, at: timeOf(hlc) })),
    conflict,
    here: storage.models.has(record.model),
  }
}

/** An author may claim any time; beyond what a date can say it is shown as the last one. */
const timeOf = (hlc: number): string => isoTime(Math.min(hlc, 8.64e15))

export const listContributions = (context: Context, book: SpaceBook, space: string): readonly ContributionView[] =>
  book.find(space).visible.map((one) => view(context, one))

function visibleIn(state: SpaceState, id: string): VisibleContribution {
  const wanted = parseContributionId(id)
  const found = state.find(wanted)
  if (found !== undefined) return found
  throw new TributaryError('CONTRIBUTION_NOT_FOUND', `no contribution ${id} is visible in ${state.name}`, {
    details: { id },
    hint: `GET /v1/spaces/${state.name}/contributions lists them`,
  })
}

export const findContribution = (context: Context, book: SpaceBook, space: string, id: string): ContributionView =>
  view(context, visibleIn(book.find(space), id))

export function proveContribution(book: SpaceBook, space: string, id: string): ProofView {
  const state = book.find(space)
  return proofIn(state, visibleIn(state, id).id)
}

function proofIn({ visible, root }: SpaceState, id: ContributionId): ProofView {
  const ids = visible.map((one) => one.id)
  return { id, root, size: ids.length, ...proofsAmong(ids)(id) }
}

/** Where an id stands among these, sorted and distinct, and the siblings that lead from it to their root. */
export function proofsAmong(
  ids: readonly string[],
): (id: string) => { readonly index: number; readonly path: readonly string[] } {
  const indexOf = new Map(ids.map((id, index) => [id, index]))
  const pathOf = inclusionProofs(ids.map((id) => leafHash(fromHex(id))))
  return (id) => {
    const index = indexOf.get(id) ?? -1
    return { index, path: pathOf(index).map(hex) }
  }
}

export function retract(context: Context, book: SpaceBook, space: string, id: string): SpaceView {
  const state = book.find(space)
  const { rid } = context.key
  const dots = visibleIn(state, id)
    .dots.map(({ op }) => op)
    .filter((dot) => mayRetract(state, rid, dot, context.lease.epoch))
  if (dots.length === 0) throw notAllowed(context, state, 'retract this contribution')
  const fetched = context.storage.fetched.bytesOf(state.space)
  return spaceView(removeDots(context, book, state, dots), fetched)
}

export async function revoke(
  context: Context,
  book: SpaceBook,
  space: string,
  given: string,
  reason: string | undefined,
): Promise<SpaceView> {
  const state = book.find(space)
  const content = parseContentRoot(given)
  let fetched = context.storage.fetched.bytesOf(state.space)
  if (state.revoked.has(content)) return spaceView(state, fetched)
  if (!mayRevoke(state, context.key.rid, context.lease.epoch)) throw notAllowed(context, state, 'revoke content')
  const body = { t: 'revoke', content, ...(reason !== undefined && { reason }) } as const
  const dropped: BlobName[] = []
  const written = book.write(state, body, (next) => {
    dropped.push(...settle(context, state, next))
    fetched = context.storage.fetched.bytesOf(state.space)
  })
  await dropBlobs(context, dropped) // revoked content waits for no sweep
  return spaceView(written.state, fetched)
}
