/**
 * Who may do what when membership ops come and go. Papers about keys that have written none themselves bear on no other
 * paper, and so only their own keys are judged anew; otherwise all papers are, and still no other op is looked at.
 */
import type { Chains } from './forks.ts'
import type { GrownChains } from './grow-chains.ts'
import type { OpId, ReplicaId } from './ids.ts'
import { LayeredMap } from './layered-map.ts'
import {
  type Authority,
  authorityOf,
  inOrder,
  isEffectiveIn,
  memberOf,
  nothing,
  type Paper,
  type Papers,
  papersAmong,
  put,
  type Setting,
  type Settled,
  settle,
  standing,
} from './membership.ts'

export interface GrownAuthority {
  readonly authority: Authority
  /** Keys whose standing may be another than before, at any place. */
  readonly touched: ReadonlySet<ReplicaId>
  /** Papers that were judged before, and otherwise than now. */
  readonly turned: readonly Paper[]
}

interface Change {
  readonly came: readonly Paper[]
  readonly went: readonly Paper[]
  readonly reforked: ReadonlySet<ReplicaId>
}

export function growAuthority(
  before: Authority,
  { chains, entered, left, reforked }: Pick<GrownChains, 'chains' | 'entered' | 'left' | 'reforked'>,
): GrownAuthority {
  const { settled } = before
  const went = left.flatMap(({ id }) => settled.setting.papers.get(id) ?? [])
  const change = { came: papersAmong(entered, settled.setting), went, reforked }
  if (change.came.length + change.went.length + reforked.size === 0)
    return { authority: before, touched: new Set(), turned: [] }
  const setting = settingAfter(settled.setting, chains, change)
  const isAuthor = (rid: ReplicaId): boolean => settled.setting.papersBy.has(rid) || setting.papersBy.has(rid)
  const members = [...change.came, ...change.went].map(({ record }) => record.member)
  if ([...members, ...reforked].some(isAuthor)) return settledAnew(settled, setting, reforked)
  return settledBeside(before, setting, change)
}

function settingAfter(before: Setting, chains: Chains, { came, went }: Change): Setting {
  const papers = new Map<OpId, Paper | undefined>()
  const papersBy = new Map<ReplicaId, readonly Paper[] | undefined>()
  const by = (rid: ReplicaId): readonly Paper[] => papersBy.get(rid) ?? before.papersBy.get(rid) ?? []
  const gone = new Set(went.map(({ id }) => id))
  for (const id of gone) papers.set(id, undefined)
  for (const rid of new Set(went.map(({ record }) => record.rid)))
    papersBy.set(
      rid,
      by(rid).filter(({ id }) => !gone.has(id)),
    )
  for (const paper of came) {
    papers.set(paper.id, paper)
    papersBy.set(paper.record.rid, [...by(paper.record.rid), paper])
  }
  for (const [rid, all] of papersBy) if (all?.length === 0) papersBy.set(rid, undefined)
  return { ...before, chains, papers: before.papers.with(papers), papersBy: before.papersBy.with(papersBy) }
}

/** What counted otherwise, as a grant or as a removal, touches the key that it is about. */
function settledAnew(before: Settled, setting: Setting, reforked: ReadonlySet<ReplicaId>): GrownAuthority {
  const after = settle(setting)
  const touched = new Set(reforked)
  const turned: Paper[] = []
  for (const paper of new Set([...before.setting.papers.values(), ...setting.papers.values()])) {
    if (isEffectiveIn(before, paper.id) === isEffectiveIn(after, paper.id)) continue
    touched.add(paper.record.member)
    turned.push(paper)
  }
  return { authority: authorityOf(after), touched, turned }
}

/** The papers that changed hold where their authors may write such, and that is settled already. */
function settledBeside(before: Authority, setting: Setting, { came, went, reforked }: Change): GrownAuthority {
  const { sure, possible } = before.settled
  const isOf = (granted: Papers, taken: Papers) => (paper: Paper) =>
    standing(setting, granted, taken, paper.record) === 'admin'
  const settled = {
    setting,
    sure: papersAfter(sure, came.filter(isOf(sure, possible)), went),
    possible: papersAfter(possible, came.filter(isOf(possible, sure)), went),
  }
  const touched = new Set([...reforked, ...[...came, ...went].map(({ record }) => record.member)])
  const [creator, ...others] = before.members
  const members = [
    ...others.filter(({ rid }) => !touched.has(rid)),
    ...[...touched].flatMap((rid) => (rid === setting.creator ? [] : (memberOf(settled, rid) ?? []))),
  ]
  return { authority: authorityOf(settled, [creator!, ...inOrder(members)]), touched, turned: [] }
}

function papersAfter(before: Papers, came: readonly Paper[], went: readonly Paper[]): Papers {
  const ids = new Map<OpId, Paper | undefined>()
  for (const { id } of went) ids.set(id, undefined)
  for (const paper of came) ids.set(paper.id, paper)
  const after = layered(before.ids).with(ids)
  const about = new Map([...came, ...went].map(({ record }) => [record.member, nothing()]))
  const gone = new Set<object>(went.map(({ record }) => record))
  for (const [rid, papers] of about) {
    const { grants, removals, amnesties } = before.about.get(rid) ?? nothing()
    papers.grants.push(...grants.filter((grant) => !gone.has(grant)))
    papers.removals.push(...removals.filter((removal) => !gone.has(removal)))
    papers.amnesties.push(...amnesties.filter((amnesty) => !gone.has(amnesty)))
  }
  for (const paper of came) put(about.get(paper.record.member)!, paper)
  return { ids: after, about: layered(before.about).with(about) }
}

const layered = <K, V>(map: ReadonlyMap<K, V>): LayeredMap<K, V> =>
  map instanceof LayeredMap ? (map as LayeredMap<K, V>) : new LayeredMap(map)
