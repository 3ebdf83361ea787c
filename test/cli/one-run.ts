/** One command, run against a replica that answers from a table: how it ended, and what it asked for. */
import { routes } from './answers.ts'
import { fakeReplica, makeStage, type Request } from './stage.ts'

export const run = async (table: Parameters<typeof routes>[0], ...argv: string[]) => {
  const replica = await fakeReplica(routes(table))
  const stage = makeStage({ env: { TRIBUTARY_URL: replica.url } })
  return { exitCode: await stage.run(...argv), stage, requests: replica.requests }
}
export const sent = ({ body }: Request): unknown => JSON.parse(body.toString())
