/**
 * What the gate, the document and reconciliation cost: `npm run build && node benchmarks/gate.mjs`. Judging is measured
 * beside bare Ed25519 verification in the same run, interleaved, in time on the CPU; best of several. Prints JSON.
 */
import { createPublicKey, randomBytes, verify } from 'node:crypto'
import { cpuUsage, memoryUsage } from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { authorOp, authorSpace, emptyHead, headAfter } from '../dist/src/core/author.js'
import { makeContribution } from '../dist/src/core/contribution.js'
import { concat, fromHex, hex } from '../dist/src/core/bytes.js'
import { domainPrefix } from '../dist/src/core/digest.js'
import { aclOf, clientIdOf, encodeSigned, spaceIdOf } from '../dist/src/core/op.js'
import { keyPairFromSeed } from '../dist/src/core/signature.js'
import { OrderedIds } from '../dist/src/replication/ordered-ids.js'
import { ReconcileSession } from '../dist/src/replication/reconcile.js'
import { UPDATE_LIMITS } from '../dist/src/replication/update-format.js'
import { packUpdate } from '../dist/src/replication/pack-update.js'
import { encodeInParts } from '../dist/src/replication/write-update.js'
import { compact, createOpDocument } from '../dist/src/replication/yjs-codec.js'
import { judgeUpdates } from './judge-all.mjs'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')
const rounded = (value, digits = 1) => Number(value.toFixed(digits))
async function memory() {
  for (let i = 0; i < 4; i++) {
    gc()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const { heapUsed, external } = memoryUsage()
  return { heap: heapUsed / 2 ** 20, external: external / 2 ** 20 }
}
const grown = (before, after) => ({
  heap_mib: rounded(after.heap - before.heap),
  bytes_mib: rounded(after.external - before.external),
})
/** Milliseconds on the CPU and on the clock. */
function timed(act) {
  const [from, start] = [cpuUsage(), process.hrtime.bigint()]
  const result = act()
  const { user, system } = cpuUsage(from)
  return { result, cpu: (user + system) / 1000, wall: Number(process.hrtime.bigint() - start) / 1e6 }
}

function signedOps(count, writers = 5) {
  const keys = Array.from({ length: writers }, (_, i) => keyPairFromSeed(new Uint8Array(32).fill(i + 1)))
  const init = authorSpace(
    { key: keys[0], head: emptyHead(0), now: 1 },
    { name: 'team', nonce: 'ab'.repeat(32), policy: { access: 'open', rules: 1 } },
  )
  const space = spaceIdOf(init)
  const heads = keys.map((_, i) => (i === 0 ? headAfter(init) : emptyHead(0)))
  const ops = [init]
  while (ops.length < count) {
    const i = ops.length % writers
    const [content, model] = [hex(randomBytes(32)), hex(randomBytes(32))]
    const contribution = makeContribution({ name: `tuned-${ops.length}`, content, model })
    const authoring = {
      key: keys[i],
      head: heads[i],
      now: 1_700_000_000_000 + ops.length,
      space,
      acl: aclOf([init.id]),
    }
    const op = authorOp(authoring, { t: 'add', contribution, replaces: [] })
    heads[i] = headAfter(op)
    ops.push(op)
  }
  const slots = ops.map((op) => {
    const { ep, g, rid, seq } = op.record
    return { client: clientIdOf({ ep, g, rid, sp: space }), clock: seq, id: op.id, record: encodeSigned(op) }
  })
  return { space, ops, slots }
}

function gate() {
  const { space, ops, slots } = signedOps(2000)
  const updates = encodeInParts(slots, UPDATE_LIMITS)
  const spki = fromHex('302a300506032b6570032100')
  const keys = new Map()
  for (const { record } of ops)
    keys.set(
      record.rid,
      createPublicKey({ key: Buffer.from(concat(spki, fromHex(record.rid))), format: 'der', type: 'spki' }),
    )
  const signed = ops.map(({ bytes, record, signature }) => [
    concat(domainPrefix('op'), bytes),
    keys.get(record.rid),
    signature,
  ])
  const best = { judged: Infinity, unsigned: Infinity, bare: Infinity }
  for (let run = 0; run < 7; run++) {
    const judged = timed(() => judgeUpdates(updates, space))
    if (judged.result !== ops.length) throw new Error('an honest op was not kept')
    const unsigned = timed(() => judgeUpdates(updates, space, () => true))
    const bare = timed(() => signed.every(([bytes, key, signature]) => verify(null, bytes, key, signature)))
    if (!bare.result) throw new Error('an honest signature does not verify')
    best.judged = Math.min(best.judged, judged.cpu)
    best.unsigned = Math.min(best.unsigned, unsigned.cpu)
    best.bare = Math.min(best.bare, bare.cpu)
  }
  const each = (ms) => rounded((ms * 1000) / ops.length)
  return {
    ops: ops.length,
    us_an_op: each(best.judged),
    us_an_op_without_signatures: each(best.unsigned),
    us_bare_ed25519: each(best.bare),
    ratio_to_bare_ed25519: rounded(best.judged / best.bare, 2),
    share_of_signatures: rounded(1 - best.unsigned / best.judged, 2),
    bytes_100_ops_packed: packUpdate(encodeInParts(slots.slice(0, 100), UPDATE_LIMITS)[0]).length,
    bytes_an_op: rounded(updates.reduce((sum, { length }) => sum + length, 0) / ops.length),
  }
}

/** The codec does not look into records. */
function madeUp(count, clients, bytes) {
  const next = new Map()
  return Array.from({ length: count }, (_, i) => {
    const client = 2 ** 52 + (i % clients) * 7919
    const clock = next.get(client) ?? 0
    next.set(client, clock + 1)
    return { client, clock, id: hex(randomBytes(32)), record: new Uint8Array(randomBytes(bytes)) }
  })
}

async function boot(count) {
  let slots = madeUp(count, 600, 610)
  const tail = slots.slice(-2000)
  const snapshot = compact(undefined, slots.slice(0, -2000))
  const compaction = timed(() => compact(snapshot, tail))
  const behind = createOpDocument(compact(undefined, slots.slice(0, -100))).stateVector()
  slots = undefined
  const before = await memory()
  const start = () => {
    const document = createOpDocument(snapshot)
    document.insert(tail)
    return document
  }
  const booted = [timed(start), timed(start), timed(start)].reduce((a, b) => (b.cpu < a.cpu ? b : a))
  const after = await memory()
  return {
    ops: count,
    snapshot_mib: rounded(snapshot.length / 2 ** 20),
    boot_ms: rounded(booted.wall),
    boot_cpu_ms: rounded(booted.cpu),
    ...grown(before, after),
    compact_ms: rounded(compaction.wall),
    compact_cpu_ms: rounded(compaction.cpu),
    state_vector_bytes: behind.length,
    missing_100_plain_bytes: booted.result.diff(behind).length,
  }
}

async function reconcile(count) {
  const items = Array.from({ length: count }, (_, i) => ({ ms: 1_700_000_000_000 + 100 * i, id: hex(randomBytes(32)) }))
  const before = await memory()
  const built = timed(() => new OrderedIds(items))
  const memoryGrown = grown(before, await memory())
  const set = built.result
  const begin = Array.from({ length: 9 }, () => timed(() => new ReconcileSession().begin(set)))
  const equal = begin.map(({ result }) => timed(() => new ReconcileSession().answer(set, result)))
  const least = (runs) => rounded(Math.min(...runs.map(({ wall }) => wall)), 3)
  return {
    ids: count,
    build_ms: rounded(built.wall),
    ...memoryGrown,
    begin_ms: least(begin),
    equal_check_ms: least(equal),
    bytes: begin[0].result.length + equal[0].result.message.length,
  }
}

console.log(
  JSON.stringify(
    { gate: gate(), boot: await boot(100_000), reconcile: [await reconcile(100_000), await reconcile(1_000_000)] },
    null,
    2,
  ),
)
