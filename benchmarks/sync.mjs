/**
 * What a sync of a large space sends: `npm run build && node benchmarks/sync.mjs [ops]`. Two replica cores in one process,
 * frames counted from the open link on until both keep the same. Signatures are not looked at. Prints JSON.
 */
import { randomBytes } from 'node:crypto'
import { hex } from '../dist/src/core/bytes.js'
import { makeContribution } from '../dist/src/core/contribution.js'
import { aclOf, makeOp, spaceIdOf } from '../dist/src/core/op.js'
import { keyPairFromSeed, sign } from '../dist/src/core/signature.js'
import { ReplicaCore } from '../dist/src/replication/replica-core.js'

const AUTHORS = 200
const keys = Array.from({ length: AUTHORS }, (_, i) => keyPairFromSeed(new Uint8Array(32).fill(i)))

function history(count) {
  const of = (t, i, body) => ({ v: 1, g: 0, rid: keys[i % AUTHORS].rid, ep: 0, t, hlc: 1_700_000_000_000 + i, ...body })
  const policy = { access: 'open', rules: 1 }
  const ops = [makeOp(of('space.init', 0, { seq: 0, name: 'team', nonce: 'ab'.repeat(32), policy }))]
  const [sp, acl] = [spaceIdOf(ops[0]), aclOf([ops[0].id])]
  for (let i = 1; i < count; i++) {
    const before = ops[i - AUTHORS]
    const place = { sp, acl, seq: before ? before.record.seq + 1 : 0, ...(before && { prev: before.id }) }
    const [content, model] = [hex(randomBytes(32)), hex(randomBytes(32))]
    const contribution = makeContribution({ name: `tuned-${i}`, content, model })
    ops.push(makeOp(of('add', i, { ...place, contribution, replaces: [] })))
  }
  return ops.map((op) => ({ ...op, signature: new Uint8Array(randomBytes(64)) }))
}

/** Frames go in turns: all that one side has to say is a half of a round trip. */
function sync(space, one, two) {
  const cores = [one, two].map((ops, i) => {
    const key = keys[i]
    const identity = { rid: key.rid, sign: (proof) => sign('hello', proof, key), verify: () => true }
    const core = new ReplicaCore({ identity, verify: () => true })
    core.tick(1)
    core.adoptSpace(space, ops)
    return core
  })
  let queues = [[], []]
  const sent = { bytes: 0, frames: {}, turns: 0 }
  const act = (side, effects) => {
    for (const effect of effects) {
      if (effect.t === 'store') act(side, cores[side].stored(effect.space))
      if (effect.t === 'close') throw new Error(`closed: ${effect.why}`)
      if (effect.t !== 'send') continue
      queues[1 - side].push(effect.frame)
      if (effect.type.startsWith('hello')) continue
      sent.bytes += effect.frame.length
      sent.frames[effect.type] = (sent.frames[effect.type] ?? 0) + 1
    }
  }
  cores.forEach((core, i) => act(i, core.linkOpened({ link: 1, nonce: new Uint8Array(32).fill(i + 1), named: true })))
  while (queues.flat().length > 0) {
    const [first, second] = queues
    queues = [[], []]
    sent.turns += 1
    for (const frame of first) act(0, cores[0].frameArrived(1, frame))
    for (const frame of second) act(1, cores[1].frameArrived(1, frame))
  }
  const [a, b] = cores.map((core) => core.set(space).opsRoot)
  return { equal: a === b, ...sent }
}

const count = Number(process.argv[2] ?? 100_000)
const ops = history(count)
const space = spaceIdOf(ops[0])
const tail = ops.slice(-10)
const mixed = [ops.filter((op) => !tail.slice(0, 5).includes(op)), ops.filter((op) => !tail.slice(5).includes(op))]

/** The greeting takes two halves of a round trip: hello, and its proof. */
const rowOf = (what, { equal, bytes, turns, frames }, target) => {
  const roundTrips = (turns - 2) / 2
  const met = equal && bytes <= target.bytes && roundTrips <= (target.round_trips ?? Infinity)
  return { what, bytes, round_trips: roundTrips, frames, target, met }
}
console.log(
  JSON.stringify(
    {
      ops: count,
      authors: AUTHORS,
      rows: [
        rowOf('equal states', sync(space, ops, ops), { bytes: 1_000 }),
        rowOf('100 missing ops', sync(space, ops, ops.slice(0, -100)), { bytes: 60_000, round_trips: 2 }),
        rowOf('10 differences, with the ops themselves', sync(space, ...mixed), { bytes: 5_000 }),
      ],
    },
    null,
    2,
  ),
)
