/** The demo as a reader starts it: what it tells is what its replicas say. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { cleanEnvironment, PROGRAM, runProduct } from '../support/product.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

type Told = Readonly<Record<string, unknown>> & { readonly event: string }

test('[CLI-40] three replicas converge, part and meet again, and two merge to the same bytes', async () => {
  const directory = await temporaryDirectory()
  const data = join(directory, 'demo')
  const child = spawn(process.execPath, [PROGRAM, 'up', '--demo', '--port', '0', '--data', data, '--json'], {
    env: cleanEnvironment(join(directory, '.cache')),
  })
  let complained = ''
  child.stderr.on('data', (bytes: Buffer) => (complained += bytes.toString()))
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const events = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const told: Told[] = []
  const next = async (event: string, isSo: (told: Told) => boolean = () => true): Promise<Told> => {
    for (;;) {
      const line = await events.next()
      if (line.done === true) throw new Error(`it ended without ${event}: ${complained}`)
      const one = JSON.parse(line.value) as Told
      told.push(one)
      if (one.event === event && isSo(one)) return one
    }
  }
  const press = (key: string) => child.stdin.write(`${key}\n`)
  try {
    expect((await next('compared'))['same']).toBe(true)
    expect(told.filter(({ event }) => event === 'roots').map(({ agree }) => agree)).toEqual([true, true, true])
    const outputs = told.filter(({ event }) => event === 'merged')
    expect(outputs.map(({ replica }) => replica)).toEqual([1, 2])
    expect(outputs[0]!['content']).toBe(outputs[1]!['content'])

    press('p')
    press('c')
    press('c')
    press('c')
    await next('roots', ({ agree }) => agree === false)
    await next('contributed', ({ replica }) => replica === 3)
    press('p')
    await next('healed')
    const { roots } = await next('roots', ({ agree }) => agree === true)
    const shown = await Promise.all(
      told
        .filter(({ event }) => event === 'started')
        .map(async ({ url }) => (await fetch(`${String(url)}/v1/spaces/demo`)).json() as Promise<{ root: string }>),
    )
    expect(shown.map(({ root }) => root)).toEqual(roots)

    child.kill('SIGINT')
    expect((await next('stopped'))['data']).toBe(data)
    expect([await ended, complained]).toEqual([0, ''])
    expect(existsSync(join(data, 'replica-3', 'tributary.db'))).toBe(true)
  } finally {
    child.kill('SIGKILL')
  }
})

test('[CLI-40] the demo takes no address, token or peer', async () => {
  const refused = await runProduct(await temporaryDirectory(), 'up', '--demo', '--peer', 'http://127.0.0.1:8420')
  expect([refused.code, refused.stdout]).toEqual([2, ''])
  expect(refused.stderr).toContain('--demo listens on loopback alone')
})
