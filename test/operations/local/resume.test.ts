import { appendFile, cp, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseReceipt } from '../../../src/core/receipt.ts'
import type { Merger } from '../../../src/merging/merger.ts'
import { temporaryDirectory } from '../../support/temp-dir.ts'
import { AVERAGE, filesBelow, inlineMerger, localOperations, TIES, writeModels, writeRecipe } from './world.ts'

const PAPER = `tributary: 1
strategy: {id: ties, params: {profile: paper, density: 0.5}}
base: base
weights: [[a, 0.6], [b, 0.4]]
`
const RECIPES = { 'average.yml': AVERAGE, 'ties.yml': TIES, 'paper.yml': PAPER }
/** In the order of the task; nothing is copied but the last. */
const NAMES = [
  'model.embed.weight',
  'model.layers.0.w',
  'model.layers.1.w',
  'model.norm',
  'model.nothing',
  'model.steps',
]

let origin: string
beforeAll(async () => {
  origin = await temporaryDirectory()
  await writeModels(origin)
  for (const [name, text] of Object.entries(RECIPES)) await writeRecipe(origin, text, name)
})

/** A merge that ran so many tensors and was then killed, as its disk was left: a copy, whose lock is nobody's. */
async function killedAfter(count: number, recipe = 'average.yml', earlier?: (at: string) => Promise<void>) {
  const world = join(await temporaryDirectory(), 'world')
  await cp(origin, world, { recursive: true })
  await earlier?.(world)
  const merger = inlineMerger()
  await new Promise<void>((resolve) => {
    const hanging: Merger = {
      ...merger,
      async merge(task, watch) {
        await merger.merge({ ...task, tensors: task.tensors.slice(0, count) }, watch)
        resolve()
        return new Promise(() => undefined)
      },
    }
    void localOperations({ merger: hanging }).mergeLocal({ recipe: join(world, recipe), out: join(world, 'out') })
  })
  const copy = join(await temporaryDirectory(), 'copy')
  await cp(world, copy, { recursive: true })
  return copy
}

async function goOn(world: string, recipe = 'average.yml') {
  const own = inlineMerger()
  const computed: string[] = []
  const resumed: { readonly tensors: number; readonly bytes: number }[] = []
  const merger: Merger = {
    ...own,
    merge(task, watch) {
      computed.push(...task.tensors.map(({ name }) => name))
      return own.merge(task, watch)
    },
  }
  const phases: { phase: string; bytes_done: number; bytes_total: number }[] = []
  const merged = await localOperations({ merger }).mergeLocal(
    { recipe: join(world, recipe), out: join(world, 'out') },
    { onResume: (taken) => resumed.push(taken), onProgress: (progress) => phases.push(progress) },
  )
  expect(phases.at(-1)).toMatchObject({ phase: 'merging', bytes_done: phases.at(-1)!.bytes_total })
  expect((await readdir(world)).filter((name) => name.startsWith('.'))).toEqual([])
  return { computed, resumed, statement: merged.receipt.statement_id, files: await filesBelow(join(world, 'out')) }
}

const undisturbed = new Map<string, Promise<Awaited<ReturnType<typeof goOn>>>>()
/** What a run that nobody killed makes of it. */
async function expectTheSame({ statement, files }: Awaited<ReturnType<typeof goOn>>, recipe = 'average.yml') {
  const fresh = (async () => {
    const world = join(await temporaryDirectory(), 'fresh')
    await cp(origin, world, { recursive: true })
    return goOn(world, recipe)
  })()
  if (!undisturbed.has(recipe)) undisturbed.set(recipe, fresh)
  const whole = await undisturbed.get(recipe)!
  expect(statement).toBe(whole.statement)
  const bytes = ([path]: readonly [string, string]) => path !== 'receipt.json' && path !== '.tributary/sources.json'
  expect([...files].filter(bytes)).toEqual([...whole.files].filter(bytes))
  expect([...files.keys()]).toEqual([...whole.files.keys()])
}

/** Path of the one file or directory whose name ends so. */
async function left(world: string, ending: string): Promise<string> {
  const names = (await readdir(world)).filter((name) => name.endsWith(ending))
  expect(names).toHaveLength(1)
  return join(world, names[0]!)
}

describe('a merge that was killed', () => {
  test.each([0, 1, 3, NAMES.length])('[LOC-30] after %i tensors goes on with the others', async (count) => {
    const again = await goOn(await killedAfter(count))
    expect(again.computed).toEqual(NAMES.slice(count))
    expect(again.resumed.map(({ tensors }) => tensors)).toEqual(count === 0 ? [] : [count])
    await expectTheSame(again)
  })

  test('[LOC-30] scalars that earlier passes found are kept with their tensors', async () => {
    const again = await goOn(await killedAfter(2, 'ties.yml'), 'ties.yml')
    expect(again.computed).toEqual(NAMES.slice(2))
    await expectTheSame(again, 'ties.yml')
  })

  test('[LOC-30] what is measured over the whole model is taken whole or not at all', async () => {
    const again = await goOn(await killedAfter(2, 'paper.yml'), 'paper.yml')
    expect(again.computed).toEqual(NAMES)
    await expectTheSame(again, 'paper.yml')
  })

  test('[LOC-30] bytes that are not what the journal claims are computed again', async () => {
    const world = await killedAfter(3)
    const weights = await open(join(await left(world, '.partial'), 'model.safetensors'), 'r+')
    const { size } = await weights.stat()
    await weights.write(Uint8Array.of(0xff), 0, 1, size - 77_500) // in the first tensor
    await weights.close()
    const again = await goOn(world)
    expect(again.computed).toContain(NAMES[0])
    expect(again.computed.length).toBeLessThan(NAMES.length)
    await expectTheSame(again)
  })

  test('[LOC-31] a journal that is torn or rotten is believed as far as its lines are whole', async () => {
    const world = await killedAfter(3)
    const path = await left(world, '.journal')
    const text = await readFile(path, 'utf8')
    const lines = text.split('\n')
    expect(lines).toHaveLength(4)
    await writeFile(path, text.slice(0, -5)) // the last line is torn
    expect((await goOn(await copied(world))).computed).toEqual(NAMES.slice(2))
    await writeFile(path, text.replace(lines[1]!, lines[1]!.replace(']]', ',2]]'))) // a scalar more
    const again = await goOn(await copied(world))
    expect(again.computed).toEqual(NAMES.filter((_, i) => i === 1 || i > 2))
    await expectTheSame(again)
    await writeFile(path, 'not a journal\n\0\n{}')
    expect((await goOn(world)).computed).toEqual(NAMES)
  })

  test('[LOC-31] the lines of another merge count for nothing, and what it left goes', async () => {
    const world = await killedAfter(3)
    const merged = await goOn(world, 'ties.yml')
    expect(merged.computed).toEqual(NAMES)
    const other = await killedAfter(3)
    const [mine, theirs] = [await left(other, '.journal'), await left(await killedAfter(1, 'ties.yml'), '.journal')]
    await writeFile(mine, await readFile(theirs))
    expect((await goOn(other)).computed).toEqual(NAMES)
  })

  test('[LOC-31] weights that are laid out otherwise are begun again', async () => {
    const world = await killedAfter(3)
    await appendFile(join(await left(world, '.partial'), 'model.safetensors'), 'more')
    const again = await goOn(world)
    expect(again.computed).toEqual(NAMES)
    await expectTheSame(again)
  })

  test('[LOC-31] a merge whose journal cannot be written is done all the same', async () => {
    const world = await killedAfter(3)
    const path = await left(world, '.journal')
    const blocked = await copied(world)
    await writeFile(path, '') // as a full disk leaves it
    const again = await goOn(world)
    expect(again.computed).toEqual(NAMES)
    const there = await left(blocked, '.journal')
    await rm(there)
    await mkdir(join(there, 'in the way'), { recursive: true })
    await localOperations().mergeLocal({ recipe: join(blocked, 'average.yml'), out: join(blocked, 'out') })
    parseReceipt(await readFile(join(blocked, 'out', 'receipt.json')))
  })

  test('[LOC-31] killed in its last step, it finds the earlier output put aside, and puts it back', async () => {
    const earlier = async (world: string) => {
      await localOperations().mergeLocal({ recipe: join(world, 'ties.yml'), out: join(world, 'out') })
    }
    const world = await killedAfter(2, 'average.yml', earlier)
    const partial = await left(world, '.partial')
    await rename(join(world, 'out'), `${partial}.before`)
    const failing: Merger = { ...inlineMerger(), merge: () => Promise.reject(new Error('a bug')) }
    const merging = localOperations({ merger: failing }).mergeLocal({
      recipe: join(world, 'average.yml'),
      out: join(world, 'out'),
    })
    await expect(merging).rejects.toThrow('a bug')
    expect((await stat(join(world, 'out', 'receipt.json'))).isFile()).toBe(true)
  })
})

async function copied(world: string): Promise<string> {
  const copy = join(await temporaryDirectory(), 'copy')
  await cp(world, copy, { recursive: true })
  return copy
}

describe('one output at a time', () => {
  test('[LOC-32] the second merge to a place is refused by name, and may come when the first has ended', async () => {
    const world = await copied(origin)
    const out = join(world, 'out')
    const own = inlineMerger()
    let begun: () => void = () => undefined
    let goAhead: () => void = () => undefined
    const hasBegun = new Promise<void>((resolve) => (begun = resolve))
    const mayGo = new Promise<void>((resolve) => (goAhead = resolve))
    const waiting: Merger = {
      ...own,
      async merge(task, watch) {
        begun()
        await mayGo
        return own.merge(task, watch)
      },
    }
    const first = localOperations({ merger: waiting }).mergeLocal({ recipe: join(world, 'average.yml'), out })
    await hasBegun
    const second = () => localOperations().mergeLocal({ recipe: join(world, 'ties.yml'), out })
    await expect(second()).rejects.toMatchObject({ code: 'OUTPUT_IN_USE', hint: expect.any(String) as string })
    goAhead()
    await first
    await second()
    expect((await readdir(world)).filter((name) => name.startsWith('.'))).toEqual([])
  })

  test.each([
    '4194303 77\n',
    ...(process.platform === 'linux' ? ['1 77\n'] : []),
    `${process.pid} 5\n`,
    '',
    'nonsense',
  ])('[LOC-32] a lock that says %j is of a process that is gone', async (text) => {
    const world = await copied(origin)
    await writeFile(join(world, '.out.tributary.lock'), text)
    await localOperations().mergeLocal({ recipe: join(world, 'average.yml'), out: join(world, 'out') })
    expect((await readdir(world)).filter((name) => name.startsWith('.'))).toEqual([])
  })

  test('[LOC-32] the lock of another living process is respected', async () => {
    const world = await copied(origin)
    const lock = join(world, '.out.tributary.lock')
    await writeFile(lock, `${process.ppid} `)
    const merging = localOperations().mergeLocal({ recipe: join(world, 'average.yml'), out: join(world, 'out') })
    await expect(merging).rejects.toMatchObject({ code: 'OUTPUT_IN_USE' })
    expect(await readFile(lock, 'utf8')).toBe(`${process.ppid} `)
  })
})
