/** Asking for merges and looking at them. What runs them is merge-queue.ts. */
import { TributaryError } from '../core/errors.ts'
import { type MergeId, type ModelId, parseMergeId } from '../core/ids.ts'
import { parseReceiptParts, type Receipt } from '../core/receipt.ts'
import type { SpaceState } from '../core/or-set.ts'
import type { MergeJob } from '../storage/job-repository.ts'
import { type Context, isoTime } from './context.ts'
import type { MergeQueue } from './merge-queue.ts'
import type { FileReading, MergeStarted, MergeView, Paged } from './operations.ts'
import { outputReading } from './outputs.ts'
import { needRoom } from './room.ts'
import { printRequest, type Selected, selectForMerge } from './selection.ts'
import type { SpaceBook } from './space-book.ts'
import { dropBlobs, forgetUnheld, letGo } from './sweep.ts'

export async function startMerge(
  context: Context,
  book: SpaceBook,
  queue: MergeQueue,
  space: string,
  document: unknown,
): Promise<MergeStarted> {
  const { storage, now } = context
  const state = book.find(space)
  const selection = selectForMerge(context, book, state, document)
  const { merge } = selection.resolved
  const bytesTotal = queue.check(selection)
  await needRoom(context, bytesTotal, 'the output')
  const job = {
    id: merge,
    space: state.space,
    root: state.root,
    request: printRequest(selection.request),
    bytesTotal,
    createdAtMs: now(),
  }
  const created = storage.transact(() => {
    const answer = storage.jobs.add(job)
    const isWaiting = answer === 'known' && selection.missing.length > 0
    if (isWaiting && storage.jobs.idsByState('blocked').includes(merge)) return false // for the same as before
    if (answer === 'known' && !storage.jobs.requeue(merge, now())) return false
    if (answer === 'joined') return false
    if (selection.missing.length > 0)
      storage.jobs.block(
        merge,
        JSON.stringify({ code: 'BYTES_MISSING', message: 'bytes are missing', missing: selection.missing }),
        now(),
      )
    else queue.hold(selection)
    return true
  })
  queue.wake()
  return { merge: withWarnings(findMergeIn(context, state, merge), selection), created }
}

const withWarnings = (view: MergeView, { resolved: { warnings, leftOut } }: Selected): MergeView => {
  const all = [...warnings, ...leftOut.map(({ ref, why }) => `${ref} was left out: ${why}`)]
  return all.length === 0 ? view : { ...view, warnings: all }
}

function viewOf({ storage }: Context, job: MergeJob): MergeView {
  const error =
    job.error === undefined
      ? undefined
      : (JSON.parse(job.error) as { code: string; message: string; hint?: string; missing?: string[] })
  const output = job.output && storage.models.find(job.output)
  const isMissing = (model: string) =>
    !storage.models.has(model as ModelId) && storage.models.findByContent(model).length === 0
  const isToldWhy = job.state === 'failed' || (job.state === 'blocked' && error?.hint !== undefined)
  return {
    id: job.id,
    state: job.state,
    root: job.root,
    bytes_done: job.state === 'done' ? job.bytesTotal : job.bytesDone,
    bytes_total: job.bytesTotal,
    ...(error &&
      isToldWhy && {
        error: { code: error.code, message: error.message, ...(error.hint !== undefined && { hint: error.hint }) },
      }),
    ...(error?.missing && job.state === 'blocked' && { missing: error.missing.filter(isMissing) }),
    ...(output && { model: output.id, content: output.content }),
    created_at: isoTime(job.createdAtMs),
  }
}

const mergeNotFound = (id: string, state: SpaceState) =>
  new TributaryError('MERGE_NOT_FOUND', `no merge ${id} in ${state.name}`, {
    details: { merge: id },
    hint: `start it with POST /v1/spaces/${state.name}/merges`,
  })

function jobIn({ storage }: Context, state: SpaceState, id: string): MergeJob {
  const job = storage.jobs.findInSpace(state.space, parseMergeId(id))
  if (job === undefined) throw mergeNotFound(id, state)
  return job
}

const findMergeIn = (context: Context, state: SpaceState, id: string): MergeView =>
  viewOf(context, jobIn(context, state, id))

export const findMerge = (context: Context, book: SpaceBook, space: string, id: string): MergeView =>
  findMergeIn(context, book.find(space), id)

const PAGE = 50
const PAGE_MAX = 500
const CURSOR = /^([0-9]{1,16})-([0-9a-f]{64})$/

export function listMerges(
  context: Context,
  book: SpaceBook,
  space: string,
  { limit = PAGE, cursor }: { readonly limit?: number; readonly cursor?: string } = {},
): Paged<MergeView> {
  const state = book.find(space)
  const place = cursor === undefined ? undefined : CURSOR.exec(cursor)
  if (place === null)
    throw new TributaryError('REQUEST_INVALID', 'this cursor was not made here', { hint: 'begin again without one' })
  const count = Math.min(Math.max(1, limit), PAGE_MAX)
  const after = place && { createdAtMs: Number(place[1]), id: place[2] as MergeId }
  const jobs = context.storage.jobs.listBySpace(state.space, { limit: count, ...(after && { after }) })
  const last = jobs.at(-1)
  return {
    items: jobs.map((job) => viewOf(context, job)),
    ...(jobs.length === count && last && { next_cursor: `${last.createdAtMs}-${last.id}` }),
  }
}

export async function cancelMerge(
  context: Context,
  book: SpaceBook,
  queue: MergeQueue,
  space: string,
  id: string,
): Promise<MergeView> {
  const { storage, now } = context
  const state = book.find(space)
  const job = jobIn(context, state, id)
  if (job.state === 'done') {
    const before = viewOf(context, job)
    const dropped = storage.transact(() => {
      storage.pins.release({ kind: 'output', id: job.id })
      storage.jobs.remove(job.id)
      return job.output === undefined ? [] : forgetUnheld(context, job.output)
    })
    await dropBlobs(context, dropped)
    return withoutOutput({ ...before, state: 'cancelled' })
  }
  const dropped = storage.transact(() => {
    storage.jobs.cancel(job.id, now())
    return letGo(context, job.id)
  })
  queue.stopRunning(job.id)
  await dropBlobs(context, dropped)
  return findMergeIn(context, state, id)
}

function withoutOutput(view: MergeView): MergeView {
  const { id, state, root, bytes_done, bytes_total, created_at } = view
  return { id, state, root, bytes_done, bytes_total, created_at }
}

export function findReceipt({ storage }: Context, book: SpaceBook, space: string, id: string): Receipt {
  const state = book.find(space)
  const stored = storage.receipts.find(parseMergeId(id))
  if (stored !== undefined) return parseReceiptParts(stored.statement, stored.about)
  const job = storage.jobs.findInSpace(state.space, parseMergeId(id))
  if (job === undefined) throw mergeNotFound(id, state)
  throw notDone(job)
}

const notDone = ({ id, state }: MergeJob) =>
  new TributaryError('MERGE_NOT_DONE', `the merge ${id} is ${state}`, {
    details: { state },
    hint:
      state === 'queued' || state === 'running'
        ? 'ask again when its state is done'
        : 'start it again with POST, or see its error',
  })

export async function readOutput(context: Context, book: SpaceBook, space: string, id: string): Promise<FileReading> {
  const job = jobIn(context, book.find(space), id)
  if (job.state !== 'done' || job.output === undefined) throw notDone(job)
  return outputReading(context, job.id, job.output)
}
