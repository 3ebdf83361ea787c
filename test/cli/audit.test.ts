import { describe, expect, test } from 'vitest'
import type { AuditReport, LocalOperations } from '../../src/operations/local/local-operations.ts'
import { makeStage, type StageOptions } from './stage.ts'

const report: AuditReport = {
  verdict: 'passed',
  merge: 'a'.repeat(64),
  statement_id: 'b'.repeat(64),
  content: 'c'.repeat(64),
  signed: false,
  checked: { inputs: 2, tensors: 3, files: 1, bytes: 42, output: true },
  missing: [],
  notes: [],
}
const auditing = (more: Partial<AuditReport>): StageOptions => ({
  local: { auditLocal: async () => ({ ...report, ...more }) },
})

describe('audit', () => {
  test('[CLI-11] a passed audit exits with 0', async () => {
    const stage = makeStage(auditing({ notes: ['the receipt is unsigned'] }))
    expect(await stage.run('audit', 'merged')).toBe(0)
    expect(stage.stdout()).toMatchSnapshot()
    expect(stage.stderr()).toBe('note: the receipt is unsigned\n')
  })

  const difference = {
    what: 'tensor' as const,
    name: 'w',
    tensor: 'w',
    tile: 4,
    expected: '1'.repeat(64),
    found: '2'.repeat(64),
    message: 'tensor w differs from the receipt',
  }
  test('[CLI-11] a failed audit exits with 3 and names the first tensor and tile that differ', async () => {
    const stage = makeStage(auditing({ verdict: 'failed', difference }))
    expect(await stage.run('audit', 'merged')).toBe(3)
    expect(stage.stderr()).toMatchSnapshot()
    const json = makeStage(auditing({ verdict: 'failed', difference }))
    expect(await json.run('audit', 'merged', '--json')).toBe(3)
    expect((json.json() as AuditReport).difference).toEqual(difference)
  })

  test('[CLI-11] an audit whose inputs are missing exits with 1 and names them', async () => {
    const missing = [{ content: 'e'.repeat(64), what: 'input 0' }]
    const stage = makeStage(auditing({ verdict: 'inputs_missing', missing }))
    expect(await stage.run('audit', 'merged')).toBe(1)
    expect(stage.stderr()).toMatchSnapshot()
  })

  test('[CLI-11] every --input is handed on, and no cache is trusted', async () => {
    const asked: unknown[] = []
    const stage = makeStage({
      toolbox: {
        openLocal: async (options) => {
          asked.push(options)
          return {
            auditLocal: async (request) => {
              asked.push(request)
              return report
            },
            close: async () => undefined,
          } as LocalOperations
        },
      },
    })
    await stage.run('audit', 'merged', '--input', 'a', '--input', 'b')
    expect(asked).toEqual([{ useDigestCache: false }, { target: 'merged', inputs: ['a', 'b'] }])
  })
})
