/**
 * The addresses that other replicas told of themselves, as far as they are kept: one record a replica, the latest, in
 * bounded number, and when each may be dialed next. Records that nobody answers to are forgotten.
 */
import { sha256Hex } from '../core/digest.ts'
import { fromHex } from '../core/bytes.ts'
import type { ReplicaId } from '../core/ids.ts'
import { holdsAt, type SignedAddress } from './address-record.ts'
import { RecentSet } from './recent-set.ts'

export const ADDRESSES_KEPT_MAX = 256
/** One peer can fill no more than this of it. */
export const ADDRESSES_OF_ONE_TELLER_MAX = 32
const FORGOTTEN_MAX = 1024
const FAILURES_MAX = 3
const FIRST_WAIT_MS = 60_000

export interface KeptAddress {
  readonly address: SignedAddress
  /** Who told it first; the owner itself, where it did. */
  readonly toldBy: ReplicaId
}

interface Entry extends KeptAddress {
  /** Has its owner ever been linked to since it is kept? */
  isProved: boolean
  failures: number
  notBefore: number
}

export type Learning = 'kept' | 'known' | 'expired' | 'full'

export class AddressBook {
  readonly #entries = new Map<ReplicaId, Entry>()
  /** By their last bytes, so that what was forgotten is not learned again from the next who has it. */
  readonly #forgotten = new RecentSet(FORGOTTEN_MAX)
  readonly #rankOf: (rid: ReplicaId) => string

  readonly #gone: (rid: ReplicaId) => void

  /** `salt` is random: nobody can make a key that is dialed first everywhere. `gone` hears of what is kept no longer. */
  constructor(salt: Uint8Array, gone: (rid: ReplicaId) => void) {
    this.#gone = gone
    this.#rankOf = (rid) => sha256Hex(salt, fromHex(rid))
  }

  get size(): number {
    return this.#entries.size
  }

  all(): readonly KeptAddress[] {
    return [...this.#entries.values()]
  }

  get(rid: ReplicaId): KeptAddress | undefined {
    return this.#entries.get(rid)
  }

  /** Would the record be news? Asked before its signature is verified, which costs more. */
  isNews({ rid, issuedMs, bytes }: SignedAddress): boolean {
    const known = this.#entries.get(rid)?.address
    return (known === undefined || issuedMs > known.issuedMs) && !this.#forgotten.has(nameOf(bytes))
  }

  /** A record that its owner signed. */
  learn(address: SignedAddress, toldBy: ReplicaId, wallMs: number): Learning {
    if (!holdsAt(address, wallMs)) return 'expired'
    if (!this.isNews(address)) return 'known'
    const known = this.#entries.get(address.rid)
    if (known !== undefined) {
      const teller = toldBy === address.rid ? toldBy : known.toldBy
      this.#entries.set(address.rid, { ...known, address, toldBy: teller, failures: 0 })
      return 'kept'
    }
    if (!this.#hasRoom(toldBy)) return 'full'
    this.#entries.set(address.rid, { address, toldBy, isProved: false, failures: 0, notBefore: 0 })
    return 'kept'
  }

  /** Its owner was linked to. */
  proved(rid: ReplicaId): void {
    const entry = this.#entries.get(rid)
    if (entry === undefined) return
    entry.isProved = true
    entry.failures = 0
    entry.notBefore = 0
  }

  /** The link to it ended: it is not dialed again at once. */
  rest(rid: ReplicaId, now: number): void {
    const entry = this.#entries.get(rid)
    if (entry !== undefined) entry.notBefore = now + FIRST_WAIT_MS
  }

  /** Nobody answered, or somebody else. */
  failed(rid: ReplicaId, now: number): void {
    const entry = this.#entries.get(rid)
    if (entry === undefined) return
    entry.failures++
    entry.notBefore = now + FIRST_WAIT_MS * 2 ** (entry.failures - 1)
    if (entry.failures < FAILURES_MAX) return
    this.#forgotten.add(nameOf(entry.address.bytes))
    this.#drop(rid)
  }

  /** Drops what holds no longer. */
  expire(wallMs: number): void {
    for (const { address } of this.all()) if (!holdsAt(address, wallMs)) this.#drop(address.rid)
  }

  /** Whom to dial next: one that was linked before, and never failed, before others. */
  next(now: number, isWanted: (rid: ReplicaId) => boolean): SignedAddress | undefined {
    const ready = [...this.#entries.values()].filter(
      ({ address, notBefore }) => notBefore <= now && isWanted(address.rid),
    )
    const order = (a: Entry, b: Entry) =>
      a.failures - b.failures ||
      Number(b.isProved) - Number(a.isProved) ||
      (this.#rankOf(a.address.rid) < this.#rankOf(b.address.rid) ? -1 : 1)
    return ready.sort(order)[0]?.address
  }

  /** Full, it lets go of one that failed; else of the newcomer: what is kept can't be pushed out by what is told. */
  #hasRoom(teller: ReplicaId): boolean {
    const told = this.all().filter(({ toldBy }) => toldBy === teller).length
    if (told >= ADDRESSES_OF_ONE_TELLER_MAX) return false
    if (this.#entries.size < ADDRESSES_KEPT_MAX) return true
    const failing = [...this.#entries.values()].find(({ failures, isProved }) => failures > 0 && !isProved)
    if (failing === undefined) return false
    this.#drop(failing.address.rid)
    return true
  }

  #drop(rid: ReplicaId): void {
    if (this.#entries.delete(rid)) this.#gone(rid)
  }
}

const nameOf = (bytes: Uint8Array): string => sha256Hex(bytes)
