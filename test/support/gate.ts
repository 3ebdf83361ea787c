/** The smallest replica that a gate can stand before: what it admitted, by chain, and the document that holds it. */
import type { OpId } from '../../src/core/ids.ts'
import { clientIdOf, encodeSigned, type SignedOp, spaceOf } from '../../src/core/op.ts'
import { Admission } from '../../src/replication/admission.ts'
import type { GateView } from '../../src/replication/gate.ts'
import { packUpdate } from '../../src/replication/pack-update.ts'
import { DEFAULT_SETTINGS } from '../../src/replication/settings.ts'
import type { Slot, SlotRecord } from '../../src/replication/slots.ts'
import { SpaceSet } from '../../src/replication/space-set.ts'
import { createOpDocument, type OpDocument } from '../../src/replication/yjs-codec.ts'
import { judgeUpdate, type Verdicts } from './judging.ts'
import type { ASpace } from './ops.ts'

export const slotOf = (op: SignedOp): Slot => {
  const { ep, g, rid, seq } = op.record
  return { client: clientIdOf({ ep, g, rid, sp: spaceOf(op) }), clock: seq }
}

/** An op as it lies in the document. */
export const slotted = (op: SignedOp): SlotRecord => ({ ...slotOf(op), id: op.id, record: encodeSigned(op) })

/** The way into a replica as it is shipped, with these ops durable: what an update or single ops do to it, and what is said of it. */
export function admitting(space: ASpace, held: readonly SignedOp[]) {
  const set = new SpaceSet(space.id)
  const said = new Map<string, number>()
  const admission = new Admission(set, {
    settings: DEFAULT_SETTINGS,
    now: () => 0,
    report: (metric, count) => void said.set(metric, (said.get(metric) ?? 0) + count),
    blame: () => undefined,
    needs: () => undefined,
    vouches: () => true,
    duplicate: () => undefined,
  })
  for (const op of held) {
    set.restore(op)
    admission.kept(op)
  }
  return (arrived: Uint8Array | readonly SignedOp[]) => {
    said.clear()
    if (arrived instanceof Uint8Array) admission.enqueue({ link: 1, kind: 'update', update: packUpdate(arrived) })
    else admission.enqueue({ link: 1, kind: 'records', records: arrived.map(encodeSigned) })
    admission.pump()
    return {
      said: [...said],
      stores: set.beginStoring()?.insert.map(({ op }) => op.id) ?? [],
      parked: admission.parked,
    }
  }
}

export class Gated {
  readonly document: OpDocument = createOpDocument()
  readonly ops = new Map<OpId, SignedOp>()
  readonly #chains = new Map<string, SignedOp[][]>()
  readonly view: GateView

  constructor(space: ASpace, verify?: GateView['verify']) {
    this.view = {
      space: space.id,
      generation: 0,
      initId: space.init.id,
      slotOf: (id) => {
        const op = this.ops.get(id)
        return op && slotOf(op)
      },
      chain: (rid, ep) => {
        const places = this.#chains.get(`${rid}/${ep}`)
        if (places === undefined) return undefined
        const fork = places.findIndex((ops) => ops.length > 1)
        return {
          nextSeq: places.length,
          lastId: places.at(-1)?.[0]?.id,
          forkedAt: fork < 0 ? Infinity : fork,
          at: (seq) => (places[seq] ?? []).map(({ id }) => id),
        }
      },
      ...(verify && { verify }),
    }
  }

  /** Without asking the gate. */
  hold(...ops: readonly SignedOp[]): this {
    for (const op of ops) this.keep(op)
    this.document.insert(ops.map(slotted))
    return this
  }

  /** Stored, and not in the document: one op of a fork. */
  keep(op: SignedOp): void {
    this.ops.set(op.id, op)
    const key = `${op.record.rid}/${op.record.ep}`
    const places = this.#chains.get(key) ?? []
    this.#chains.set(key, places)
    places[op.record.seq] = [...(places[op.record.seq] ?? []), op]
  }

  judge(update: Uint8Array): Verdicts {
    return judgeUpdate(update, this.view)
  }

  receive(update: Uint8Array): Verdicts {
    const admission = this.judge(update)
    for (const { op } of admission.admitted) this.keep(op)
    if (admission.clean) this.document.applyClean(update)
    else if (admission.admitted.length > 0) this.document.insert(admission.admitted.map(({ slot }) => slot))
    return admission
  }
}
