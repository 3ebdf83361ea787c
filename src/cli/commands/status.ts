/** A replica at a glance, once or as it changes. */
import { type Command, type Frame, REPLICA_OPTIONS } from '../command.ts'
import type { ReplicaClient } from '../client.ts'
import { EXIT } from '../errors.ts'
import { follow } from '../follow.ts'
import { changes, heard, readMerges, readStanding, type Row, rowsOf, standingLines } from '../standing.ts'
import { shown } from '../text.ts'

export const status: Command = {
  options: [{ flags: '--watch', about: 'go on and show what changes, until Ctrl-C' }, ...REPLICA_OPTIONS],
  notes: 'Exits with 1 where the replica answers but is not ready.',
  example: 'tributary status --url http://127.0.0.1:8420',

  async run(frame, given) {
    const client = await frame.replica(given)
    if (given.flag('watch')) return watch(frame, client)
    const standing = await readStanding(client)
    frame.answer(standing, () => standingLines(standing))
    return standing.ready ? EXIT.ok : EXIT.failed
  },
}

/** Drawn anew on a terminal; elsewhere, and as JSON, one line for each change. */
async function watch({ io, json, answer, signal }: Frame, client: ReplicaClient): Promise<number> {
  const isDrawn = io.stdout.isTTY && !json
  let before: ReadonlyMap<string, Row> = new Map()
  let height = 0
  try {
    const first = await readStanding(client)
    const merges = await readMerges(client, first)
    for await (const told of follow(client, signal)) {
      heard(merges, told)
      const standing = await readStanding(client)
      const rows = rowsOf(standing, merges.values())
      const changed = changes(before, rows)
      before = rows
      if (changed.length === 0) continue
      if (isDrawn) {
        const lines = standingLines(standing, merges.values()).map((line) => line.slice(0, io.stdout.columns - 1))
        io.stdout.write(`${height > 0 ? `\u001b[${height}A` : ''}\u001b[J${lines.join('\n')}\n`)
        height = lines.length
      } else for (const { data, line } of changed) answer(data, () => [shown(line)])
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return EXIT.ok
}
