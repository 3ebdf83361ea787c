/**
 * A hundred replicas in one process, each with a contribution of its own: `npm run build && node benchmarks/hundred-replicas.mjs`.
 * The sets meet in 20 random orders and across a partition into ten; what each replica then shows is folded and compared. Then
 * every op is judged at every replica, signatures and all. Exits with 1 where one replica shows anything else than another.
 */
import { createHash } from 'node:crypto'
import { authorOp, authorSpace, emptyHead } from '../dist/src/core/author.js'
import { makeContribution } from '../dist/src/core/contribution.js'
import { aclOf, encodeSigned, spaceIdOf } from '../dist/src/core/op.js'
import { fold } from '../dist/src/core/or-set.js'
import { keyPairFromSeed } from '../dist/src/core/signature.js'
import { judgeRecords } from './judge-all.mjs'

const REPLICAS = 100
const ORDERS = 20
const PARTS = 10

let state = 7
const luck = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return state / 2 ** 32
}
function shuffled(all) {
  const left = [...all]
  for (let i = left.length - 1; i > 0; i--) {
    const j = Math.floor(luck() * (i + 1))
    ;[left[i], left[j]] = [left[j], left[i]]
  }
  return left
}
const sha = (text) => createHash('sha256').update(text).digest()

const keys = Array.from({ length: REPLICAS }, (_, i) => keyPairFromSeed(sha(`replica ${i}`)))
const init = authorSpace(
  { key: keys[0], head: emptyHead(1), now: 1 },
  { name: 'tier-three', nonce: 'cd'.repeat(32), policy: { access: 'open', rules: 1 } },
)
const space = spaceIdOf(init)
const ops = keys.map((key, i) => {
  const contribution = makeContribution({
    name: `model-${i}`,
    content: sha(`content ${i}`).toString('hex'),
    model: sha(`model ${i}`).toString('hex'),
  })
  const authoring = { key, head: emptyHead(0), now: 1000 + i, space, acl: aclOf([init.id]) }
  return authorOp(authoring, { t: 'add', contribution, replaces: [] })
})

const ms = (act) => {
  const start = process.hrtime.bigint()
  const result = act()
  return [Number(process.hrtime.bigint() - start) / 1e6, result]
}
const shows = (known) => {
  const folded = fold(known.values())
  return `${folded.root} ${folded.opsRoot}`
}
/** Each replica's own op, and the first of the space. */
const alone = () =>
  ops.map(
    (op) =>
      new Map([
        [init.id, init],
        [op.id, op],
      ]),
  )
/** Everybody tells everybody, pair by pair in a random order, as in the paper's experiment. */
function tellAll(sets, members) {
  for (const [to, from] of shuffled(members.flatMap((a) => members.filter((b) => b !== a).map((b) => [a, b]))))
    for (const [id, op] of sets[from]) if (!sets[to].has(id)) sets[to].set(id, op)
}
const everyone = ops.map((_, i) => i)

const roots = new Set()
let [union, folding] = [Infinity, Infinity]
for (let order = 0; order < ORDERS; order++) {
  const sets = alone()
  const [unionMs] = ms(() => tellAll(sets, everyone))
  const [foldMs, all] = ms(() => sets.map(shows))
  for (const one of all) roots.add(one)
  if (unionMs + foldMs < union + folding) [union, folding] = [unionMs, foldMs]
}

const sets = alone()
const parts = Array.from({ length: PARTS }, (_, part) => everyone.filter((i) => i % PARTS === part))
for (const part of parts) tellAll(sets, part)
const apart = new Set(sets.map(shows))
tellAll(sets, everyone)
for (const set of sets) roots.add(shows(set))

const records = ops.map((op) => ({ record: encodeSigned(op) }))
const judgeEverywhere = (verify) =>
  ms(() => keys.reduce((sum) => sum + judgeRecords(shuffled(records), space, verify), 0))
const [judgedMs, admitted] = judgeEverywhere()
const [formMs] = judgeEverywhere(() => true)

const isSame = roots.size === 1 && apart.size === PARTS && admitted === REPLICAS * REPLICAS
console.log(
  JSON.stringify(
    {
      replicas: REPLICAS,
      orders: ORDERS,
      bit_identical: isSame,
      roots_while_apart: apart.size,
      union_ms: Math.round(union),
      fold_ms: Math.round(folding),
      union_and_fold_ms: Math.round(union + folding),
      every_op_judged_everywhere_ms: Math.round(judgedMs),
      share_of_signatures: Number((1 - formMs / judgedMs).toFixed(2)),
    },
    null,
    2,
  ),
)
if (!isSame) process.exitCode = 1
