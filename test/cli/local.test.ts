import { describe, expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import type { LocalMerge, LocalOperations, LocalPlan } from '../../src/operations/local/local-operations.ts'
import type { StrategyView } from '../../src/operations/operations.ts'
import { makeStage } from './stage.ts'

const merged = {
  id: 'a'.repeat(64),
  recipe_id: 'b'.repeat(64),
  strategy: 'ties',
  out: 'merged',
  content: 'c'.repeat(64),
  tensors: 3,
  bytes: 1_234_567,
  files: ['model.safetensors', 'config.json'],
  inputs: [{ ref: 'x', content: 'd'.repeat(64), weight: '1' }],
  left_out: [{ ref: 'y', why: 'its shapes differ' }],
  warnings: ['two inputs\u001b[2J are the same'],
  receipt: {},
} as unknown as LocalMerge

describe('merge', () => {
  test('[CLI-8] data goes to stdout, warnings to stderr, and the tools are closed', async () => {
    const asked: unknown[] = []
    let closed = 0
    const stage = makeStage({
      toolbox: {
        openLocal: async (options) => {
          asked.push(options)
          return {
            mergeLocal: async (request) => {
              asked.push(request)
              return merged
            },
            close: async () => {
              closed++
            },
          } as LocalOperations
        },
      },
    })
    expect(await stage.run('merge', 'r.yml', '--out', 'merged')).toBe(0)
    expect(asked).toEqual([{ useDigestCache: true }, { recipe: 'r.yml', out: 'merged' }])
    expect(closed).toBe(1)
    expect(stage.stdout()).toMatchSnapshot()
    expect(stage.stderr()).toBe(
      'warning: y was left out: its shapes differ\nwarning: two inputs\\u001b[2J are the same\n',
    )
    expect(await stage.run('merge', 'r.yml', '--out', 'merged', '--no-cache')).toBe(0)
    expect(asked[2]).toEqual({ useDigestCache: false })
  })

  test('[CLI-8] with --json stdout is one line of JSON, and stderr is silent', async () => {
    const stage = makeStage({
      local: {
        mergeLocal: async (_request, watch) => {
          watch?.onProgress?.({ phase: 'merging', what: 'out', bytes_done: 5, bytes_total: 10 })
          return merged
        },
      },
    })
    expect(await stage.run('merge', 'r.yml', '--out', 'merged', '--json')).toBe(0)
    expect(stage.stdout().trimEnd().split('\n')).toHaveLength(1)
    expect(stage.json()).toEqual(merged)
    expect(stage.stderr()).toBe('')
  })

  const progressing = (isTTY: boolean) =>
    makeStage({
      isTTY,
      tickMs: 500,
      local: {
        mergeLocal: async (_request, watch) => {
          for (let done = 0; done <= 100; done += 5)
            watch?.onProgress?.({ phase: 'merging', what: 'out', bytes_done: done * 1e6, bytes_total: 1e8 })
          return { ...merged, left_out: [], warnings: [] }
        },
      },
    })

  test('[CLI-9] without a terminal progress is a line at every tenth, with rate and the time left', async () => {
    const stage = progressing(false)
    await stage.run('merge', 'r.yml', '--out', 'merged')
    const lines = stage.stderr().trimEnd().split('\n')
    expect(lines).toHaveLength(10)
    expect(lines[0]).toBe('Merging   10.0 MB of 100.0 MB  6.67 MB/s  eta 0:14  10 %')
    expect(lines[9]).toMatch(/^Merging {3}100\.0 MB in \d/)
    expect(stage.stderr()).not.toContain('\r')
    expect(stage.stdout()).not.toContain('Merging')
  })

  test('[CLI-9] on a terminal progress is one line, drawn over, and cleared before anything else is said', async () => {
    const stage = progressing(true)
    await stage.run('merge', 'r.yml', '--out', 'merged')
    expect(stage.stderr().split('\n')).toHaveLength(2)
    const drawn = stage.stderr().split('\r\u001b[K').slice(1)
    expect(drawn.length).toBeGreaterThan(10)
    for (const line of drawn) expect(line.length).toBeLessThan(100)
    expect(drawn.at(-1)).toMatch(/^Merging {3}100\.0 MB in .+\n$/)
  })

  const stopping = (error: (signal: AbortSignal) => Error) => {
    const stage = makeStage({
      local: {
        mergeLocal: (_request, watch) =>
          new Promise((_resolve, reject) => {
            const { signal } = watch!
            signal!.addEventListener('abort', () => reject(error(signal!)))
            queueMicrotask(() => stage.interrupt())
          }),
      },
    })
    return stage
  }

  test('[CLI-10] Ctrl-C cancels, says how to go on, and exits with 130', async () => {
    const stage = stopping((signal) => signal.reason as Error)
    expect(await stage.run('merge', 'r.yml', '--out', 'merged')).toBe(130)
    expect(stage.stderr()).toMatchInlineSnapshot(`
      "stopping; Ctrl-C again ends it at once
      error[INTERRUPTED]: stopped before it was done
      help: run the same command again to merge from the start
      "
    `)
    expect(stage.killed).toEqual([])
    const told = stopping(() => new TributaryError('MERGE_CANCELLED', 'cancelled at tensor w', { hint: 'again' }))
    expect(await told.run('merge', 'r.yml', '--out', 'merged')).toBe(130)
    expect(told.stderr()).toContain('error[MERGE_CANCELLED]: cancelled at tensor w\nhelp: again\n')
  })

  test('[CLI-10] a second Ctrl-C ends the process at once', async () => {
    let finish: () => void = () => undefined
    const stage = makeStage({
      local: {
        mergeLocal: () =>
          new Promise((resolve) => {
            finish = () => resolve({ ...merged, left_out: [], warnings: [] })
            queueMicrotask(() => {
              stage.interrupt()
              stage.interrupt()
              finish()
            })
          }),
      },
    })
    await stage.run('merge', 'r.yml', '--out', 'merged')
    expect(stage.killed).toEqual([130])
  })
})

describe('looking', () => {
  test('[CLI-12] a plan with problems exits with 1, one without with 0', async () => {
    const planned = { text: 'Recipe ties\n  2 inputs\u001b[1m\n', problems: [] } as unknown as LocalPlan
    const stage = makeStage({ local: { planLocal: async () => planned } })
    expect(await stage.run('plan', 'r.yml')).toBe(0)
    expect(stage.stdout()).toBe('Recipe ties\n  2 inputs\\u001b[1m\n')
    const problems = [{ code: 'SHAPE_MISMATCH', message: 'm' }]
    const bad = makeStage({ local: { planLocal: async () => ({ ...planned, problems }) } })
    expect(await bad.run('plan', 'r.yml')).toBe(1)
  })

  test('[CLI-12] digest prints the content root and the path, as checksum programs do', async () => {
    const view = {
      path: 'a b',
      content: 'c'.repeat(64),
      model: 'd'.repeat(64),
      tensors: 1,
      bytes: 4,
      not_finite: [{ tensor: 'w', count: 3 }],
      left_out: [],
    }
    const stage = makeStage({ local: { digestPath: async () => view } })
    expect(await stage.run('digest', 'a b')).toBe(0)
    expect(stage.stdout()).toBe(`${'c'.repeat(64)}  a b\n`)
    expect(stage.stderr()).toBe('warning: w holds 3 elements that are NaN or infinite: this model cannot be merged\n')
  })

  test('[CLI-12] inspect lists tensors, and text inside files cannot steer the terminal', async () => {
    const stage = makeStage({
      local: {
        inspectPath: async () => ({
          path: 'm.safetensors',
          files: [{ path: 'm.safetensors', bytes: 100, tensors: 1, metadata: [['format', 'pt\u001b[31m']] }],
          tensors: [{ name: 'w\u0007', dtype: 'F32', shape: [2, 3], bytes: 24, file: 'm.safetensors' }],
          dtypes: [{ dtype: 'F32', tensors: 1, bytes: 24 }],
          bytes: 24,
          elements: 6,
          left_out: [],
        }),
      },
    })
    expect(await stage.run('inspect', 'm.safetensors')).toBe(0)
    expect(stage.stdout()).toMatchSnapshot()
  })

  const ties = {
    id: 'ties',
    version: 1,
    family: 'task-vector',
    shape: 'sum',
    title: 'TIES',
    summary: 'Trim, elect, merge.',
    references: ['arXiv 2306.01708'],
    aliases: [{ id: 'ties_paper', params: {} }],
    params: {
      properties: {
        lambda: { type: 'number', default: 1, description: 'Scale.' },
        mode: { anyOf: [{ const: 'sum' }, { const: 'count' }], default: 'sum' },
        density: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
      },
    },
    needs: {},
    laws: {},
    incremental: true,
    passes: 2,
  } as StrategyView
  const knowing = { toolbox: { strategies: async () => [ties] } }

  test('[CLI-12] strategies lists them, and describes one by its id or an alias', async () => {
    const list = makeStage(knowing)
    expect(await list.run('strategies')).toBe(0)
    expect(list.stdout()).toMatchSnapshot()
    const one = makeStage(knowing)
    expect(await one.run('strategies', 'ties_paper')).toBe(0)
    expect(one.stdout()).toMatchSnapshot()
  })

  test('[CLI-12] an unknown strategy is answered with the nearest', async () => {
    const stage = makeStage(knowing)
    expect(await stage.run('strategies', 'tise')).toBe(1)
    expect(stage.stderr()).toBe('error[STRATEGY_NOT_FOUND]: there is no strategy tise\nhelp: did you mean ties?\n')
  })
})
