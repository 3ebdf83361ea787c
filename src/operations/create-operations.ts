/** The operations of one replica, over its storage, its merger and its key. No HTTP, no drivers. */
import { fromHex } from '../core/bytes.ts'
import { isTributaryError } from '../core/errors.ts'
import type { SpaceState } from '../core/or-set.ts'
import { Exchange, type ExchangeParts } from './blobs/exchange.ts'
import { keepingLeaves, LeafCache } from './blobs/leaf-cache.ts'
import { giveTicket } from './blobs/give-ticket.ts'
import { readBlob, readBlobFor, readLeaves } from './blobs/read-blob.ts'
import { createTickets } from './blobs/tickets.ts'
import { Traffic } from './blobs/traffic.ts'
import type { KeptSpaces } from '../replication/kept-spaces.ts'
import type { ReadBlob } from '../replication/link-giving.ts'
import type { Context } from './context.ts'
import { contribute, findContribution, listContributions, proveContribution, retract, revoke } from './contributions.ts'
import { EventFeed, toldJobs } from './events/event-feed.ts'
import { watchEvents } from './events/watch-events.ts'
import { forkedEpochsOf } from './members/membership.ts'
import { addMember } from './members/add-member.ts'
import { giveAmnesty } from './members/give-amnesty.ts'
import { listMembers } from './members/list-members.ts'
import { removeMember } from './members/remove-member.ts'
import { MergeQueue } from './merge-queue.ts'
import { keptSpaces } from './kept-spaces.ts'
import { cancelMerge, findMerge, findReceipt, listMerges, readOutput, startMerge } from './merges.ts'
import { findModel, readModelFile, uploadModel } from './models.ts'
import type { Figures, Operations, Readiness } from './operations.ts'
import { SpaceBook } from './space-book.ts'
import { createSpace, spaceView } from './spaces.ts'
import { strategyNamed, strategyView } from './strategies.ts'
import { createScrubber, type Scrubber } from './scrub.ts'
import { damagedModels } from './damage.ts'
import { sweep, type Swept } from './sweep.ts'
import { findUpload, finishUpload, startUpload, writeUpload } from './uploads.ts'

export interface RunningOperations extends Operations {
  readonly kept: KeptSpaces
  /** Leave to take the blobs of a space; undefined for a key that may not. */
  readonly ticketFor: (space: string, key: string) => string | undefined
  /** For whoever is at the other end of a link, by what the space shows. */
  readonly readBlobFor: ReadBlob
  /** Bytes that merges lack are fetched from there, from now on. */
  fetchFrom(parts: ExchangeParts): void
  /** There may be one more replica to fetch from. */
  sourcesChanged(): void
  /** The link to this address or key came or went. */
  peerChanged(who: string): void
  /** Takes up merges that a stop interrupted. */
  start(): void
  sweep(): Promise<Swept>
  readonly scrub: Scrubber['scrub']
  /** Resolves when no merge is queued or running. */
  idle(): Promise<void>
  /** Ends the running merge; it begins again at the next start. */
  stop(): Promise<void>
}

export function createOperations(given: Context): RunningOperations {
  const feed = new EventFeed()
  const leaves = new LeafCache(given.storage.blobs)
  const jobs = toldJobs(given.storage.jobs, feed)
  const context = { ...given, storage: { ...given.storage, jobs, blobs: keepingLeaves(given.storage.blobs, leaves) } }
  const { storage, strategies, key, lease, version, limits } = context
  const book = new SpaceBook(context, (id) => feed.tell({ kind: 'space', id }))
  const queue = new MergeQueue(context, book)
  const tickets = createTickets(fromHex(context.randomHex(32)))
  const exchange = new Exchange(context, book, queue, feed)
  const scrubber = createScrubber(context, ({ readers }) => {
    for (const merge of readers) queue.stopRunning(merge)
    exchange.damageFound()
  })
  const traffic = new Traffic()
  const desk = { context, book, tickets, leaves }

  const viewOf = (state: SpaceState) => spaceView(state, storage.fetched.bytesOf(state.space))

  async function figures(): Promise<Figures> {
    const states = book.all()
    const fetched = storage.fetched.spaces().map(({ bytes }) => bytes)
    return {
      spaces: states.length,
      ops: storage.ops.count(),
      contributions: states.reduce((sum, { visible }) => sum + visible.length, 0),
      models: storage.models.count(),
      receipts: storage.receipts.count(),
      unfinished_uploads: storage.uploads.countUnfinished(),
      merges: storage.jobs.countByState(),
      merged_bytes: storage.jobs.listByState('done').reduce((sum, { bytesTotal }) => sum + bytesTotal, 0),
      blob_bytes_given: traffic.given,
      blob_bytes_received: traffic.received,
      forked_keys: new Set(
        states.flatMap(({ chains }) =>
          [...chains].flatMap(([rid, { forkedEpochs }]) => (forkedEpochs.length > 0 ? [rid] : [])),
        ),
      ).size,
      own_forked_epochs: states.reduce((sum, state) => sum + forkedEpochsOf(state, key.rid).length, 0),
      fetched_bytes: fetched.reduce((sum, bytes) => sum + bytes, 0),
      fetched_bytes_of_largest_space: fetched[0] ?? 0,
      damaged_models: damagedModels(context).length,
      rotten_blobs: scrubber.rotten,
      scrubbed_bytes: scrubber.bytes,
      fetch_quota_bytes: limits.fetchedBytesMax,
      free_bytes: await storage.blobs.freeBytes(),
    }
  }

  /** Fixed words: anyone may ask, so nothing of a failure is told beyond that it is one. */
  async function readiness(): Promise<Readiness> {
    const checks = { database: 'ok', disk: 'ok', bytes: 'ok' }
    try {
      storage.settings.set('checked', String(context.now()))
      if (damagedModels(context).length > 0) checks.bytes = 'some rotted, and are fetched again'
    } catch (error) {
      checks.database = 'not writable'
      context.report('readiness', error)
    }
    try {
      if ((await storage.blobs.freeBytes()) < limits.freeBytesMin) checks.disk = 'nearly full'
    } catch (error) {
      checks.disk = 'not readable'
      context.report('readiness', error)
    }
    return { ready: checks.database === 'ok' && checks.disk === 'ok', checks }
  }

  return {
    createSpace: async (space) => createSpace(context, book, space),
    listSpaces: () => book.all().map(viewOf),
    findSpace: (space) => viewOf(book.find(space)),

    uploadModel: (body, about) => uploadModel(context, body, about),
    findModel: (model) => findModel(context, model),
    readModelFile: (model, path) => readModelFile(context, model, path),

    startUpload: (files) => startUpload(context, files),
    findUpload: (upload) => findUpload(context, upload),
    writeUpload: (upload, path, offset, body) => writeUpload(context, upload, path, offset, body),
    finishUpload: (upload) => finishUpload(context, upload),

    contribute: async (space, offer) => contribute(context, book, space, offer),
    listContributions: (space) => listContributions(context, book, space),
    findContribution: (space, id) => findContribution(context, book, space, id),
    proveContribution: (space, id) => proveContribution(book, space, id),
    retract: async (space, id) => retract(context, book, space, id),
    revoke: (space, content, reason) => revoke(context, book, space, content, reason),

    listMembers: (space) => listMembers(book, space),
    addMember: async (space, member) => addMember(context, book, space, member),
    removeMember: async (space, key, reason) => removeMember(context, book, space, key, reason),
    giveAmnesty: async (space, amnesty) => giveAmnesty(context, book, space, amnesty),

    startMerge: (space, recipe) => startMerge(context, book, queue, space, recipe),
    listMerges: (space, page) => listMerges(context, book, space, page),
    findMerge: (space, merge) => findMerge(context, book, space, merge),
    cancelMerge: (space, merge) => cancelMerge(context, book, queue, space, merge),
    readOutput: (space, merge) => readOutput(context, book, space, merge),
    findReceipt: (space, merge) => findReceipt(context, book, space, merge),

    readBlob: async (kind, digest, ticket) => traffic.giving(await readBlob(desk, kind, digest, ticket)),
    readLeaves: async (root, ticket) => traffic.giving(await readLeaves(desk, root, ticket)),
    giveTicket: (space, rid) => giveTicket(desk, space, rid),

    watchEvents: (wake) => watchEvents(context, book, feed, wake),

    listStrategies: () => strategies.map(strategyView),
    findStrategy: (id) => strategyNamed(strategies, id),

    figures,
    readiness,
    identity: () => ({ replica: key.rid, epoch: lease.epoch, version }),

    kept: keptSpaces(context, book),
    peerChanged(who) {
      feed.tell({ kind: 'peer', id: who })
      exchange.sourcesChanged()
    },
    ticketFor(space, rid) {
      try {
        return giveTicket(desk, space, rid)
      } catch (error) {
        if (isTributaryError(error)) return undefined // who may not is given none
        throw error
      }
    },
    readBlobFor: async ({ kind, digest }, leave) => traffic.giving(await readBlobFor(desk, kind, digest, leave)),
    fetchFrom: (parts) =>
      exchange.start({
        ...parts,
        sourcesFor: (space) => parts.sourcesFor(space).map((source) => traffic.from(source)),
      }),
    sourcesChanged: () => exchange.sourcesChanged(),
    start: () => queue.recover(),
    sweep: () => sweep(context, book),
    scrub: (about) => scrubber.scrub(about),
    idle: () => queue.idle(),
    async stop() {
      await exchange.stop()
      await queue.stop()
      await book.stop()
    },
  }
}
