/** Spaces, contributions and merges of a replica. */
import type { ContributionView, MergeView, SpaceView } from '../../operations/operations.ts'
import { inPath } from '../client.ts'
import { type Command, REPLICA_OPTIONS } from '../command.ts'
import { shortId, sizeText, table } from '../text.ts'

export const ls: Command = {
  arguments: [{ name: '[SPACE]', about: 'name or id of a space; without it the spaces are listed' }],
  options: [{ flags: '--merges', about: 'list the merges of the space, not its contributions' }, ...REPLICA_OPTIONS],
  example: 'tributary ls med-7b',

  async run({ answer, replica, talk }, given) {
    const client = await replica(given)
    const space = given.argument(0)
    if (space === '') {
      const items = await client.list<SpaceView>('/v1/spaces')
      answer({ items }, () => spaceRows(items))
      if (items.length === 0) talk.say('no space yet: tributary spaces create NAME')
      return undefined
    }
    const within = `/v1/spaces/${inPath(space)}`
    if (given.flag('merges')) {
      const items = await client.list<MergeView>(`${within}/merges`)
      answer({ items }, () => mergeRows(items))
      return undefined
    }
    const items = await client.list<ContributionView>(`${within}/contributions`)
    answer({ items }, () => contributionRows(items))
    if (items.length === 0) talk.say(`no contribution yet: tributary push PATH --space ${space} --name NAME`)
    return undefined
  },
}

export const spaceRows = (spaces: readonly SpaceView[]): readonly string[] =>
  table(
    ['SPACE', 'ID', 'CONTRIBUTIONS', 'ROOT', 'ACCESS', 'FETCHED'],
    spaces.map(({ name, id, contributions, root, policy, fetched_bytes: fetched }) => [
      name,
      id,
      String(contributions),
      shortId(root),
      policy.access,
      fetched > 0 ? sizeText(fetched) : '-',
    ]),
  )

const contributionRows = (contributions: readonly ContributionView[]): readonly string[] =>
  table(
    ['NAME', 'ID', 'WEIGHT', 'KIND', 'CONTENT', 'LICENSE', 'TAGS', 'NOTES'],
    contributions.map((one) => [
      one.name,
      shortId(one.id),
      one.weight,
      one.kind,
      shortId(one.content),
      one.license ?? '-',
      one.tags?.join(',') ?? '-',
      [one.conflict ? 'conflict' : '', one.here ? '' : 'bytes missing'].filter((note) => note !== '').join(', '),
    ]),
  )

const mergeRows = (merges: readonly MergeView[]): readonly string[] =>
  table(
    ['MERGE', 'STATE', 'DONE', 'ROOT', 'CREATED'],
    merges.map(({ id, state, bytes_done, bytes_total, root, created_at }) => [
      id,
      state,
      bytes_total === 0 ? '-' : `${Math.floor((100 * bytes_done) / bytes_total)} %`,
      shortId(root),
      created_at,
    ]),
  )
