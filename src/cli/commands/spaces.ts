/** Spaces are made here; `ls` lists them. */
import { parseName } from '../../core/ids.ts'
import type { SpaceView } from '../../operations/operations.ts'
import { type Command, REPLICA_OPTIONS } from '../command.ts'
import { facts } from '../text.ts'
import { typed } from '../typed.ts'

export const spaces: Command = {
  arguments: [
    { name: '<ACTION>', about: 'what to do', choices: ['create'] },
    { name: '<NAME>', about: 'letters, digits, dots, dashes and underscores; no slash' },
  ],
  options: [
    { flags: '--base <REF>', about: 'the model that everyone in it starts from: model:HEX or space/name' },
    { flags: '--access <WHO>', about: 'who may contribute (default: open)', choices: ['open', 'members'] },
    ...REPLICA_OPTIONS,
  ],
  notes: '`tributary ls` lists those there are.',
  example: 'tributary spaces create med-7b --access open',

  async run({ answer, replica, talk }, given) {
    const name = typed(() => parseName(given.argument(1), 'name of a space'))
    const client = await replica(given)
    const [base, access] = [given.text('base'), given.text('access')]
    const space = await client.post<SpaceView>('/v1/spaces', {
      name,
      ...(base !== undefined && { base }),
      ...(access !== undefined && { access }),
    })
    if (access === undefined && space.policy.access === 'open')
      talk.say(
        'whoever links to a replica that keeps it may read it and write in it; --access members for a closed one',
      )
    answer(space, () =>
      facts([
        ['space', space.name],
        ['id', space.id],
        ['access', space.policy.access],
        ['base', space.base],
      ]),
    )
    return undefined
  },
}
