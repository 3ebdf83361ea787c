/** The epoch under which this replica writes. It only rises, and a risen one is durable before anything is written under it. */
import type { ReplicaId } from '../core/ids.ts'
import type { LeaseRepository } from '../storage/lease-repository.ts'

/** An epoch that others speak of is followed no further than this at once: numbers must not run out. */
const EPOCHS_AHEAD_MAX = 1024

export class Lease {
  readonly #leases: LeaseRepository
  readonly #rid: ReplicaId
  #epoch: number

  constructor(leases: LeaseRepository, rid: ReplicaId, nonce: string) {
    this.#leases = leases
    this.#rid = rid
    this.#epoch = leases.boot(rid, nonce)
  }

  get epoch(): number {
    return this.#epoch
  }

  raise(above: number): void {
    this.#epoch = this.#leases.raise(this.#rid, Math.min(above, this.#epoch + EPOCHS_AHEAD_MAX))
  }
}
