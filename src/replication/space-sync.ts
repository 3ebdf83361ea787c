/**
 * One space with one peer, as a table of states and events. It says what to send and which ids are wanted; what arrives
 * is judged elsewhere. Equal roots are all that two equal replicas exchange. A lost frame costs time alone: roots are told
 * again and again, and where they differ ids decide.
 */
import type { OpId, SetRoot, SpaceId } from '../core/ids.ts'
import type { Metric } from './effects.ts'
import { type Fork, type Frame, FORKS_MAX, type FrameOf, type SpaceRoots } from './frames.ts'
import { idFrames, inChainOrder, opFrames, recordFrames, updateFrames } from './outbox.ts'
import { ReconcileSession, type ReconcileStep } from './reconcile.ts'
import type { Agreement } from './peer-view.ts'
import type { Settings } from './settings.ts'
import type { KeptOp, SpaceSet } from './space-set.ts'
import { decodeStateVector, type StateVector } from './state-vector.ts'

/** offered: nothing is said yet · telling: our root is out, and theirs awaited · live · reconciling: ids are being compared */
export type SyncState = 'offered' | 'telling' | 'live' | 'reconciling'

export type SyncEvent =
  | { readonly t: 'start' }
  | { readonly t: 'vector'; readonly frame: FrameOf<'state-vector'> }
  | { readonly t: 'need'; readonly frame: FrameOf<'need'> }
  | { readonly t: 'wanted'; readonly ids: readonly OpId[] }
  | { readonly t: 'reconcile'; readonly frame: FrameOf<'reconcile'> }
  | { readonly t: 'roots'; readonly theirs: Told }
  | { readonly t: 'tick' }

/** What one side says that it keeps. */
type Told = Pick<SpaceRoots, 'ops' | 'opsRoot'>

/** A vector of so few bytes costs less than the round trip more that comparing ids takes. */
const VECTOR_SMALL_BYTES = 512
const ID_BYTES = 32

export interface SyncContext {
  readonly set: SpaceSet
  readonly settings: Settings
  readonly now: () => number
  readonly rootOf: (space: SpaceId) => SetRoot
  readonly send: (frame: Frame) => void
  readonly report: (metric: Metric, count: number) => void
}

type Table = {
  readonly [S in SyncState]: {
    readonly [E in SyncEvent['t']]: (sync: SpaceSync, event: Extract<SyncEvent, { readonly t: E }>) => SyncState
  }
}

const stay =
  <S extends SyncState>(state: S) =>
  (): S =>
    state

const TABLE: Table = {
  offered: {
    start: (sync) => sync.tell(),
    vector: stay('offered'),
    need: stay('offered'),
    wanted: stay('offered'),
    reconcile: stay('offered'),
    roots: stay('offered'),
    tick: stay('offered'),
  },
  telling: {
    start: stay('telling'),
    vector: (sync, { frame }) => sync.answerVector(frame),
    need: (sync, { frame }) => sync.give(frame, 'telling'),
    wanted: (sync, { ids }) => sync.giveIds(ids, 'telling'),
    reconcile: (sync, { frame }) => sync.compareFor(frame, 'live'),
    roots: (sync, { theirs }) => sync.meet(theirs),
    tick: (sync) => (sync.isLate() ? sync.tell() : 'telling'),
  },
  live: {
    start: stay('live'),
    vector: (sync, { frame }) => sync.answerVector(frame),
    need: (sync, { frame }) => sync.give(frame, 'live'),
    wanted: (sync, { ids }) => sync.giveIds(ids, 'live'),
    reconcile: (sync, { frame }) => sync.compareFor(frame, 'live'),
    roots: (sync, { theirs }) => sync.compareRoots(theirs),
    tick: (sync) => sync.tellRoots('live'),
  },
  reconciling: {
    start: stay('reconciling'),
    vector: (sync, { frame }) => sync.answerVector(frame),
    need: (sync, { frame }) => sync.give(frame, 'reconciling'),
    wanted: (sync, { ids }) => sync.giveIds(ids, 'reconciling'),
    reconcile: (sync, { frame }) => (frame.answer ? sync.absorb(frame) : sync.compareFor(frame, 'reconciling')),
    roots: (sync, { theirs }) => sync.noteRoots(theirs, 'reconciling'),
    tick: (sync) => (sync.isLate() ? 'live' : sync.tellRoots('reconciling')),
  },
}

/** Parts of the protocol that a test leaves out, to show what each is good for. */
export interface SyncParts {
  readonly comparesIds: boolean
  readonly pushesForks: boolean
  /** Whether a push of forks takes the place of the exchange of ids. */
  readonly pushStarvesIds: boolean
}
export const ALL_PARTS: SyncParts = { comparesIds: true, pushesForks: true, pushStarvesIds: false }

export class SpaceSync {
  readonly #context: SyncContext
  readonly #parts: SyncParts
  #state: SyncState = 'offered'
  /** When what we wait for was asked. */
  #askedAt = 0
  /** Ours, and the one that the peer began last. */
  #session = { number: 0, side: new ReconcileSession() }
  #theirs = { number: -1, side: new ReconcileSession() }
  #told: Told | undefined
  #toldAt = 0
  /** When to tell the same root again: ever later, while nothing changes. */
  #tellAgainMs = 0
  #differsSince: number | undefined
  /** The root at which both last agreed. */
  #agreed: SetRoot | undefined
  /** Since when it is told, or known, that both keep something else. */
  #behindSince: number | undefined
  #isHeard = false

  constructor(context: SyncContext, parts: SyncParts = ALL_PARTS) {
    this.#context = context
    this.#parts = parts
  }

  get state(): SyncState {
    return this.#state
  }
  get isLive(): boolean {
    return this.#state === 'live' || this.#state === 'reconciling'
  }
  /** Has the peer said anything of this space? One that keeps it not, to which it is offered, says nothing. */
  get isHeard(): boolean {
    return this.#isHeard
  }
  /** Do both keep the same, when they last told, and for how long do they not? */
  get agreement(): Agreement {
    const { set, now } = this.#context
    const { space, opsRoot } = set
    if (this.#agreed === opsRoot) return { space, inSync: true, behindMs: 0 }
    return { space, inSync: false, behindMs: now() - (this.#behindSince ?? now()) }
  }

  on<E extends SyncEvent['t']>(event: Extract<SyncEvent, { readonly t: E }>): void {
    this.#isHeard ||= event.t !== 'start' && event.t !== 'tick'
    this.#state = TABLE[this.#state][event.t](this, event)
  }

  isLate(): boolean {
    return this.#context.now() - this.#askedAt >= this.#context.settings.answerTimeoutMs
  }

  tell(): SyncState {
    this.#askedAt = this.#context.now()
    this.#sendRoots()
    return 'telling'
  }

  /** Both know what both told: one side begins, unless they keep the same. */
  meet(theirs: Told): SyncState {
    this.noteRoots(theirs, 'live')
    if (this.#differsSince === undefined) return 'live'
    return this.#begins(theirs) ? this.#begin(theirs) : 'live'
  }

  /** Who keeps less; and who told the same and has changed since, which the other can't know. */
  #begins(theirs: Told): boolean {
    const { ops, opsRoot } = this.#told!
    if (ops !== theirs.ops) return ops < theirs.ops
    return opsRoot <= theirs.opsRoot
  }

  #begin(theirs: Told): SyncState {
    const { set } = this.#context
    const vector = set.vector().length
    const isVectorSmall = vector <= VECTOR_SMALL_BYTES || vector < Math.abs(theirs.ops - set.size) * ID_BYTES
    if (!isVectorSmall && this.#parts.comparesIds) return this.#compareIds()
    this.#sendVector(true)
    return 'live'
  }

  answerVector({ vector, forks, opsRoot, ask }: FrameOf<'state-vector'>): SyncState {
    const { set } = this.#context
    const theirs = decodeStateVector(vector)
    this.#send(updateFrames(set.space, set.after(theirs)))
    this.#pushForks(forks)
    if (ask && this.#lacksOf(theirs)) this.#sendVector(false)
    this.#differsSince = undefined
    const hasForks = forks.length > 0 || set.forks().length > 0
    if (!hasForks || opsRoot === set.opsRoot || this.#state === 'reconciling')
      return this.#state === 'telling' ? 'live' : this.#state
    return this.#compareIds()
  }

  #lacksOf(theirs: StateVector): boolean {
    const own = this.#context.set.clocks()
    return [...theirs].some(([client, clock]) => (own.get(client) ?? 0) < clock)
  }

  /** From a place of a chain on. */
  give({ rid, ep, from }: FrameOf<'need'>, state: SyncState): SyncState {
    const { set } = this.#context
    this.#send(recordFrames(set.space, set.from(rid, ep, from)))
    return state
  }

  giveIds(ids: readonly OpId[], state: SyncState): SyncState {
    const { set } = this.#context
    this.#send(opFrames(set, inChainOrder(ids.flatMap((id) => set.get(id) ?? []))))
    return state
  }

  /** The peer compares, and we answer. */
  compareFor({ session, answer, message }: FrameOf<'reconcile'>, state: SyncState): SyncState {
    if (answer) return state // to a session that is over
    if (this.#theirs.number !== session) this.#theirs = { number: session, side: new ReconcileSession() }
    const step = this.#theirs.side.answer(this.#context.set.timedIds, message)
    this.#take(step, session, true, state)
    return state
  }

  absorb({ session, message }: FrameOf<'reconcile'>): SyncState {
    if (session !== this.#session.number) return 'reconciling'
    this.#askedAt = this.#context.now()
    const step = this.#session.side.answer(this.#context.set.timedIds, message)
    this.#take(step, session, false, 'reconciling')
    return step.done ? 'live' : 'reconciling'
  }

  #take({ message, have, need }: ReconcileStep, session: number, answer: boolean, state: SyncState): void {
    const { set, send } = this.#context
    if (message !== undefined) send({ t: 'reconcile', space: set.space, session, answer, message })
    this.giveIds(have, state)
    const lacked = need.filter((id) => set.slotOf(id) === undefined)
    this.#send(idFrames(set.space, 'iwant', lacked))
  }

  compareRoots(theirs: Told): SyncState {
    this.noteRoots(theirs, 'live')
    if (this.#differsSince === undefined) return 'live'
    const { now, settings } = this.#context
    if (now() - this.#differsSince >= settings.differMs) return this.#compareIds()
    return 'live'
  }

  noteRoots({ opsRoot }: Told, state: SyncState): SyncState {
    const { set, now } = this.#context
    if (opsRoot === set.opsRoot) {
      this.#differsSince = undefined
      this.#agreed = opsRoot
      this.#behindSince = undefined
      return state
    }
    this.#differsSince ??= now()
    this.#behindSince ??= now()
    return state
  }

  tellRoots(state: SyncState): SyncState {
    const { set, now, settings } = this.#context
    if (now() - this.#toldAt < settings.rootsAfterChangeMs) return state
    if (set.opsRoot !== this.#told?.opsRoot || this.#differsSince !== undefined)
      this.#tellAgainMs = settings.rootsAfterChangeMs
    if (now() - this.#toldAt < this.#tellAgainMs) return state
    this.#tellAgainMs = Math.min(2 * this.#tellAgainMs, settings.rootsEveryMs)
    this.#sendRoots()
    return state
  }

  #sendRoots(): void {
    const { set, now, send } = this.#context
    this.#told = { ops: set.size, opsRoot: set.opsRoot }
    this.#toldAt = now()
    if (set.opsRoot !== this.#agreed) this.#behindSince ??= now()
    send({ t: 'roots', spaces: [{ space: set.space, ...this.#told }] })
  }

  #compareIds(): SyncState {
    if (!this.#parts.comparesIds || (this.#parts.pushStarvesIds && this.#pushForks([]))) return 'live'
    const { set, now, send, report } = this.#context
    const session = this.#session.number + 1
    this.#session = { number: session, side: new ReconcileSession() }
    this.#askedAt = now()
    this.#differsSince = undefined
    report('reconciliations', 1)
    const message = this.#session.side.begin(set.timedIds)
    send({ t: 'reconcile', space: set.space, session, answer: false, message })
    return 'reconciling'
  }

  /** Where the peer's fork is another than ours, both of ours. */
  #pushForks(theirs: readonly Fork[]): boolean {
    if (!this.#parts.pushesForks) return false
    const { set } = this.#context
    const known = new Set(theirs.map(forkKey))
    const pairs = set.forks().filter((fork) => !known.has(forkKey(fork)))
    const ops = pairs.flatMap(({ pair }) => pair.flatMap((id): KeptOp[] => [set.get(id) ?? []].flat()))
    this.#send(recordFrames(set.space, ops))
    return ops.length > 0
  }

  #sendVector(ask: boolean): void {
    const { set, rootOf, send } = this.#context
    const forks = set.forks().slice(0, FORKS_MAX)
    const { space, opsRoot } = set
    send({ t: 'state-vector', space, vector: set.vector(), forks, opsRoot, root: rootOf(space), ask })
  }

  #send(frames: Iterable<Frame>): void {
    for (const frame of frames) this.#context.send(frame)
  }
}

const forkKey = ({ rid, ep, seq, pair }: Fork): string => [rid, ep, seq, ...pair].join('/')
