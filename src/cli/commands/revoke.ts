/** For content that must never be merged again. */
import { parseContentRoot } from '../../core/ids.ts'
import type { SpaceView } from '../../operations/operations.ts'
import { inPath } from '../client.ts'
import { type Command, REPLICA_OPTIONS } from '../command.ts'
import { facts } from '../text.ts'
import { typed } from '../typed.ts'

export const revoke: Command = {
  arguments: [
    { name: '<SPACE>', about: 'name or id of the space' },
    { name: '<CONTENT>', about: 'content root, as `tributary digest` and `tributary ls --json` tell it' },
  ],
  options: [{ flags: '--reason <TEXT>', about: 'why, for everyone to read' }, ...REPLICA_OPTIONS],
  notes:
    'Takes the content out of the space and of every later merge, and its bytes off the disk; it cannot be contributed\nagain. There is no way back. Only an admin of the space may (in an open one its creator).',
  example: 'tributary revoke med-7b "$(tributary digest checkpoints/leaked | cut -c1-64)" --reason "consent withdrawn"',

  async run({ answer, replica }, given) {
    const content = typed(
      () => parseContentRoot(given.argument(1)),
      'see `tributary ls SPACE --json` for content roots',
    )
    const client = await replica(given)
    const reason = given.text('reason')
    const space = await client.post<SpaceView>(`/v1/spaces/${inPath(given.argument(0))}/revocations`, {
      content,
      ...(reason !== undefined && { reason }),
    })
    answer(space, () =>
      facts([
        ['revoked', content],
        ['root', space.root],
      ]),
    )
    return undefined
  },
}
