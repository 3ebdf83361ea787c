/** Addresses that replicas told of themselves, put to work: kept over a restart, and dialed when the core asks for it. */
import type { ReplicaId } from '../core/ids.ts'
import type { AddressRepository } from '../storage/address-repository.ts'
import { mayBeDialed } from '../transport/judge-address.ts'
import type { Link } from '../transport/transport.ts'
import type { KeptAddress } from './address-book.ts'
import type { AddressOptions } from './address-exchange.ts'
import { readAddress } from './address-record.ts'
import { type JudgedAddress, LearnedDialer, type LearnedDialing } from './learned-dialer.ts'

export interface AddressParts extends Pick<LearnedDialing, 'resolve' | 'allowed'> {
  /** Where this replica wants to be dialed. */
  readonly urls: readonly string[]
  readonly stored: AddressRepository
}

interface LearnedParts extends Pick<LearnedDialing, 'dialer' | 'clock'> {
  readonly addresses: AddressParts
  readonly now: () => number
  readonly salt: Uint8Array
  /** Somebody took the link at an address that this replica signed. */
  readonly onLink: (link: Link, address: JudgedAddress, rid: ReplicaId) => void
  readonly onFailure: (rid: ReplicaId) => void
}

export class LearnedAddresses {
  readonly dialer: LearnedDialer
  readonly #parts: LearnedParts

  constructor(parts: LearnedParts) {
    this.#parts = parts
    const { dialer, clock, addresses } = parts
    this.dialer = new LearnedDialer({ dialer, clock, ...addresses })
  }

  get options(): AddressOptions {
    const { salt, addresses } = this.#parts
    return { urls: addresses.urls, admits: (url) => mayBeDialed(url, addresses.allowed), salt }
  }

  /** From before the start. */
  stored(): readonly KeptAddress[] {
    const all = this.#parts.addresses.stored.list()
    return all.map(({ record, toldBy }) => ({ address: readAddress(record), toldBy }))
  }

  keep(addresses: readonly KeptAddress[]): void {
    const learnedAtMs = this.#parts.now()
    const rows = addresses.map(({ address: { rid, bytes }, toldBy }) => ({ rid, record: bytes, toldBy, learnedAtMs }))
    this.#parts.addresses.stored.put(rows)
  }

  forget(rid: ReplicaId): void {
    this.#parts.addresses.stored.remove(rid)
  }

  async dial(rid: ReplicaId, urls: readonly string[]): Promise<void> {
    const { onLink, onFailure } = this.#parts
    const found = await this.dialer.dial(urls).catch(() => undefined)
    if (found === undefined) onFailure(rid)
    else onLink(found.link, found.address, rid)
  }
}
