/** A replica at a glance. */
import type { Readiness, SpaceView } from '../../operations/operations.ts'
import { type Command, REPLICA_OPTIONS } from '../command.ts'
import { EXIT } from '../errors.ts'
import { facts } from '../text.ts'
import { spaceRows } from './ls.ts'

const NOT_READY = 503

export const status: Command = {
  options: REPLICA_OPTIONS,
  notes: 'Exits with 1 where the replica answers but is not ready.',
  example: 'tributary status --url http://127.0.0.1:8420',

  async run({ answer, replica }, given) {
    const client = await replica(given)
    const { ready, checks } = await client.get<Readiness>('/readyz', [NOT_READY])
    const spaces = ready ? await client.list<SpaceView>('/v1/spaces') : []
    answer({ url: client.url, ready, checks, spaces }, () => [
      ...facts([
        ['replica', client.url],
        ['ready', ready ? 'yes' : 'no'],
        ...Object.entries(checks).filter(([, state]) => state !== 'ok'),
      ]),
      ...(spaces.length === 0 ? [] : ['', ...spaceRows(spaces)]),
    ])
    return ready ? EXIT.ok : EXIT.failed
  },
}
