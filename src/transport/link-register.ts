/** The links that a listener has accepted: how many there may be, in all, of strangers, and from one address. */
import { CLOSE, type Link, type LinkLimits } from './transport.ts'

export interface Accepted extends Link {
  readonly isWelcome: boolean
}

export class LinkRegister {
  readonly #limits: LinkLimits
  readonly #links = new Set<Accepted>()
  #handler: ((link: Link) => void) | undefined
  #isClosed = false

  constructor(limits: LinkLimits) {
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
    return near >= linksPerAddressMax ? [CLOSE.later, 'too many links from this address'] : undefined
  }
}
