/** Who writes evidence of a fork, and when. */
import { expect, test } from 'vitest'
import { sha256Hex } from '../../src/core/digest.ts'
import { utf8 } from '../../src/core/bytes.ts'
import type { ReplicaId } from '../../src/core/ids.ts'
import { evidenceOf } from '../../src/core/op.ts'
import type { Effect } from '../../src/replication/effects.ts'
import { EvidenceWatch } from '../../src/replication/evidence-watch.ts'
import { ReplicaCore } from '../../src/replication/replica-core.ts'
import { DEFAULT_SETTINGS } from '../../src/replication/settings.ts'
import { sign, verify } from '../../src/core/signature.ts'
import { asSent, aSpace, aWriter, keyOf } from '../support/ops.ts'
import { aReplica } from '../support/replica.ts'

const LAST_MS = 9 * DEFAULT_SETTINGS.evidenceSlotMs
const space = aSpace({ creator: aWriter(1) })
const forker = aWriter(5)
const [one, two] = [forker.add(space, { content: 'one' }), forker.inEpoch(0).add(space, { content: 'two' })]
const chain = { rid: forker.key.rid, ep: 0 }
const proof = aWriter(6).write(space, evidenceOf(one, two))
const ridOf = (n: number) => sha256Hex(utf8(`replica ${n}`)) as ReplicaId

const waitOf = (own: ReplicaId): number => {
  const watch = new EvidenceWatch(own, DEFAULT_SETTINGS)
  watch.forked(chain, 0)
  for (let now = 0; now <= LAST_MS; now += 10) if (watch.takeDue(now) !== undefined) return now
  return Infinity
}

test('[EVD-1] of a hundred replicas one writes first, and few more before it is heard', () => {
  for (const n of [1, 3, 100, 1000]) {
    const waits = Array.from({ length: n }, (_, i) => waitOf(ridOf(i))).sort((a, b) => a - b)
    expect(waits.at(-1)).toBeLessThanOrEqual(LAST_MS)
    const early = waits.filter((wait) => wait < waits[0]! + 500).length
    expect(early, `of ${n}`).toBeLessThanOrEqual(3)
  }
})

test('[EVD-1] none is written where one has come, however often the chain forks', () => {
  const watch = new EvidenceWatch(ridOf(1), DEFAULT_SETTINGS)
  watch.forked(chain, 0)
  watch.saw(proof)
  watch.forked(chain, 1)
  expect([watch.waiting, watch.takeDue(LAST_MS)]).toEqual([0, undefined])
  watch.forked({ ...chain, ep: 1 }, 0)
  expect(watch.takeDue(LAST_MS)).toMatchObject({ ep: 1 })
})

test('[EVD-1] nobody writes against itself', () => {
  const watch = new EvidenceWatch(chain.rid, DEFAULT_SETTINGS)
  watch.forked(chain, 0)
  expect(watch.waiting).toBe(0)
})

test('[EVD-1] it is asked for again until it is there, and anew where it fell out', () => {
  const watch = new EvidenceWatch(ridOf(1), DEFAULT_SETTINGS)
  watch.forked(chain, 0)
  const due = (now: number) => watch.takeDue(now)?.rid
  expect([due(LAST_MS), due(LAST_MS), due(LAST_MS + 30_000)]).toEqual([chain.rid, undefined, chain.rid])
  const second = aWriter(7).write(space, evidenceOf(one, two))
  watch.saw(proof)
  watch.saw(second)
  watch.fellOut(proof.id, LAST_MS)
  expect(watch.waiting).toBe(0)
  watch.fellOut(second.id, LAST_MS)
  expect(due(3 * LAST_MS)).toBe(chain.rid)
})

test('[EVD-1] a core that sees a fork asks for evidence with both ops in it, also after a restart, and once it is kept no more', () => {
  const key = keyOf(9)
  const core = new ReplicaCore({
    identity: {
      rid: key.rid,
      sign: (given) => sign('hello', given, key),
      verify: (given, rid, signature) => verify('hello', given, rid, signature),
    },
  })
  const accused = (effects: readonly Effect[]) =>
    effects.flatMap((effect) => (effect.t === 'accuse' ? [effect.pair.map(({ id }) => id)] : []))
  core.adoptSpace(space.id, [space.init, one, two])
  const asked: unknown[] = []
  for (let now = 0; now <= LAST_MS; now += 200) asked.push(...accused(core.tick(now)))
  expect(asked).toEqual([[one.id, two.id].sort()])
  core.opWritten(proof)
  for (let now = LAST_MS; now <= LAST_MS + 120_000; now += 200) expect(accused(core.tick(now))).toEqual([])
})

test('[EVD-2] evidence is written once, where this replica may write and the epoch would count', async () => {
  const replica = await aReplica({ seed: 3 })
  const { kept } = replica
  const later = [
    forker.inEpoch(2).add(space, { content: 'a' }),
    forker.inEpoch(2).add(space, { content: 'b' }),
  ] as const
  const given = [space.init, one, two, ...later].map((op) => asSent(op))
  kept.receive(space.id, { insert: given, remove: [] })
  const pair = [given[1]!, given[2]!] as const
  expect(kept.accuse(space.id, [given[3]!, given[4]!])).toBe(false) // void behind the earlier fork
  expect([kept.accuse(space.id, pair), kept.accuse(space.id, pair)]).toEqual([true, false])
  const written = kept.ops(space.id).filter(({ record }) => record.t === 'evidence')
  expect(written).toHaveLength(1)
  expect(written[0]!.record).toMatchObject({ rid: kept.rid, ...evidenceOf(...pair) })

  const closed = aSpace({ creator: aWriter(1), access: 'members', name: 'closed' })
  const guest = aWriter(8)
  const [x, y] = [guest.add(closed, { content: 'x' }), guest.inEpoch(0).add(closed, { content: 'y' })]
  const ops = [closed.init, x, y].map((op) => asSent(op))
  kept.receive(closed.id, { insert: ops, remove: [] })
  expect(kept.accuse(closed.id, [ops[1]!, ops[2]!])).toBe(false)
})
