import { describe, expect, test } from 'vitest'
import { makeConfig } from '../../src/config.ts'
import { LIMITS } from '../../src/operations/context.ts'
import { makeStage } from './stage.ts'

describe('up', () => {
  const starting = (token?: string) => {
    const seen: unknown[] = []
    const stage = makeStage({
      env: { TRIBUTARY_DATA: 'by-env' },
      toolbox: {
        startReplica: async (config) => {
          seen.push(config)
          setImmediate(() => stage.interrupt())
          return {
            url: 'http://127.0.0.1:4242',
            key: '7'.repeat(64),
            ...(token !== undefined && { token }),
            stop: async () => void seen.push('stopped'),
          }
        },
      },
    })
    return { stage, seen }
  }

  test('[CLI-13] up tells where it is, stays until the first signal, stops and exits with 0', async () => {
    const { stage, seen } = starting()
    expect(await stage.run('up', '--port', '0', '--public-host', 'a', '--public-host', 'b')).toBe(0)
    expect(seen).toMatchObject([{ port: 0, dataDirectory: 'by-env', publicHosts: ['a', 'b'] }, 'stopped'])
    expect(stage.stdout()).toMatchSnapshot()
    expect(stage.stderr()).toBe('stop it with Ctrl-C\nstopping; Ctrl-C again ends it at once\nstopped\n')
  })

  test('[XCH-34] the quota of a space is 512 GiB unless --fetch-quota or the environment says another', async () => {
    const quotaWith = async (...flags: string[]) => {
      const { stage, seen } = starting()
      expect(await stage.run('up', ...flags)).toBe(0)
      return (seen[0] as { fetchQuotaBytes: number }).fetchQuotaBytes
    }
    expect(await quotaWith()).toBe(LIMITS.fetchedBytesMax)
    expect(await quotaWith('--fetch-quota', '1.5GB')).toBe(1.5e9)
    expect(makeConfig({}, { TRIBUTARY_FETCH_QUOTA: '2MiB' }).fetchQuotaBytes).toBe(2 * 1024 * 1024)
    const { stage } = starting()
    expect(await stage.run('up', '--fetch-quota', 'much')).toBe(2)
    expect(stage.stderr()).toContain('error[CONFIG_INVALID]: the fetch quota "much" is no size\n')
  })

  test('[PEX-7] what other replicas are told comes from --advertise, else from public names, and may be nothing', async () => {
    const toldWith = async (...flags: string[]) => {
      const { stage, seen } = starting()
      expect(await stage.run('up', ...flags)).toBe(0)
      return (seen[0] as { advertised: readonly string[] }).advertised
    }
    const named = [
      '--public-host',
      'Merge.example.org:8443',
      '--public-host',
      'localhost',
      '--public-host',
      '10.0.0.1:80',
    ]
    expect(await toldWith()).toEqual([])
    expect(await toldWith(...named)).toEqual(['https://merge.example.org:8443'])
    expect(await toldWith(...named, '--advertise', 'http://a.example:8420')).toEqual(['http://a.example:8420'])
    expect(await toldWith(...named, '--advertise', 'none')).toEqual([])
    const { stage } = starting()
    expect(await stage.run('up', '--advertise', `http://${'a'.repeat(260)}`)).toBe(2)
    const five = [1, 2, 3, 4, 5].flatMap((n) => ['--advertise', `http://a${n}.example`])
    expect(await stage.run('up', ...five)).toBe(2)
  })

  test('[CLI-13] a token that was just made is shown once, one that was given never', async () => {
    const made = starting('made-token-0123456789')
    await made.stage.run('up')
    expect(made.stage.stdout().split('made-token-0123456789')).toHaveLength(2)
    expect(made.stage.stderr()).not.toContain('made-token')
    const json = starting('made-token-0123456789')
    await json.stage.run('up', '--json')
    expect(json.stage.json()).toEqual({
      url: 'http://127.0.0.1:4242',
      key: '7'.repeat(64),
      docs: 'http://127.0.0.1:4242/docs',
      data: 'by-env',
      token: 'made-token-0123456789',
    })
  })
})
