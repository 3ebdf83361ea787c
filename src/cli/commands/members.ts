/** Who may write in a space, and changing that. */
import { TributaryError } from '../../core/errors.ts'
import { parseReplicaId } from '../../core/ids.ts'
import type { AmnestyGiven, MemberView } from '../../operations/operations.ts'
import { inPath } from '../client.ts'
import { type Command, type Given, REPLICA_OPTIONS } from '../command.ts'
import { facts, table } from '../text.ts'
import { typed } from '../typed.ts'

const NATURAL = /^[0-9]{1,15}$/

export const members: Command = {
  arguments: [
    { name: '<SPACE>', about: 'name or id of the space' },
    { name: '[ACTION]', about: 'what to do (default: list)', choices: ['list', 'add', 'remove', 'amnesty'] },
    { name: '[KEY]', about: 'public key of the replica it is about, 64 hex digits' },
  ],
  options: [
    { flags: '--role <ROLE>', about: 'for add (default: writer)', choices: ['admin', 'writer', 'reader'] },
    { flags: '--from-epoch <N>', about: 'for amnesty: the first epoch that counts (default: after the fork)' },
    { flags: '--reason <TEXT>', about: 'for remove and amnesty: why, for everyone to read' },
    ...REPLICA_OPTIONS,
  ],
  notes:
    'What a removed member wrote before stays, as far as the replica has seen it. Only an admin of\nthe space may change its members; an open space has none.',
  example: 'tributary members med-7b add "$KEY" --role writer',

  async run({ answer, replica }, given) {
    const action = given.argument(1) === '' ? 'list' : given.argument(1)
    checkOptions(given, action)
    const key = action === 'list' ? '' : keyIn(given, action)
    const epoch = epochIn(given)
    const client = await replica(given)
    const within = `/v1/spaces/${inPath(given.argument(0))}`
    const reason = given.text('reason')
    if (action === 'add') {
      const role = given.text('role') ?? 'writer'
      const member = await client.post<MemberView>(`${within}/members`, { key, role })
      answer(member, () => rows([member]))
    } else if (action === 'amnesty') {
      const amnesty = await client.post<AmnestyGiven>(`${within}/amnesties`, {
        key,
        ...(epoch !== undefined && { from_epoch: epoch }),
        ...(reason !== undefined && { reason }),
      })
      answer(amnesty, () =>
        facts([
          ['forgiven', amnesty.key],
          ['from epoch', String(amnesty.from_epoch)],
        ]),
      )
    } else if (action === 'remove') {
      const query = reason === undefined ? '' : `?reason=${encodeURIComponent(reason)}`
      const left = await client.delete<{ items: readonly MemberView[] }>(`${within}/members/${inPath(key)}${query}`)
      answer({ removed: key, ...left }, () => facts([['removed', key]]))
    } else {
      const items = await client.list<MemberView>(`${within}/members`)
      answer({ items }, () => rows(items))
    }
    return undefined
  },
}

const OPTIONS_OF: Readonly<Record<string, readonly string[]>> = {
  add: ['role'],
  remove: ['reason'],
  amnesty: ['fromEpoch', 'reason'],
}

/** An option that another action takes would be passed over in silence. */
function checkOptions(given: Given, action: string): void {
  const stray = ['role', 'reason', 'fromEpoch'].find(
    (option) => given.text(option) !== undefined && OPTIONS_OF[action]?.includes(option) !== true,
  )
  if (stray === undefined && (action !== 'list' || given.argument(2) === '')) return
  const what = stray === undefined ? 'key' : `--${stray.replace('E', '-e')}`
  throw new TributaryError('USAGE', `${action} takes no ${what}`, {
    hint: 'see tributary members --help',
  })
}

function keyIn(given: Given, action: string): string {
  const key = given.argument(2)
  if (key !== '')
    return typed(() => parseReplicaId(key), 'a replica tells its key when it starts, and in `tributary status`')
  throw new TributaryError('USAGE', `${action} takes the key of a replica`, { hint: 'see tributary members --help' })
}

function epochIn(given: Given): number | undefined {
  const text = given.text('fromEpoch')
  if (text === undefined) return undefined
  if (NATURAL.test(text)) return Number(text)
  throw new TributaryError('USAGE', '--from-epoch takes a whole number', { hint: 'leave it out, or count from 1' })
}

const rows = (items: readonly MemberView[]): readonly string[] =>
  table(
    ['KEY', 'ROLE', 'FROM EPOCH', 'NOTES'],
    items.map((one) => [one.key, one.role, String(one.from_epoch), notesOf(one)]),
  )

const notesOf = ({ creator, forked_epochs: forked, amnesty }: MemberView): string =>
  [creator ? 'creator' : '', forked.length === 0 ? '' : `forked in ${forked.join(', ')}${amnesty ? ', forgiven' : ''}`]
    .filter((note) => note !== '')
    .join('; ')
