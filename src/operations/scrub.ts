/**
 * Reads every stored byte again, slowly, and holds it to its name: a pass each week, which a restart goes on with. What
 * rotted, or is gone, is taken out of use by name, and exchange fetches it again.
 */
import type { Clock } from '../core/clock.ts'
import { TributaryError } from '../core/errors.ts'
import type { BlobName } from '../storage/blob-store.ts'
import type { ModelSummary } from '../storage/model-repository.ts'
import type { Context } from './context.ts'
import { type Damage, takeOut } from './damage.ts'

const BYTES_PER_SECOND = 20 * 1024 * 1024
/** A small file costs a seek. */
const LEAST_BYTES = 64 * 1024
const PASS_EVERY_MS = 7 * 24 * 3600 * 1000
/** A restart reads so much twice at most. */
const SAVE_BYTES = 256 * 1024 * 1024
const MODELS_A_PAGE = 100
const SETTING = 'scrub'

/** Waits as long as reading so many bytes should take. */
export type Pace = (bytes: number) => Promise<void>

export interface Scrubber {
  /** Goes on with the pass that is under way, or begins one when a week is over. */
  scrub(about: { readonly pace: Pace; readonly signal: AbortSignal }): Promise<void>
  readonly bytes: number
  readonly rotten: number
}

interface Pass {
  readonly begunAtMs: number
  /** Everything up to here was read. */
  readonly after: string
  readonly isOver: boolean
}

/** The order in which the store lists them. */
const keyOf = ({ kind, digest }: BlobName) => `${kind === 'tensor' ? 0 : 1}/${digest}`

export function createScrubber(context: Context, onDamage: (damage: Damage) => void): Scrubber {
  const { storage, now, report } = context
  let bytesRead = 0
  let rotten = 0

  const load = (): Pass => {
    const text = storage.settings.find(SETTING)
    return text === undefined ? { begunAtMs: now(), after: '', isOver: true } : (JSON.parse(text) as Pass)
  }
  const save = (pass: Pass) => storage.settings.set(SETTING, JSON.stringify(pass))

  async function found(blob: BlobName, why: string): Promise<void> {
    const damage = await takeOut(context, blob)
    if (damage === undefined) return
    rotten += 1
    report('a stored blob is rotten', told(damage, why))
    onDamage(damage)
  }

  /** What can't be read may be readable again in a while; what was read wrong is read once more at once. */
  async function check(name: BlobName, pace: Pace): Promise<'fine' | 'unreadable'> {
    const read = async (bytes: number) => {
      bytesRead += bytes
      await pace(Math.max(bytes, LEAST_BYTES))
    }
    try {
      const isRotten = (await storage.blobs.verify(name, read)) === 'damaged'
      if (isRotten && (await storage.blobs.verify(name)) === 'damaged')
        await found(name, 'its bytes are not what its name says')
      return 'fine'
    } catch (error) {
      report('a stored blob can’t be read', error)
      return 'unreadable'
    }
  }

  /** Rows may outlive files only by a fault of the disk, or by somebody's hand. */
  async function findMissing(pace: Pace, signal: AbortSignal): Promise<void> {
    let after: ModelSummary | undefined
    do {
      const page = storage.models.list({ limit: MODELS_A_PAGE, ...(after !== undefined && { after }) })
      after = page.at(-1)
      for (const { id } of page)
        for (const blob of storage.models.blobs(id)) {
          if (signal.aborted) return
          if (await storage.blobs.has(blob)) continue
          await found(blob, 'it is gone from the disk')
        }
      await pace(LEAST_BYTES)
    } while (after !== undefined)
  }

  return {
    async scrub({ pace, signal }) {
      let pass = load()
      if (pass.isOver) {
        if (storage.settings.find(SETTING) === undefined) save(pass)
        if (now() - pass.begunAtMs < PASS_EVERY_MS) return
        save((pass = { begunAtMs: now(), after: '', isOver: false }))
      }
      const unreadable: BlobName[] = []
      let sinceSave = 0
      let isSoundSince = false
      for await (const { name, bytes } of storage.blobs.list()) {
        if (signal.aborted) return
        if (keyOf(name) <= pass.after) continue
        if ((await check(name, pace)) === 'unreadable') {
          unreadable.push(name)
          isSoundSince = false
        } else isSoundSince = true
        sinceSave += bytes
        if (sinceSave < SAVE_BYTES) continue
        sinceSave = 0
        save((pass = { ...pass, after: keyOf(name) }))
      }
      // a disk that reads nothing any more says nothing about single files
      for (const name of isSoundSince ? unreadable : [])
        if ((await check(name, pace)) === 'unreadable') await found(name, 'it can’t be read')
      await findMissing(pace, signal)
      if (!signal.aborted) save({ ...pass, isOver: true })
    },
    get bytes() {
      return bytesRead
    },
    get rotten() {
      return rotten
    },
  }
}

function told({ blob, models, merges }: Damage, why: string): TributaryError {
  const message = `the stored ${blob.kind} ${blob.digest} is rotten: ${why}; ${models.length} models wait until another replica gives it, or it is uploaded again`
  return new TributaryError('DIGEST_MISMATCH', message, {
    details: { kind: blob.kind, digest: blob.digest, models, merges },
    hint: 'look at the disk, as with smartctl, and audit what was merged since the last pass; outputs that went with it are made again when the merge is asked for',
  })
}

const FIRST_AFTER_MS = 60_000
const AGAIN_AFTER_MS = 3600_000

interface Scrubbing {
  readonly clock: Clock
  readonly scrub: Scrubber['scrub']
  readonly report: (what: string, error: unknown) => void
}

/** In the background of a running replica. Answers how to stop: when what is being read has been read. */
export function keepScrubbing({ clock, scrub, report }: Scrubbing): () => Promise<void> {
  const stop = new AbortController()
  let callOff = (): void => undefined
  let underWay: Promise<void> | undefined
  const pace: Pace = (bytes) =>
    new Promise((resolve) => {
      if (stop.signal.aborted) {
        resolve()
        return
      }
      const end = clock.after((bytes / BYTES_PER_SECOND) * 1000, () => {
        stop.signal.removeEventListener('abort', hurry)
        resolve()
      })
      const hurry = () => {
        end()
        resolve()
      }
      stop.signal.addEventListener('abort', hurry, { once: true })
    })
  const begin = () => {
    underWay = scrub({ pace, signal: stop.signal })
      .catch((error: unknown) => report('scrub', error))
      .finally(() => {
        if (!stop.signal.aborted) callOff = clock.after(AGAIN_AFTER_MS, begin)
      })
  }
  callOff = clock.after(FIRST_AFTER_MS, begin)
  return async () => {
    stop.abort()
    callOff()
    await underWay
  }
}
