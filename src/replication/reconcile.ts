/**
 * Range-based set reconciliation: two replicas find what one has and the other lacks by comparing fingerprints of ranges,
 * and splitting those that differ. Pure: a session says what to send, and which ids it found.
 */
import { equalBytes } from '../core/bytes.ts'
import type { OpId } from '../core/ids.ts'
import type { Bound, OrderedIds, TimedId } from './ordered-ids.ts'
import { decodeRanges, encodeRanges, MESSAGE_BYTES_MAX, type Range, rangeBytes } from './reconcile-message.ts'

export const ROUND_TRIPS_MAX = 8
/** Ranges of no more ids than this are listed. */
const LISTED_MAX = 32
/** Parts into which a range that differs is split. */
const PARTS = 16
/** What differs is most often new: the first message compares the newest ids in parts this small, older ones in larger. */
const NEWEST = 16

export interface ReconcileStep {
  /** To be sent to the other side. */
  readonly message: Uint8Array | undefined
  /** Ids here that the other side lacks: it is to be sent the ops. Each difference is found by one of the two sides. */
  readonly have: readonly OpId[]
  /** Ids of the other side that may lack here: to be asked for. */
  readonly need: readonly OpId[]
  /** Nothing more is to come from the other side. */
  readonly done: boolean
  /** Known once done: whether everything is compared. Else another session finds more. */
  readonly complete: boolean
}

/** One side of a session. The set may grow between two steps. */
export class ReconcileSession {
  #begun = false
  #answers = 0

  /** The first message, from the side that begins. */
  begin(set: OrderedIds): Uint8Array {
    this.#begun = true
    if (set.size === 0) return encodeRanges([{ kind: 'ids', ids: [], end: undefined }])
    const starts = [0]
    for (let newer = NEWEST; newer < set.size; newer *= 2) starts.splice(1, 0, set.size - newer)
    return encodeRanges(fingerprints(set, starts, set.size, undefined))
  }

  /** Throws FRAME_INVALID for what is no message. */
  answer(set: OrderedIds, message: Uint8Array): ReconcileStep {
    const theirs = decodeRanges(message)
    const { ranges, have, need } = compare(set, theirs)
    const complete = ranges.length === 0
    const isLast = ++this.#answers >= ROUND_TRIPS_MAX
    // who is told that all is settled has nothing to answer, and whoever began doesn't begin another round trip
    const isSilent = theirs.length === 0 || (isLast && this.#begun)
    return { message: isSilent ? undefined : encodeRanges(ranges), have, need, done: complete || isLast, complete }
  }
}

interface Comparison {
  readonly ranges: Range[]
  readonly have: OpId[]
  readonly need: OpId[]
}

function compare(set: OrderedIds, theirs: readonly Range[]): Comparison {
  const found: Comparison = { ranges: [], have: [], need: [] }
  const answer = new Answer(found.ranges)
  let from = 0
  for (const range of theirs) {
    const to = range.end === undefined ? set.size : set.countBelow(range.end)
    if (range.kind === 'ids') difference(set.ids(from, to), range.ids, found)
    const differs = range.kind === 'fingerprint' && !equalBytes(range.fingerprint, set.fingerprint(from, to))
    if (!differs) answer.settle(range.end)
    else if (!answer.add(split(set, from, to, range.end))) {
      // no room: all that is left is one range, to be compared in the next round trip
      answer.close(fingerprints(set, [from], set.size, undefined))
      break
    }
    from = to
  }
  return found
}

function difference(mine: readonly OpId[], theirs: readonly OpId[], { have, need }: Comparison): void {
  const [here, there] = [new Set(mine), new Set(theirs)]
  for (const id of mine) if (!there.has(id)) have.push(id)
  for (const id of theirs) if (!here.has(id)) need.push(id)
}

function split(set: OrderedIds, from: number, to: number, end: Bound | undefined): Range[] {
  if (to - from <= LISTED_MAX) return [{ kind: 'ids', ids: set.ids(from, to), end }]
  const starts = Array.from({ length: PARTS }, (_, part) => from + Math.floor(((to - from) * part) / PARTS))
  return fingerprints(set, starts, to, end)
}

/** A range from each start to the next, the last up to `end`, which comes before the id of rank `to`. */
const fingerprints = (set: OrderedIds, starts: readonly number[], to: number, end: Bound | undefined): Range[] =>
  starts.map((start, i) => {
    const next = starts[i + 1]
    return {
      kind: 'fingerprint',
      fingerprint: set.fingerprint(start, next ?? to),
      end: next === undefined ? end : boundBetween(set.at(next - 1), set.at(next)),
    }
  })

/** The shortest bound that tells the two apart. */
function boundBetween(below: TimedId, above: TimedId): Bound {
  if (below.ms < above.ms) return { ms: above.ms, prefix: '' }
  let digits = 2
  while (below.id.startsWith(above.id.slice(0, digits))) digits += 2
  return { ms: above.ms, prefix: above.id.slice(0, digits) }
}

/** Ranges for one message; what is settled is said only where something follows it. */
class Answer {
  readonly #ranges: Range[]
  #bytes = 128
  /** End of what is settled behind the last range; null where nothing is. */
  #settled: Bound | undefined | null = null

  constructor(ranges: Range[]) {
    this.#ranges = ranges
  }

  settle(end: Bound | undefined): void {
    this.#settled = end
  }

  /** False where there is no room for them. */
  add(ranges: readonly Range[]): boolean {
    const more = ranges.reduce((sum, range) => sum + rangeBytes(range), 64)
    if (this.#bytes + more > MESSAGE_BYTES_MAX) return false
    this.#bytes += more
    this.close(ranges)
    return true
  }

  close(ranges: readonly Range[]): void {
    if (this.#settled !== null) this.#ranges.push({ kind: 'settled', end: this.#settled })
    this.#settled = null
    this.#ranges.push(...ranges)
  }
}
