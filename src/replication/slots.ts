/** Where an op lies in the Yjs document of its space: its author's chain is a Yjs client, its place there a clock. */
import type { OpId } from '../core/ids.ts'
import { encodeSigned, type SignedOp } from '../core/op.ts'
import { headerOf } from '../core/shelved-op.ts'

export interface Slot {
  /** `clientIdOf` the op's chain. */
  readonly client: number
  /** The op's seq. */
  readonly clock: number
}

export interface SlotRecord extends Slot {
  /** The key under which the document holds it. */
  readonly id: OpId
  /** Signature ‖ canonical bytes. */
  readonly record: Uint8Array
}

/** The slot of an op that is kept: its record is made when it is sent, and takes no room until then. */
export class OpSlot implements SlotRecord {
  readonly client: number
  readonly #op: SignedOp

  constructor(client: number, op: SignedOp) {
    this.client = client
    this.#op = op
  }

  get clock(): number {
    return headerOf(this.#op).seq
  }
  get id(): OpId {
    return this.#op.id
  }
  get record(): Uint8Array {
    return encodeSigned(this.#op)
  }
}
