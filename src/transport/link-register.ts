/** The links that a listener has accepted: how many there may be, in all, of strangers, and from one address. */
import type { Clock } from '../core/clock.ts'
import { CLOSE, type Link, type LinkLimits } from './transport.ts'

export interface Accepted extends Link {
  readonly isWelcome: boolean
}

const ADDRESSES_MAX = 4096

export class LinkRegister {
  readonly #limits: LinkLimits
  readonly #links = new Set<Accepted>()
  #handler: ((link: Link) => void) | undefined
  #isClosed = false
  readonly #clock: Clock
  /** What each address may still open, and as of when; the one longest unheard of goes first. */
  readonly #allowed = new Map<string, { readonly links: number; readonly at: number }>()

  constructor(clock: Clock, limits: LinkLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  get count(): number {
    return this.#links.size
  }

  onLink(handler: (link: Link) => void): void {
    this.#handler = handler
  }

  /** Hands the link on, or ends it with the reason why not. */
  enter(link: Accepted): void {
    const refusal = this.#refusal(link.remote)
    if (refusal !== undefined) {
      link.close(...refusal)
      return
    }
    this.#links.add(link)
    this.#handler?.(link)
  }

  leave(link: Accepted): void {
    this.#links.delete(link)
  }

  close(): void {
    this.#isClosed = true
    for (const link of [...this.#links]) link.close(CLOSE.goingAway, 'this replica is stopping')
  }

  #refusal(remote: string): readonly [code: number, why: string] | undefined {
    if (this.#isClosed || this.#handler === undefined) return [CLOSE.goingAway, 'no links are taken now']
    const links = [...this.#links]
    const { linksMax, strangersMax, linksPerAddressMax } = this.#limits
    if (links.length >= linksMax) return [CLOSE.later, 'too many links']
    if (links.filter(({ isWelcome }) => !isWelcome).length >= strangersMax) return [CLOSE.later, 'too many strangers']
    const near = links.filter((link) => link.remote === remote).length
    if (near >= linksPerAddressMax) return [CLOSE.later, 'too many links from this address']
    return this.#isInTime(remote) ? undefined : [CLOSE.later, 'links from this address come too fast']
  }

  /** A greeting costs two signatures: whoever is let go and comes back at once gets no more of them than this. */
  #isInTime(remote: string): boolean {
    const { newLinksBurst, newLinksPerSecond } = this.#limits
    const now = this.#clock.now()
    const { links, at } = this.#allowed.get(remote) ?? { links: newLinksBurst, at: now }
    const allowed = Math.min(newLinksBurst, links + ((now - at) / 1000) * newLinksPerSecond)
    this.#allowed.delete(remote)
    this.#allowed.set(remote, { links: Math.max(0, allowed - 1), at: now })
    const [oldest] = this.#allowed.keys()
    if (this.#allowed.size > ADDRESSES_MAX && oldest !== undefined) this.#allowed.delete(oldest)
    return allowed >= 1
  }
}
