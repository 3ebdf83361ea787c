/** Where an op lies in the Yjs document of its space: its author's chain is a Yjs client, its place there a clock. */
import type { OpId } from '../core/ids.ts'

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
