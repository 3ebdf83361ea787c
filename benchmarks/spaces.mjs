/**
 * What a large space costs: `npm run build && node benchmarks/spaces.mjs [ops…]`. One write and one received batch beside a
 * fold of the whole space in the same run, interleaved, best of several; the same for what is written about members, in a
 * space of members, one of whom wrote 1,000 ops; then the start of a replica without a snapshot
 * and with one, each in a process of its own, part by part, until it answers the root of the space and can sync, and what
 * stays on the heap. Times are milliseconds on the CPU. Prints JSON; at 100,000 ops with what was promised.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryUsage } from 'node:process'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createCompactor } from '../dist/src/compactor.js'
import { hex } from '../dist/src/core/bytes.js'
import { makeContribution } from '../dist/src/core/contribution.js'
import { aclOf, evidenceOf, makeOp, spaceIdOf } from '../dist/src/core/op.js'
import { fold } from '../dist/src/core/or-set.js'
import { keyPairFromSeed } from '../dist/src/core/signature.js'
import { keptSpaces } from '../dist/src/operations/kept-spaces.js'
import { SpaceBook, storedOp } from '../dist/src/operations/space-book.js'
import { ReplicaCore } from '../dist/src/replication/replica-core.js'
import { openSqliteStorage } from '../dist/src/storage/sqlite/sqlite-storage.js'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')
const rounded = (value, digits = 1) => Number(value.toFixed(digits))
const key = keyPairFromSeed(new Uint8Array(32).fill(9))
const AUTHORS = 50

const keys = Array.from({ length: AUTHORS }, (_, i) => keyPairFromSeed(new Uint8Array(32).fill(i + 10)))
/** Under a signature that nobody looks at: what is stored was verified when it came. */
const signed = (op) => ({ ...op, signature: new Uint8Array(randomBytes(64)) })

/** Ops of many authors. */
function history(count) {
  const of = (t, i, body) => ({ v: 1, g: 0, rid: keys[i % AUTHORS].rid, ep: 0, t, hlc: 1_700_000_000_000 + i, ...body })
  const nonce = 'ab'.repeat(32)
  const init = makeOp(of('space.init', 0, { seq: 0, name: 'team', nonce, policy: { access: 'open', rules: 1 } }))
  const [sp, acl] = [spaceIdOf(init), aclOf([init.id])]
  const last = new Map([[0, init]])
  const ops = [init]
  for (let i = 1; i < count; i++) {
    const before = last.get(i % AUTHORS)
    const place = { sp, acl, seq: before ? before.record.seq + 1 : 0, ...(before && { prev: before.id }) }
    const [content, model] = [hex(randomBytes(32)), hex(randomBytes(32))]
    const isRemove = i % 10 === 9
    const body = isRemove
      ? { dots: [ops[i - 5].id] }
      : { contribution: makeContribution({ name: `tuned-${i}`, content, model }), replaces: [] }
    const op = makeOp(of(isRemove ? 'remove' : 'add', i, { ...place, ...body }))
    last.set(i % AUTHORS, op)
    ops.push(op)
  }
  return ops.map(signed)
}

const OPS_OF_ONE = 1000

/** A space of members, one of whom wrote 1,000 ops, and what may be written about that one. */
function membersHistory(count) {
  const [creator, one, newcomer] = [keys[0], keyPairFromSeed(new Uint8Array(32).fill(7)), key]
  const chains = new Map()
  let sp
  const write = ({ rid }, t, body, at = chains.get(rid)) => {
    const place = t === 'space.init' ? {} : { sp, acl: 'ab'.repeat(32), ...(at && { prev: at.id }) }
    const seq = at ? at.record.seq + 1 : 0
    const hlc = 1_700_000_000_000 + ops.length
    const op = signed(makeOp({ v: 1, g: 0, rid, ep: 0, t, hlc, seq, ...place, ...body }))
    chains.set(rid, op)
    return op
  }
  const anAdd = () => {
    const [content, model] = [hex(randomBytes(32)), hex(randomBytes(32))]
    const contribution = makeContribution({ name: `tuned-${ops.length}`, content, model })
    return { contribution, replaces: [] }
  }
  const ops = []
  const nonce = 'cd'.repeat(32)
  ops.push(write(creator, 'space.init', { name: 'team', nonce, policy: { access: 'members', rules: 1 } }))
  sp = spaceIdOf(ops[0])
  for (const { rid } of [...keys.slice(1), one]) ops.push(write(creator, 'member.add', { member: rid, role: 'writer' }))
  while (ops.length < count) {
    const i = ops.length
    const author = i % Math.ceil(count / OPS_OF_ONE) === 0 ? one : keys[i % AUTHORS]
    const last = chains.get(author.rid)
    const isRemove = i % 10 === 9 && last?.record.t === 'add'
    ops.push(isRemove ? write(author, 'remove', { dots: [last.id] }) : write(author, 'add', anAdd()))
  }
  const end = chains.get(creator.rid)
  const paper = (t, body) => write(creator, t, body, end)
  const revoked = ops.find(({ record }) => record.t === 'add' && record.rid === one.rid).record.contribution.content
  const first = ops.find(({ record }) => record.rid === one.rid)
  const pair = evidenceOf(first, write(one, 'add', anAdd(), null))
  return {
    ops,
    papers: {
      member_add: paper('member.add', { member: newcomer.rid, role: 'writer' }),
      admin_add: paper('member.add', { member: newcomer.rid, role: 'admin' }),
      member_remove: paper('member.remove', { member: one.rid, last_ep: 0, last_seq: -1 }),
      evidence: paper('evidence', { a: pair.a, b: pair.b }),
      revoke: paper('revoke', { content: revoked }),
    },
    next: write(keys[1], 'add', anAdd()),
  }
}

function memberChanges(count) {
  const { ops, papers, next } = membersHistory(count)
  const rows = { fold_ms: Infinity, write_ms: Infinity }
  const before = fold(ops)
  void [before.root, before.opsRoot, before.acl]
  for (let run = 0; run < 5; run++) {
    rows.fold_ms = Math.min(rows.fold_ms, timed(() => fold(ops)).ms)
    const time = (name, op) => {
      const { ms, result } = timed(() => before.with([op]))
      rows[name] = Math.min(rows[name] ?? Infinity, ms)
      return result
    }
    for (let again = 0; again < 5; again++) time('write_ms', next)
    for (const [name, op] of Object.entries(papers)) {
      const after = time(`${name}_ms`, op)
      if (run === 0 && after.opsRoot !== fold([...ops, op]).opsRoot) throw new Error(`${name} is not there`)
      if (run === 0 && after.root !== fold([...ops, op]).root) throw new Error(`${name} is not what its fold says`)
    }
  }
  const ratios = Object.keys(papers).map((name) => [`${name}_to_fold`, rounded(rows[`${name}_ms`] / rows.fold_ms, 5)])
  const times = Object.entries(rows).map(([name, ms]) => [name, rounded(ms, 2)])
  return Object.fromEntries([...times, ...ratios])
}

function timed(act) {
  const { user, system } = process.cpuUsage()
  const result = act()
  const used = process.cpuUsage({ user, system })
  return { result, ms: (used.user + used.system) / 1000 }
}

async function memory() {
  for (let i = 0; i < 4; i++) {
    gc()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, external, rss } = memoryUsage()
  return { heap: heapUsed / 2 ** 20, external: external / 2 ** 20, rss: rss / 2 ** 20 }
}

function changes(ops) {
  const more = ops.slice(-120)
  const kept = ops.slice(0, -120)
  let whole = Infinity
  let write = Infinity
  let batch = Infinity
  let roots = Infinity
  const before = fold(kept)
  void [before.root, before.opsRoot]
  for (let run = 0; run < 5; run++) {
    whole = Math.min(whole, timed(() => fold(ops)).ms)
    write = Math.min(write, timed(() => more.slice(0, 20).reduce((state, op) => state.with([op]), before)).ms / 20)
    const { ms, result } = timed(() => before.with(more.slice(0, 100)))
    batch = Math.min(batch, ms)
    roots = Math.min(roots, timed(() => [result.root, result.opsRoot]).ms)
  }
  return {
    fold_ms: rounded(whole),
    write_ms: rounded(write, 3),
    batch_of_100_ms: rounded(batch, 2),
    both_roots_ms: rounded(roots),
    write_to_fold: rounded(write / whole, 5),
  }
}

const contextOf = (storage) => ({ storage, key, lease: { epoch: 0 }, now: Date.now, report: console.error })

/** The last thousandth of the ops comes when the snapshot is made: a start reads a snapshot, and what is newer. */
async function seed(folder, count) {
  const ops = history(count)
  const space = spaceIdOf(ops[0])
  const storage = await openSqliteStorage(folder)
  const append = (some) => storage.transact(() => some.forEach((op) => storage.ops.append(storedOp(op))))
  const newer = Math.ceil(count / 1000)
  append(ops.slice(0, -newer))
  storage.spaces.add({ id: space, name: 'team', init: ops[0].id, adoptedAtMs: 1 })
  const without = startOf(folder, storage)
  const reopened = await openSqliteStorage(folder)
  const began = performance.now()
  const snapshot = await createCompactor(folder).compact(space)
  const made = { snapshot_mib: rounded(snapshot.length / 2 ** 20, 2), made_in_ms: rounded(performance.now() - began) }
  reopened.transact(() => ops.slice(-newer).forEach((op) => reopened.ops.append(storedOp(op))))
  reopened.snapshots.put(space, snapshot)
  return { without_snapshot: without, ...made, from_snapshot: startOf(folder, reopened) }
}

/** In a process of its own, as a start is. */
function startOf(folder, storage) {
  storage.close()
  const run = spawnSync(process.execPath, [fileURLToPath(import.meta.url), 'start', folder], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(run.stderr)
  return JSON.parse(run.stdout)
}

async function start(folder) {
  const before = await memory()
  const parts = {}
  const wall = performance.now()
  const storage = await openSqliteStorage(folder)
  const [{ id }] = storage.spaces.list()
  const context = contextOf(storage)
  const book = new SpaceBook({ ...context, limits: {} })
  const kept = keptSpaces(context, book)
  const core = new ReplicaCore({ identity: { key, rid: key.rid }, rootOf: (space) => kept.root(space) })
  const state = timed(() => book.state(id))
  parts.state_ms = rounded(state.ms)
  parts.core_ms = rounded(timed(() => core.adoptSpace(id, kept.ops(id))).ms)
  parts.roots_ms = rounded(timed(() => [kept.root(id), core.set(id).opsRoot]).ms)
  parts.cpu_ms = rounded(parts.state_ms + parts.core_ms + parts.roots_ms)
  parts.wall_ms = rounded(performance.now() - wall)
  const after = await memory()
  parts.heap_mib = rounded(after.heap - before.heap)
  parts.bytes_mib = rounded(after.external - before.external)
  if (book.state(id).opsRoot !== core.set(id).opsRoot) throw new Error('the roots differ')
  parts.root_after_change_ms = rounded(rootAfterChange(book.state(id)))
  for (const { record } of book.state(id).visible) if (record.name === undefined) throw new Error('a name')
  parts.heap_all_read_mib = rounded((await memory()).heap - before.heap)
  storage.close()
  return parts
}

/** Of the contributions and of the ops, once both were asked for; in the middle of several. */
function rootAfterChange(first) {
  let state = first
  const times = []
  for (let i = 0; i < 15; i++) {
    const content = hex(randomBytes(32))
    const record = {
      ...{
        v: 1,
        sp: state.space,
        g: 0,
        rid: key.rid,
        ep: 0,
        seq: i,
        hlc: 1_800_000_000_000 + i,
        t: 'add',
        acl: state.acl,
      },
      ...(i > 0 && { prev: state.head(key.rid).lastId }),
      contribution: makeContribution({ name: `more-${i}`, content, model: content }),
      replaces: [],
    }
    state = state.with([makeOp(record)])
    times.push(timed(() => [state.root, state.opsRoot]).ms)
  }
  return times.sort((a, b) => a - b)[7]
}

const TARGET = { cpu_ms: 2000, heap_mib: 150, root_after_change_ms: 100 }
const rowsOf = (row) =>
  Object.entries(TARGET).map(([what, target]) => ({ what, measured: row[what], target, met: row[what] <= target }))

if (process.argv[2] === 'start') console.log(JSON.stringify(await start(process.argv[3])))
else {
  const counts = process.argv.slice(2).map(Number)
  const rows = []
  for (const count of counts.length > 0 ? counts : [1_000, 10_000, 100_000]) {
    const folder = mkdtempSync(join(tmpdir(), 'spaces-'))
    try {
      const started = await seed(folder, count)
      const targets = count === 100_000 ? { targets: rowsOf(started.from_snapshot) } : {}
      rows.push({ ops: count, ...changes(history(count)), members: memberChanges(count), start: started, ...targets })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  console.log(JSON.stringify(rows, null, 2))
}
