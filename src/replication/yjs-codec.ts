/**
 * The only door to Yjs: a document of admitted ops for one space and generation. It holds nothing else, never deletes,
 * and never keeps anything pending, so what stock Yjs would make of it is what we make of it.
 */
import * as Y from 'yjs'
import { equalBytes } from '../core/bytes.ts'
import { TributaryError } from '../core/errors.ts'
import { isHex64, type OpId } from '../core/ids.ts'
import { invariant } from '../core/invariant.ts'
import type { SlotRecord } from './slots.ts'
import { decodeStateVector, encodeStateVector } from './state-vector.ts'
import { ROOT, type StructureRefusal, UPDATE_LIMITS, type UpdateLimits, type UpdateReading } from './update-format.ts'
import { encodeRecords } from './write-update.ts'

export { decodeStateVector, encodeRecords, encodeStateVector }

/** One space and generation. A chain that forked must not be put in: two ops can't lie in one slot. */
export interface OpDocument {
  /** Each op must follow what is there (else CHAIN_BROKEN). Answers the update that was applied, for passing on. */
  insert(records: readonly SlotRecord[]): Uint8Array
  /** An update of which every op has just been admitted (`Admission.clean`), as it came. */
  applyClean(update: Uint8Array): void
  stateVector(): Uint8Array
  /** What a peer with this vector lacks. A malformed vector is FRAME_INVALID. */
  diff(stateVector: Uint8Array): Uint8Array
  /** All of it. */
  encode(): Uint8Array
  nextClock(client: number): number
  /** The same without these clients: chains that forked travel as raw records. */
  without(clients: ReadonlySet<number>): OpDocument
}

/** A snapshot is our own, of ops that were admitted: nothing in it is judged again. */
export const createOpDocument = (snapshot?: Uint8Array): OpDocument => new YjsOpDocument(snapshot)

class YjsOpDocument implements OpDocument {
  // Yjs draws both by lot, where they are not given; 0 is no client's id
  readonly #doc = Object.assign(new Y.Doc({ gc: false, guid: ROOT }), { clientID: 0 })

  constructor(snapshot?: Uint8Array) {
    this.#doc.getMap(ROOT)
    if (snapshot !== undefined) this.applyClean(snapshot)
  }

  insert(records: readonly SlotRecord[]): Uint8Array {
    const next = new Map<number, number>()
    for (const { client, clock, id } of [...records].sort((a, b) => a.clock - b.clock)) {
      const expected = next.get(client) ?? this.nextClock(client)
      if (clock !== expected)
        throw new TributaryError(
          'CHAIN_BROKEN',
          `the op ${id} has clock ${clock}, where its chain goes on at ${expected}`,
          {
            details: { id, clock, expected },
          },
        )
      next.set(client, clock + 1)
    }
    const update = encodeRecords(records)
    this.applyClean(update)
    return update
  }

  applyClean(update: Uint8Array): void {
    Y.applyUpdate(this.#doc, update)
    const { pendingStructs, pendingDs } = this.#doc.store
    invariant(pendingStructs === null && pendingDs === null, 'an update of admitted ops leaves nothing pending')
  }

  stateVector(): Uint8Array {
    return Y.encodeStateVector(this.#doc)
  }

  diff(stateVector: Uint8Array): Uint8Array {
    return this.#after(decodeStateVector(stateVector))
  }

  encode(): Uint8Array {
    return this.#after(new Map())
  }

  nextClock(client: number): number {
    return Y.getState(this.#doc.store, client)
  }

  without(clients: ReadonlySet<number>): OpDocument {
    return new YjsOpDocument(this.#after(new Map([...clients].map((client) => [client, this.nextClock(client)]))))
  }

  #after(vector: ReadonlyMap<number, number>): Uint8Array {
    return Y.encodeStateAsUpdate(this.#doc, encodeStateVector(vector))
  }
}

/** The snapshot with these ops behind it, made by loading and encoding: merging updates unloaded takes Yjs far longer. */
export function compact(snapshot: Uint8Array | undefined, tail: readonly SlotRecord[]): Uint8Array {
  const document = createOpDocument(snapshot)
  document.insert(tail)
  return document.encode()
}

/** What Yjs itself reads in an update, held to the same form: the second opinion on read-update.ts. */
export function decodeWithYjs(update: Uint8Array, limits: UpdateLimits = UPDATE_LIMITS): UpdateReading {
  if (update.length > limits.bytes) return { refused: 'too-large' }
  let decoded: ReturnType<typeof Y.decodeUpdate>
  try {
    decoded = Y.decodeUpdate(update)
  } catch {
    return { refused: 'malformed' }
  }
  if (decoded.structs.length > limits.records) return { refused: 'too-large' }
  const records: SlotRecord[] = []
  for (const struct of decoded.structs) {
    const read = recordOf(struct, limits)
    if (typeof read === 'string') return { refused: read }
    records.push(read)
  }
  if (decoded.ds.clients.size > 0) return { refused: 'delete-set' }
  // a client twice, numbers spelled longer, bytes behind the end: Yjs reads over all of it
  return isOurSpelling(update, records) ? { records } : { refused: 'malformed' }
}

function recordOf(struct: Y.Item | Y.GC | Y.Skip, limits: UpdateLimits): SlotRecord | StructureRefusal {
  if (!(struct instanceof Y.Item)) return 'struct'
  const { content, parentSub, id: slot } = struct
  const parent: unknown = struct.parent
  if (struct.origin !== null || struct.rightOrigin !== null) return 'origin'
  if (!(content instanceof Y.ContentBinary)) return 'content'
  if (parent !== ROOT) return 'parent'
  if (parentSub === null || !isHex64(parentSub)) return 'key'
  if (content.content.length > limits.recordBytes) return 'too-large'
  return { client: slot.client, clock: slot.clock, id: parentSub as OpId, record: content.content }
}

function isOurSpelling(update: Uint8Array, records: readonly SlotRecord[]): boolean {
  const slots = new Set(records.map(({ client, clock }) => `${client}/${clock}`))
  const contiguous = records.every(
    ({ client, clock }, i) => i === 0 || records[i - 1]!.client !== client || records[i - 1]!.clock === clock - 1,
  )
  if (slots.size < records.length || !contiguous) return false
  if (records.some(({ client, clock }) => !Number.isSafeInteger(client) || !Number.isSafeInteger(clock + 1)))
    return false
  const clients = records.filter(({ client }, i) => i === 0 || records[i - 1]!.client !== client)
  if (clients.some(({ client }, i) => i > 0 && clients[i - 1]!.client < client)) return false
  return equalBytes(update, encodeRecords(records))
}
