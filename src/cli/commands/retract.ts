/** The opposite of contributing, by whoever may. */
import { isHex64 } from '../../core/ids.ts'
import type { SpaceView } from '../../operations/operations.ts'
import { inPath } from '../client.ts'
import { type Command, REPLICA_OPTIONS } from '../command.ts'
import { findContribution } from '../references.ts'
import { facts } from '../text.ts'

export const retract: Command = {
  arguments: [
    { name: '<SPACE>', about: 'name or id of the space' },
    { name: '<CONTRIBUTION>', about: 'its name, its id, or name@id-prefix' },
  ],
  options: REPLICA_OPTIONS,
  notes: 'It can be contributed again. To keep content out for ever there is `tributary revoke`.',
  example: 'tributary retract med-7b oslo',

  async run({ answer, replica }, given) {
    const client = await replica(given)
    const [space, which] = [given.argument(0), given.argument(1)]
    const id = isHex64(which) ? which : (await findContribution(client, space, which)).id
    const left = await client.delete<Partial<SpaceView>>(`/v1/spaces/${inPath(space)}/contributions/${inPath(id)}`)
    answer({ retracted: id, ...(left.root !== undefined && { root: left.root }) }, () =>
      facts([
        ['retracted', id],
        ['root', left.root],
      ]),
    )
    return undefined
  },
}
