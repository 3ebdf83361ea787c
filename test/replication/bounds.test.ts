/** The page that lists every bound says what the code does. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { UPLOADS_AT_ONCE_MAX } from '../../src/api/seats.ts'
import { LIMITS } from '../../src/operations/context.ts'
import { WAITING_MAX } from '../../src/operations/events/event-feed.ts'
import { ADDRESSES_KEPT_MAX, ADDRESSES_OF_ONE_TELLER_MAX } from '../../src/replication/address-book.ts'
import { STRANGERS_MAX } from '../../src/replication/admission.ts'
import { WANTS_MAX } from '../../src/replication/blob-frames.ts'
import { ASKED_BYTES_MAX, ASKED_MAX } from '../../src/replication/link-asking.ts'
import { WAITING_BYTES_MAX } from '../../src/replication/link-giving.ts'
import { PARKED_A_CHAIN_MAX, PARKED_MAX } from '../../src/replication/parking.ts'
import {
  afterMisdeed,
  afterUsefulOps,
  CLOSE_BELOW,
  EARNED_MAX,
  LAZY_BELOW,
  type Misdeed,
  newScore,
  scoreAt,
} from '../../src/replication/peer-score.ts'
import { DEFAULT_SETTINGS } from '../../src/replication/settings.ts'
import { LINK_LIMITS } from '../../src/transport/transport.ts'

const page = readFileSync(new URL('../../docs/replication.md', import.meta.url), 'utf8')
const MIB = 1024 * 1024
const n = (value: number) => value.toLocaleString('en-US')
/** The bound of a queue, as the table has it. */
const boundOf = (queue: string) => {
  const row = page.split('\n').find((line) => line.startsWith(`| ${queue}`))
  expect(row, queue).toBeDefined()
  return row!.split('|')[2]!.trim()
}
const s = DEFAULT_SETTINGS
const l = LINK_LIMITS

test.each([
  [
    'bytes that wait to be sent',
    `told to pause at ${l.pauseBytes / MIB} MiB; ${l.waitingBytesMax / MIB} MiB, or ${l.pausedMsMax / 1000} s of pause`,
  ],
  [
    'frames that come all the same',
    `${s.framesPerSecond} frames and ${s.bytesPerSecond / MIB} MiB a second; a burst of ${s.burstSeconds} s, of ${s.strangerBurstSeconds} s where the operator did not name the peer`,
  ],
  [
    'frames that nothing waits for',
    `${s.strayPerSecond} a second beyond ${s.strayBurst}, each ${s.strayBytes / 1024} KiB of one counting as one more`,
  ],
  ['frames of a space that wait', `${s.waitingFrames}, ${s.waitingBytes / MIB} MiB`],
  ['ops parked for', `${PARKED_A_CHAIN_MAX} a chain, ${n(PARKED_MAX)} a space, ${s.parkedMs / 1000} s`],
  ['ops parked because', `${STRANGERS_MAX} a space`],
  ['ids to tell', `${n(s.lazyIds)} a link and space`],
  ['ids that were told', `${n(s.awaitedIds)} a space`],
  ['bytes asked for', `${ASKED_BYTES_MAX / MIB} MiB in ${ASKED_MAX} pieces`],
  ['bytes given', `${WAITING_BYTES_MAX / 1024} KiB waiting, ${WANTS_MAX} wants`],
  ['addresses that were told', `${ADDRESSES_KEPT_MAX}, of one teller ${ADDRESSES_OF_ONE_TELLER_MAX}`],
  [
    'strangers',
    `${l.strangersMax} links, ${l.strangerFramesMax} frames, ${l.strangerBytesMax / 1024} KiB, ${l.strangerMsMax / 1000} s`,
  ],
  ['links', `${l.linksMax}, of one address ${l.linksPerAddressMax}; ${l.newLinksBurst} new at once, then one a second`],
  ['what a watcher', `${n(WAITING_MAX)} things; 32 watchers`],
  [
    'bytes of models kept',
    `${LIMITS.fetchedBytesMax / 1024 ** 3} GiB (\`--fetch-quota\`); ${LIMITS.fetchFreeBytesMin / 1024 ** 3} GiB of the disk stays free`,
  ],
  ['uploads by REST', `${UPLOADS_AT_ONCE_MAX} bodies at once, 64 unfinished`],
])('[GOS-3] docs/replication.md tells the bound of: %s', (queue, bound) => {
  expect(boundOf(queue)).toBe(bound)
})

test.each<[string, Misdeed]>([
  ['bytes that are not', 'lied'],
  ['a forged signature', 'forged'],
  ['a frame, update', 'malformed'],
  ['an op that the gate', 'refused'],
  ['ops that it has', 'withheld'],
  ['a frame beyond', 'floods'],
])('[SYN-9] docs/replication.md tells what %s costs', (words, misdeed) => {
  expect(-scoreAt(afterMisdeed(newScore(0), misdeed, 0), 0)).toBe(Number(boundOf(words)))
})

test('[SYN-9] docs/replication.md tells what a peer can earn, and where it is slowed and let go', () => {
  expect(scoreAt(afterUsefulOps(newScore(0), 1e9), 0)).toBe(EARNED_MAX)
  expect(page).toContain(`below −${-LAZY_BELOW} a peer is told ids`)
  expect(page).toContain(`below −${-CLOSE_BELOW} its link is closed`)
  expect(page).toContain(`can earn is ${EARNED_MAX}, and`)
})
