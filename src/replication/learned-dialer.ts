/**
 * Dials addresses that others told: each name is looked up, what it stands for is judged, and that very address is
 * dialed. One where nobody, or somebody else, answered rests, whatever names and keys are told for it.
 */
import type { Clock } from '../core/clock.ts'
import { TributaryError } from '../core/errors.ts'
import { type Block, checkAddressForm, judgeAddress, parseIp } from '../transport/judge-address.ts'
import type { Address, Dialer, Link } from '../transport/transport.ts'

const FIRST_REST_MS = 60_000
const LONGEST_REST_MS = 3_600_000
const RESTING_MAX = 1024

export interface LearnedDialing {
  readonly dialer: Dialer
  readonly clock: Clock
  /** What a name stands for now. */
  readonly resolve: (host: string) => Promise<readonly string[]>
  /** Blocks that the operator opened. */
  readonly allowed: readonly Block[]
}

export type JudgedAddress = Address & { readonly pinned: string }

interface Rest {
  readonly until: number
  readonly ms: number
}

export class LearnedDialer {
  readonly #parts: LearnedDialing
  /** By the address that was dialed; the one longest there goes first. */
  readonly #resting = new Map<string, Rest>()
  readonly #stop = new AbortController()

  constructor(parts: LearnedDialing) {
    this.#parts = parts
  }

  /** The first of these that takes a link. */
  async dial(urls: readonly string[]): Promise<{ readonly link: Link; readonly address: JudgedAddress }> {
    let failure: unknown = new TributaryError('ADDRESS_REFUSED', 'no address was told')
    for (const url of urls) {
      if (this.#stop.signal.aborted) break
      try {
        const address = await this.#judged(url)
        return { link: await this.#dialOne(address), address }
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /** Nobody answered there who should: twice as long as the last time it is left alone. */
  rest({ pinned }: JudgedAddress): void {
    const { clock } = this.#parts
    const before = this.#resting.get(pinned)
    const ms = before === undefined ? FIRST_REST_MS : Math.min(LONGEST_REST_MS, before.ms * 2)
    this.#resting.delete(pinned)
    this.#resting.set(pinned, { until: clock.now() + ms, ms })
    const [oldest] = this.#resting.keys()
    if (this.#resting.size > RESTING_MAX && oldest !== undefined) this.#resting.delete(oldest)
  }

  /** The right one answered. */
  answered({ pinned }: JudgedAddress): void {
    this.#resting.delete(pinned)
  }

  stop(): void {
    this.#stop.abort()
  }

  async #judged(url: string): Promise<JudgedAddress> {
    const { resolve, allowed, clock } = this.#parts
    const { host } = checkAddressForm(url)
    const address = judgeAddress(url, parseIp(host) === undefined ? await resolve(host) : [], allowed)
    if ((this.#resting.get(address.pinned)?.until ?? 0) > clock.now())
      throw new TributaryError('NETWORK', `${address.pinned} did not answer lately`)
    return address
  }

  async #dialOne(address: JudgedAddress): Promise<Link> {
    try {
      return await this.#parts.dialer.dial(address, this.#stop.signal)
    } catch (error) {
      this.rest(address)
      throw error
    }
  }
}
