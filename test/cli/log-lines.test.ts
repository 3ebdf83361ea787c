import { expect, test } from 'vitest'
import { logLine } from '../../src/cli/log-lines.ts'
import { makeStage } from './stage.ts'

const at = new Date(2026, 0, 2, 3, 4, 5).getTime()
const entry = (more: object) => JSON.stringify({ level: 30, time: at, pid: 1, hostname: 'h', ...more })
const REQUEST = entry({ method: 'GET', url: '/v1/spaces', status: 200, ms: 3, msg: 'request' })

test('[CLI-42] a request is one short line, a failure says what, why and its code', () => {
  expect(logLine(REQUEST)).toBe('03:04:05  GET /v1/spaces  200  3 ms')
  expect(logLine(entry({ msg: 'Server listening at http://127.0.0.1:8420' }))).toBe(
    '03:04:05  Server listening at http://127.0.0.1:8420',
  )
  const err = { type: 'TributaryError', message: 'there is no room', code: 'DISK_FULL', stack: 'at somewhere' }
  expect(logLine(entry({ level: 50, msg: 'sweep', err }))).toBe('03:04:05  error: sweep: there is no room (DISK_FULL)')
  expect(logLine(entry({ level: 40, msg: 'slow' }))).toBe('03:04:05  warning: slow')
})

test('[CLI-42] what others wrote can’t move the cursor or begin a line, and what is no JSON is shown as it is', () => {
  const line = logLine(entry({ method: 'GET', url: '/\u001b[2J\n03:04:05  error', status: 404, ms: 0 }))
  expect(line).not.toMatch(/[\n\u001b]/)
  expect(logLine('plain words\n')).toBe('plain words')
})

test('[CLI-42] up writes lines on a terminal, and JSON elsewhere, with --json and with --log json', async () => {
  const stderrOf = async (isTTY: boolean, ...flags: string[]) => {
    const stage = makeStage({
      isTTY,
      toolbox: {
        startReplica: async (_, log) => {
          if (log === undefined) stage.io.stderr.write(`${REQUEST}\n`)
          else log.write(`${REQUEST}\n`)
          stage.interrupt()
          return { url: 'http://127.0.0.1:4242', key: '7'.repeat(64), stop: async () => undefined }
        },
      },
    })
    expect(await stage.run('up', ...flags)).toBe(0)
    return stage.stderr().split('\n')[0]
  }
  const line = '03:04:05  GET /v1/spaces  200  3 ms'
  expect(await stderrOf(true)).toBe(line)
  expect(await stderrOf(false)).toBe(REQUEST)
  expect(await stderrOf(true, '--json')).toBe(REQUEST)
  expect(await stderrOf(true, '--log', 'json')).toBe(REQUEST)
  expect(await stderrOf(false, '--log', 'lines')).toBe(line)
  expect(await makeStage().run('up', '--log', 'xml')).toBe(2)
})
