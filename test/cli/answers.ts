/** What a replica would answer, for commands that talk to one. */
import type { ContributionView, SpaceView } from '../../src/operations/operations.ts'
import { type Answer, problem, type Request } from './stage.ts'

export const id = (digit: string) => digit.repeat(64)
export const space = {
  id: '0'.repeat(32),
  name: 'med',
  root: id('f'),
  contributions: 2,
  ops: 3,
  policy: { access: 'open', rules: 1 },
} as unknown as SpaceView
export const contribution = (more: Partial<ContributionView>): ContributionView => ({
  id: id('1'),
  name: 'oslo',
  model: id('2'),
  content: id('3'),
  weight: '1',
  kind: 'full',
  dots: [],
  conflict: false,
  here: true,
  ...more,
})

export const peer = {
  url: 'http://other:8420',
  state: 'linked',
  source: 'operator',
  since: 'then',
  spaces: [
    { id: space.id, in_sync: false },
    { id: '1'.repeat(32), in_sync: true },
  ],
  offered: ['2'.repeat(32)],
}

/** `METHOD /path` → answer; anything else is refused as a replica refuses it. */
export const routes =
  (table: Readonly<Record<string, Answer | ((request: Request) => Answer)>>) => (request: Request) => {
    const answer = table[`${request.method} ${request.path}`]
    if (answer === undefined) return problem(404, 'ROUTE_NOT_FOUND', `there is nothing at ${request.path}`)
    return typeof answer === 'function' ? answer(request) : answer
  }
