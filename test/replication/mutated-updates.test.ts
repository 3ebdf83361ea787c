/**
 * Honest updates, mutated: the two readers never differ, and nothing passes the gate but what its author signed.
 * `node scripts/fuzz-gate.mjs` runs the same with millions.
 */
import { expect, test } from 'vitest'
import { hex } from '../../src/core/bytes.ts'
import { encodeSigned, type SignedOp } from '../../src/core/op.ts'
import { verify } from '../../src/core/signature.ts'
import { judgeUpdate } from '../support/judging.ts'
import { readUpdate } from '../../src/replication/read-update.ts'
import { createOpDocument, decodeWithYjs, encodeRecords } from '../../src/replication/yjs-codec.ts'
import { Gated, slotted } from '../support/gate.ts'
import { aSpace, aWriter } from '../support/ops.ts'
import { mutations, randomNumbers } from '../support/mutate-update.ts'

const runs = Number(process.env['TRIBUTARY_FUZZ_UPDATES'] ?? 20_000)
const seed = Number(process.env['TRIBUTARY_FUZZ_SEED'] ?? 1)

const space = aSpace()
const [one, two, three] = [aWriter(1), aWriter(2), aWriter(3)]
const chains: SignedOp[][] = [
  [space.init],
  [one.add(space, { name: 'a' }), one.add(space, { name: 'b' }), one.add(space, { name: 'c' })],
  [two.add(space, { name: 'd' }), two.revoke(space, 'a'), two.grant(space, three)],
  [
    three.write(space, { t: 'dormant' }),
    three.accuse(space, aWriter(5).add(space), aWriter(5).add(space, { name: 'f' })),
  ],
]
const signed = new Map(chains.flat().map((op) => [op.id, hex(encodeSigned(op))]))
/** Each update holds some of each chain, so that there are ops that are known, follow, or stand behind a gap. */
const corpus = [
  ...chains.flat().map((op) => [op]),
  chains[1]!,
  chains.flat(),
  [...chains[1]!.slice(1), ...chains[3]!],
  [...chains[2]!.slice(0, 2), ...chains[1]!.slice(0, 1)],
].map((ops) => encodeRecords(ops.map(slotted)))

/** Ed25519, but for the signatures that the corpus is known to hold. */
const honest = new Set(chains.flat().map((op) => op.id + hex(op.signature)))
const inOps = new Map(chains.flat().map((op) => [hex(op.bytes), op.id]))
const quick: typeof verify = (domain, bytes, rid, signature) => {
  const id = inOps.get(hex(bytes))
  return (id !== undefined && honest.has(id + hex(signature))) || verify(domain, bytes, rid, signature)
}

test(
  `[GAT-9] ${runs} mutated updates are read alike by both readers, and no op passes that its author did not sign`,
  { timeout: Math.max(60_000, runs * 10) },
  () => {
    const fresh = new Gated(space, quick)
    const half = new Gated(space, quick).hold(space.init, ...chains[1]!.slice(0, 2))
    const random = randomNumbers(seed)
    const seen = { refused: 0, clean: 0, admitted: 0, known: 0, gaps: 0 }
    for (let run = 0; run < runs; run++) {
      const update = mutations(corpus, random)
      const [ours, theirs] = [readUpdate(update), decodeWithYjs(update)]
      /** Compares by hand: a matcher for each of millions takes longer than the gate. */
      const hold = (holds: boolean, what: string): void => {
        if (!holds) expect.fail(`${what}: seed ${seed} run ${run}: ${hex(update)}`)
      }
      if (ours.refused !== undefined) {
        hold(theirs.refused !== undefined, 'only Yjs reads it')
        // Yjs finds out about spelling only at the end
        if (theirs.refused !== 'malformed' && ours.refused !== 'malformed')
          hold(ours.refused === theirs.refused, 'refused for two reasons')
      } else hold(theirs.refused === undefined && same(ours.records, theirs.records), 'read in two ways')

      const gate = run % 2 === 0 ? fresh : half
      const admission = judgeUpdate(update, gate.view)
      if (ours.refused !== undefined) hold(admission.refused.get(ours.refused) === 1, 'not refused as it was read')
      for (const { op, slot } of admission.admitted)
        hold(signed.get(op.id) === hex(slot.record) && hex(encodeSigned(op)) === hex(slot.record), 'nobody signed it')
      hold(admission.forks.length === 0, 'a fork that nobody made')
      if (admission.clean) {
        const document = createOpDocument(gate.document.encode())
        document.applyClean(update)
        for (const { slot } of admission.admitted) hold(document.nextClock(slot.client) > slot.clock, 'lost by Yjs')
      }
      seen.clean += Number(admission.clean)
      seen.refused += Number(ours.refused !== undefined)
      seen.admitted += admission.admitted.length
      seen.known += admission.known
      seen.gaps += admission.gaps.length
    }
    if (process.env['TRIBUTARY_FUZZ_UPDATES'] !== undefined) console.log(JSON.stringify({ runs, seed, ...seen }))
    // the mutations reach every way out
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(runs / 1000)
  },
)

type Records = NonNullable<ReturnType<typeof readUpdate>['records']>
const same = (a: Records, b: Records): boolean =>
  a.length === b.length &&
  a.every((record, i) => {
    const other = b[i]!
    return (
      record.client === other.client &&
      record.clock === other.clock &&
      record.id === other.id &&
      Buffer.compare(record.record, other.record) === 0
    )
  })
