import { describe, expect, test } from 'vitest'
import { id } from './answers.ts'
import { problem } from './stage.ts'
import { run, sent } from './one-run.ts'

describe('membership', () => {
  const member = (more: object) => ({
    key: id('5'),
    role: 'writer',
    from_epoch: 0,
    creator: false,
    forked_epochs: [],
    amnesty: false,
    ...more,
  })
  const AT = '/v1/spaces/med/members'

  test('[CLI-30] the members of a space are listed, for people and for programs', async () => {
    const items = [
      member({ key: id('4'), role: 'admin', creator: true }),
      member({ from_epoch: 3, forked_epochs: [1, 2], amnesty: true }),
    ]
    const { exitCode, stage } = await run({ [`GET ${AT}`]: { json: { items } } }, 'members', 'med')
    expect([exitCode, stage.stdout()]).toEqual([
      0,
      [
        `KEY${' '.repeat(61)}  ROLE    FROM EPOCH  NOTES`,
        `${id('4')}  admin   0           creator`,
        `${id('5')}  writer  3           forked in 1, 2, forgiven`,
        '',
      ].join('\n'),
    ])
    const asJson = await run({ [`GET ${AT}`]: { json: { items } } }, 'members', 'med', 'list', '--json')
    expect(asJson.stage.json()).toEqual({ items })
  })

  test('[CLI-30] add, remove and amnesty send what was given', async () => {
    const added = await run({ [`POST ${AT}`]: { status: 201, json: member({}) } }, 'members', 'med', 'add', id('5'))
    expect([added.exitCode, sent(added.requests[0]!)]).toEqual([0, { key: id('5'), role: 'writer' }])
    const removed = await run(
      { [`DELETE ${AT}/${id('5')}?reason=gone%20%26%20lost`]: { json: { items: [] } } },
      ...['members', 'med', 'remove', id('5'), '--reason', 'gone & lost', '--json'],
    )
    expect([removed.exitCode, removed.stage.json()]).toEqual([0, { removed: id('5'), items: [] }])
    const forgiven = await run(
      { 'POST /v1/spaces/med/amnesties': { json: { key: id('5'), from_epoch: 4 } } },
      ...['members', 'med', 'amnesty', id('5'), '--from-epoch', '4'],
    )
    expect([forgiven.exitCode, sent(forgiven.requests[0]!)]).toEqual([0, { key: id('5'), from_epoch: 4 }])
    expect(forgiven.stage.stdout()).toBe(`forgiven    ${id('5')}\nfrom epoch  4\n`)
  })

  test('[CLI-30] without the right to it the exit code is 4', async () => {
    const denied = { [`POST ${AT}`]: problem(403, 'NOT_ALLOWED', 'this key may not', { hint: 'ask an admin' }) }
    const { exitCode, stage } = await run(denied, 'members', 'med', 'add', id('5'), '--role', 'admin')
    expect(exitCode).toBe(4)
    expect(stage.stderr()).toContain('error[NOT_ALLOWED]: this key may not')
  })

  test.each([
    [2, ['add']],
    [2, ['add', 'ana']],
    [2, ['remove', id('a').toUpperCase()]],
    [2, ['remove', id('5'), '--role', 'admin']],
    [2, ['add', id('5'), '--from-epoch', '3']],
    [2, ['amnesty', id('5'), '--from-epoch', 'later']],
    [2, ['list', id('5')]],
    [2, ['promote', id('5')]],
  ])('[CLI-45] exits with %i before anything is sent: %j', async (expected, argv) => {
    const { exitCode, requests } = await run({}, 'members', 'med', ...argv)
    expect([exitCode, requests]).toEqual([expected, []])
  })
})
