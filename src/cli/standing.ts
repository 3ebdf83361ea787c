/** How a replica stands: what `status` shows, read in one go, as data, as tables and as what changed since. */
import type { MergeState, MergeView, Readiness, SpaceView } from '../operations/operations.ts'
import type { PeerView } from '../operations/peers.ts'
import { inPath, type ReplicaClient } from './client.ts'
import { spaceRows } from './commands/ls.ts'
import type { MergeTold } from './follow.ts'
import { counted, facts, shortId, table } from './text.ts'

const NOT_READY = 503
const BAR_WIDTH = 24
/** Merges of more spaces than this are known from what is told of them alone. */
const LISTED_SPACES_MAX = 16

export interface RunningMerge {
  readonly id: string
  readonly space: string
  readonly state: MergeState
  readonly bytes_done: number
  readonly bytes_total: number
}

export interface Standing {
  readonly url: string
  /** Its public key, where it is ready. */
  readonly replica?: string
  readonly ready: boolean
  readonly checks: Readiness['checks']
  readonly spaces: readonly SpaceView[]
  readonly peers: readonly PeerView[]
}

export async function readStanding(client: ReplicaClient): Promise<Standing> {
  const { ready, checks } = await client.get<Readiness>('/readyz', [NOT_READY])
  if (!ready) return { url: client.url, ready, checks, spaces: [], peers: [] }
  const [spaces, { replica, items: peers }] = await Promise.all([
    client.list<SpaceView>('/v1/spaces'),
    client.get<{ readonly replica?: string; readonly items: readonly PeerView[] }>('/v1/peers'),
  ])
  return { url: client.url, ...(replica !== undefined && { replica }), ready, checks, spaces, peers }
}

const isUnderWay = ({ state }: { readonly state: MergeState }) => ['queued', 'running', 'blocked'].includes(state)

/** Those under way, newest page of each space. */
export async function readMerges(client: ReplicaClient, { spaces }: Standing): Promise<Map<string, RunningMerge>> {
  const found = new Map<string, RunningMerge>()
  for (const { id: space } of spaces.slice(0, LISTED_SPACES_MAX)) {
    const { items } = await client.get<{ items: readonly MergeView[] }>(`/v1/spaces/${inPath(space)}/merges`)
    for (const { id, state, bytes_done, bytes_total } of items.filter(isUnderWay))
      found.set(id, { id, space, state, bytes_done, bytes_total })
  }
  return found
}

/** Those that ended are shown once more, so that whoever watches sees how. */
export function heard(merges: Map<string, RunningMerge>, told: readonly MergeTold[]): void {
  for (const [id, merge] of merges) if (!isUnderWay(merge)) merges.delete(id)
  for (const { merge: id, space, state, bytes_done, bytes_total } of told)
    merges.set(id, { id, space, state, bytes_done, bytes_total })
}

export function standingLines(standing: Standing, merges: Iterable<RunningMerge> = []): readonly string[] {
  const { url, replica, ready, checks, spaces, peers } = standing
  const parts = [
    facts([
      ['replica', url],
      ['key', replica],
      ['ready', ready ? 'yes' : 'no'],
      ...Object.entries(checks).filter(([, state]) => state !== 'ok'),
    ]),
    spaceRows(spaces),
    table(
      ['PEER', 'STATE', 'IN SYNC', 'NOTES'],
      peers.map((peer) => [peerName(peer), peer.state, inSync(peer), peer.last_failure ?? offeredText(peer)]),
    ),
    table(
      ['MERGE', 'SPACE', 'STATE', 'DONE'],
      [...merges].map((merge) => [shortId(merge.id), nameOf(merge, spaces), merge.state, barOf(merge)]),
    ),
  ]
  return parts.filter((part) => part.length > 0).flatMap((part, i) => (i === 0 ? part : ['', ...part]))
}

const peerName = ({ url, replica }: PeerView): string => url ?? shortId(replica ?? 'unknown')
const nameOf = ({ space }: RunningMerge, spaces: readonly SpaceView[]): string =>
  spaces.find(({ id }) => id === space)?.name ?? space
const offeredText = ({ offered }: PeerView): string =>
  offered.length === 0 ? '' : `offers ${counted(offered.length, 'space')}`

function inSync({ spaces }: PeerView): string {
  const behind = spaces.filter((space) => !space.in_sync).length
  if (spaces.length === 0) return '-'
  return behind === 0 ? 'yes' : `${counted(behind, 'space')} of ${spaces.length} not`
}

function barOf({ bytes_done, bytes_total }: RunningMerge): string {
  const share = bytes_total === 0 ? 0 : Math.min(1, bytes_done / bytes_total)
  const filled = Math.round(share * BAR_WIDTH)
  return `${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)} ${Math.floor(share * 100)} %`
}

/** One thing that can change, as data and as a line. */
export interface Row {
  readonly data: Readonly<Record<string, unknown>>
  readonly line: string
}

export function rowsOf(standing: Standing, merges: Iterable<RunningMerge>): ReadonlyMap<string, Row> {
  const rows = new Map<string, Row>()
  const { ready, checks, spaces, peers } = standing
  rows.set('ready', { data: { event: 'ready', ready, checks }, line: ready ? 'ready' : 'not ready' })
  for (const { id, name, root, ops_root, contributions } of spaces)
    rows.set(`space ${id}`, {
      data: { event: 'space', id, name, root, ops_root, contributions },
      line: `space ${name}  root ${shortId(root)}  ${counted(contributions, 'contribution')}`,
    })
  for (const peer of peers) {
    const { url, replica, state, spaces: common, offered } = peer
    rows.set(`peer ${url ?? replica ?? ''}`, {
      // a lag that grows is no change
      data: {
        event: 'peer',
        url,
        replica,
        state,
        spaces: common.map(({ id, in_sync }) => ({ id, in_sync })),
        offered,
      },
      line: `peer ${peerName(peer)}  ${state}  in sync: ${inSync(peer)}`,
    })
  }
  for (const merge of merges)
    rows.set(`merge ${merge.id}`, {
      data: { event: 'merge', ...merge },
      line: `merge ${shortId(merge.id)}  ${merge.state}  ${barOf(merge)}`,
    })
  return rows
}

/** What is new or different, and what is gone. */
export function changes(before: ReadonlyMap<string, Row>, now: ReadonlyMap<string, Row>): readonly Row[] {
  const changed = [...now].filter(([key, { data }]) => JSON.stringify(before.get(key)?.data) !== JSON.stringify(data))
  const gone = [...before.keys()].filter((key) => !now.has(key) && !key.startsWith('merge ')) // its end was told
  return [
    ...changed.map(([, row]) => row),
    ...gone.map((key) => ({ data: { event: 'gone', what: key }, line: `${key} is over` })),
  ]
}
