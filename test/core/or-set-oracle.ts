/**
 * The fold once more, slow and obvious: each rule as a sentence over all pairs of ops, nothing shared with src/core
 * but the ids of contributions. What two members take from each other is settled by unfounded sets, not by the
 * alternating fixpoint that the fold uses.
 */
import { createHash } from 'node:crypto'
import { contributionId } from '../../src/core/contribution.ts'
import type { Op } from '../../src/core/op.ts'

interface Flat {
  readonly id: string
  readonly rid: string
  readonly g: number
  readonly ep: number
  readonly seq: number
  readonly prev: string | undefined
  readonly t: string
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the oracle trusts what it is given
  readonly [field: string]: any
}

const flat = (op: Op): Flat => ({ prev: undefined, ...(op.record as object), id: op.id }) as never
const inside = (encoded: string): Flat =>
  JSON.parse(Buffer.from(encoded, 'base64url').subarray(64).toString('utf8')) as Flat
const sameChain = (a: Flat, b: Flat) => a.rid === b.rid && a.ep === b.ep && a.g === b.g

/** RFC 9162, by its own recursion. */
const treeHead = (leaves: readonly Buffer[]): Buffer => {
  const sha = (...parts: readonly Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
  if (leaves.length === 0) return sha()
  if (leaves.length === 1) return sha(Buffer.of(0), leaves[0]!)
  const k = 2 ** (Math.ceil(Math.log2(leaves.length)) - 1)
  return sha(Buffer.of(1), treeHead(leaves.slice(0, k)), treeHead(leaves.slice(k)))
}
export const slowRoot = (ids: Iterable<string>): string =>
  treeHead([...new Set(ids)].sort().map((id) => Buffer.from(id, 'hex'))).toString('hex')

export function oracle(given: Iterable<Op>) {
  const all = [...new Map([...given].map((op) => [op.id, op])).values()].map(flat)
  const ops = all.filter((o) => o.g === 0)
  const init = ops.find((o) => o.t === 'space.init')!
  const creator = init.rid
  const open = init['policy'].access === 'open'

  // chains and forks
  const isForkedAt = (o: Flat) =>
    ops.some((p) => p.id !== o.id && sameChain(p, o) && p.seq === o.seq) ||
    ops.some((e) => e.t === 'evidence' && sameChain(inside(e['a']), o) && inside(e['a']).seq === o.seq)
  const isVoid = (o: Flat) =>
    ops.some((p) => sameChain(p, o) && p.seq <= o.seq && isForkedAt(p)) ||
    ops.some((e) => e.t === 'evidence' && sameChain(inside(e['a']), o) && inside(e['a']).seq <= o.seq)
  const isRooted = (o: Flat): boolean =>
    o.seq === 0
      ? o.prev === undefined
      : ops.some((p) => p.id === o.prev && sameChain(p, o) && p.seq === o.seq - 1 && isRooted(p))
  const counting = ops.filter((o) => !isVoid(o) && isRooted(o))
  const forkedEpochs = (rid: string): number[] => [
    ...ops.filter((o) => o.rid === rid && isForkedAt(o)).map((o) => o.ep),
    ...ops.filter((o) => o.t === 'evidence' && inside(o['a']).rid === rid).map((o) => inside(o['a']).ep),
  ]

  // membership: a body holds if some way of the first kind avoids all of the second
  const isPaper = (o: Flat) =>
    o.t === 'amnesty' || (!open && (o.t === 'member.add' || o.t === 'member.remove') && o['member'] !== creator)
  const papers = counting.filter(isPaper)
  const start = (grant: Flat): number => grant['from_ep'] ?? 0
  const ends = (r: Flat, o: Flat): boolean => {
    const earlier = (r['earlier'] ?? []).find((pair: number[]) => pair[0] === o.ep)
    if (o.ep < r['last_ep']) return earlier !== undefined && o.seq > earlier[1]
    return o.ep > r['last_ep'] || o.seq > r['last_seq']
  }
  type Test = (paper: Flat) => boolean
  const grantsFor = (o: Flat, granted: Test, unremoved: Test) =>
    papers.filter(
      (a) =>
        a.t === 'member.add' &&
        a['member'] === o.rid &&
        start(a) <= o.ep &&
        granted(a) &&
        papers.every(
          (r) =>
            !(r.t === 'member.remove' && r['member'] === o.rid && ends(r, o) && r['last_ep'] >= start(a)) ||
            unremoved(r),
        ),
    )
  const isForgiven = (o: Flat, granted: Test) =>
    forkedEpochs(o.rid).every(
      (ep) =>
        ep >= o.ep ||
        papers.some(
          (p) => p.t === 'amnesty' && p['member'] === o.rid && ep < p['from_ep'] && p['from_ep'] <= o.ep && granted(p),
        ),
    )
  const roles = (o: Flat, granted: Test, unremoved: Test): string[] =>
    !isForgiven(o, granted)
      ? []
      : o.rid === creator
        ? ['admin']
        : open
          ? ['writer']
          : grantsFor(o, granted, unremoved).map((a) => a['role'] as string)

  const yes = new Set<Flat>()
  const no = new Set<Flat>()
  for (let before = -1; before !== yes.size + no.size;) {
    before = yes.size + no.size
    for (const p of papers)
      if (
        roles(
          p,
          (x) => yes.has(x),
          (x) => no.has(x),
        ).includes('admin')
      )
        yes.add(p)
    const unfounded = new Set(papers.filter((p) => !yes.has(p)))
    for (let size = -1; size !== unfounded.size;) {
      size = unfounded.size
      for (const p of unfounded)
        if (
          roles(
            p,
            (x) => !unfounded.has(x) && !no.has(x),
            (x) => !yes.has(x),
          ).includes('admin')
        )
          unfounded.delete(p)
    }
    for (const p of unfounded) no.add(p)
  }
  const isEffective = (p: Flat) => yes.has(p) || (p.t === 'member.remove' && papers.includes(p) && !no.has(p))
  const rolesOf = (o: Flat) => roles(o, isEffective, (r) => !isEffective(r))

  // content
  const canWrite = (o: Flat) => rolesOf(o).some((role) => role !== 'reader')
  const isAdmin = (o: Flat) => rolesOf(o).includes('admin')
  const adds = counting.filter((o) => o.t === 'add' && canWrite(o))
  const removes = counting.filter((o) => o.t === 'remove' && canWrite(o))
  const revokes = counting.filter((o) => o.t === 'revoke' && isAdmin(o))
  const mayTake = (by: Flat, add: Flat) => open || by.rid === add.rid || isAdmin(by)
  const isKilled = (add: Flat) =>
    removes.some((r) => r['dots'].includes(add.id) && mayTake(r, add)) ||
    adds.some(
      (n) => n['replaces'].includes(add.id) && n['contribution'].name === add['contribution'].name && mayTake(n, add),
    )
  const isRevoked = (add: Flat) => revokes.some((r) => r['content'] === add['contribution'].content)
  const live = adds.filter((add) => !isKilled(add) && !isRevoked(add))
  const idOf = (add: Flat): string => contributionId(add['contribution'])
  const visible = [...new Set(live.map(idOf))].sort().map((id) => {
    const mine = live.filter((add) => idOf(add) === id)
    const name: string = mine[0]!['contribution'].name
    return {
      id,
      dots: mine.map((add) => add.id).sort(),
      conflict: live.some((add) => add['contribution'].name === name && idOf(add) !== id),
    }
  })

  const effective = [...adds, ...removes, ...revokes, ...papers.filter(isEffective)].map(({ id }) => id)
  const future = (rid: string) => ({ rid, ep: Infinity, seq: Infinity }) as unknown as Flat
  const rids = [...new Set(papers.filter((p) => p.t === 'member.add').map((p) => p['member'] as string))].sort()
  return {
    visible,
    root: slowRoot(visible.map(({ id }) => id)),
    opsRoot: slowRoot(all.map(({ id }) => id)),
    revoked: [...new Set(revokes.map((r) => r['content'] as string))].sort(),
    ignored: all
      .filter(({ id, t }) => t !== 'space.init' && t !== 'evidence' && !effective.includes(id))
      .map(({ id }) => id)
      .sort(),
    members: [
      [creator, 'admin'],
      ...rids.flatMap((rid) => {
        const mine = grantsFor(future(rid), isEffective, (r) => !isEffective(r)).map((a) => a['role'] as string)
        const role = ['admin', 'writer', 'reader'].find((name) => mine.includes(name))
        return role === undefined || open ? [] : [[rid, role]]
      }),
    ],
  }
}
