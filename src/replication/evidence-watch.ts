/**
 * Of forks that are seen and not yet proved by an op: when this replica is to write the proof. Each waits a time of its own,
 * short for few and long for most, so that the first proof is everywhere before the others begin to write.
 */
import { fromHex, utf8 } from '../core/bytes.ts'
import { sha256 } from '../core/digest.ts'
import { entry } from '../core/forks.ts'
import type { OpId, ReplicaId } from '../core/ids.ts'
import { accusedBy, type Op } from '../core/op.ts'
import { headerOf } from '../core/shelved-op.ts'
import type { Settings } from './settings.ts'

/** Half of all replicas wait in the last slot, a quarter in the one before: of 2⁸, one or two in the first. */
const SLOTS = 9
const AGAIN_MS = 30_000

interface AForkedChain {
  readonly rid: ReplicaId
  readonly ep: number
}

export class EvidenceWatch {
  readonly #own: ReplicaId
  readonly #settings: Settings
  readonly #due = new Map<string, AForkedChain & { readonly at: number }>()
  /** Chains that ops prove to be forked, and by which. */
  readonly #proved = new Map<string, Set<OpId>>()
  readonly #proofs = new Map<OpId, AForkedChain>()

  constructor(own: ReplicaId, settings: Settings) {
    this.#own = own
    this.#settings = settings
  }

  get waiting(): number {
    return this.#due.size
  }

  /** An op that is kept. An evidence of a chain that may be forked again is one all the same. */
  saw(op: Op): void {
    if (headerOf(op).t !== 'evidence') return
    const { id, record } = op
    if (record.t !== 'evidence') return
    const { rid, ep } = accusedBy(record).record
    const key = keyOf({ rid, ep })
    this.#proofs.set(id, { rid, ep })
    entry(this.#proved, key, () => new Set()).add(id)
    this.#due.delete(key)
  }

  /** It fell out behind a fork of its own author: the proof, where it was the only one, is to be written anew. */
  fellOut(id: OpId, now: number): void {
    const chain = this.#proofs.get(id)
    if (chain === undefined) return
    this.#proofs.delete(id)
    const proofs = this.#proved.get(keyOf(chain))
    proofs?.delete(id)
    if (proofs?.size !== 0) return
    this.#proved.delete(keyOf(chain))
    this.forked(chain, now)
  }

  /** Nobody writes evidence against itself: who restored a backup asks others for an amnesty. */
  forked({ rid, ep }: AForkedChain, now: number): void {
    const key = keyOf({ rid, ep })
    if (rid === this.#own || this.#proved.has(key) || this.#due.has(key)) return
    this.#due.set(key, { rid, ep, at: now + this.#waitFor(key) })
  }

  /** One that is to be proved now; it comes again where no proof does. */
  takeDue(now: number): AForkedChain | undefined {
    for (const [key, chain] of this.#due) {
      if (chain.at > now) continue
      this.#due.delete(key)
      this.#due.set(key, { ...chain, at: now + AGAIN_MS })
      return chain
    }
    return undefined
  }

  /** Drawn from who we are and what is accused: the same on every run, and nobody chooses it. */
  #waitFor(key: string): number {
    const { evidenceSlotMs } = this.#settings
    const drawn = new DataView(sha256(fromHex(this.#own), utf8(key)).buffer)
    const slot = SLOTS - 1 - Math.min(Math.clz32(drawn.getUint32(0)), SLOTS - 1)
    return slot * evidenceSlotMs + (drawn.getUint32(4) % evidenceSlotMs)
  }
}

const keyOf = ({ rid, ep }: AForkedChain): string => `${rid}/${ep}`
