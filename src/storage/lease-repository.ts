/**
 * Port: which epoch this replica may write under. After anything but a clean stop the last ops might be lost here and
 * known to others, so going on with the same numbers could equivocate: a new epoch begins instead.
 */
import type { ReplicaId } from '../core/ids.ts'

export interface LeaseRepository {
  /**
   * Takes the lease and answers the epoch, durably before it returns; never inside `transact`. 0 at first; one more than
   * before unless the last stop was clean and the database still lies where it lay (a copy must not go on as the
   * original). `nonce` names this boot in the record.
   */
  boot(rid: ReplicaId, nonce: string): number
  /** Somebody knows of this epoch what this replica does not: durably on to a later one, unless it is there already. */
  raise(rid: ReplicaId, above: number): number
  /** The last thing before `close`: every op is durable and no more will be written. */
  markClean(rid: ReplicaId): void
}
