import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import type { CanonicalRecord } from '../../src/core/canonical.ts'
import type { TensorRoot } from '../../src/core/ids.ts'
import { makeReceipt, parseReceipt, printReceipt, receiptBytes, statementIdOf } from '../../src/core/receipt.ts'
import { mergeIdOf, recipeIdOf } from '../../src/recipes/records.ts'
import { contentRootOf, type ContentTensor } from '../../src/tensors/manifest.ts'
import { AVERAGE, filesBelow, localOperations, TIES, writeModels, writeRecipe } from '../operations/local/world.ts'
import { numbers } from '../support/checkpoints.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

let original: string
beforeAll(async () => {
  original = await temporaryDirectory()
  await writeModels(original)
  const recipe = await writeRecipe(original, `${AVERAGE}out: {shard_bytes: 40000, dtype: float32}\n`)
  await localOperations().mergeLocal({ recipe, out: join(original, 'out') })
})

const contentOf = (tensors: readonly object[]) => contentRootOf(tensors as readonly ContentTensor[])

/** The same world elsewhere, its notes pointing there. */
async function world(): Promise<string> {
  const directory = await temporaryDirectory()
  await cp(original, directory, { recursive: true })
  const notes = join(directory, 'out', '.tributary', 'sources.json')
  await writeFile(notes, (await readFile(notes, 'utf8')).replaceAll(original, directory))
  return directory
}

const audit = (directory: string, inputs: readonly string[] = []) =>
  localOperations().auditLocal({ target: join(directory, 'out'), inputs })

async function flip(path: string, bit: number): Promise<void> {
  const bytes = await readFile(path)
  bytes[Math.floor(bit / 8)]! ^= 1 << (bit % 8)
  await writeFile(path, bytes)
}

test('[AUD-1] a merge that nobody touched passes, from its directory or its receipt', async () => {
  const directory = await world()
  for (const target of [join(directory, 'out'), join(directory, 'out', 'receipt.json')])
    expect(await localOperations().auditLocal({ target, inputs: [] })).toMatchObject({
      verdict: 'passed',
      checked: { inputs: 3, tensors: 6, output: true },
      signed: false,
    })
})

test('[AUD-2] one flipped bit anywhere in the output is found, and its file or tensor named', async () => {
  const directory = await world()
  const next = numbers(77)
  const files = [...(await filesBelow(join(directory, 'out'))).keys()].filter((path) => !path.startsWith('.tributary'))
  expect(files).toHaveLength(7)
  for (const path of files) {
    const location = join(directory, 'out', path)
    const whole = await readFile(location)
    for (let round = 0; round < 6; round++) {
      const bit = Math.floor(((next() + 1) / 2) * whole.length * 8)
      await flip(location, bit)
      const report = await audit(directory)
      expect(report.verdict, `bit ${bit} of ${path}`).toBe('failed')
      const { what, name, tensor, tile } = report.difference!
      if (what === 'tensor') expect([tensor, tile]).toEqual([name, 0])
      else expect(name.endsWith(path) || what === 'index', `${what} ${name}`).toBe(true)
      await writeFile(location, whole)
    }
  }
  expect((await audit(directory)).verdict).toBe('passed')
}, 60_000)

test('[AUD-3] one flipped bit in the weights of an input is found, and the input and its tensor named', async () => {
  const directory = await world()
  const next = numbers(78)
  for (const input of ['a', 'b', 'c']) {
    const location = join(directory, input, 'model.safetensors')
    const whole = await readFile(location)
    for (const place of [0, 9, 60, ...Array.from({ length: 6 }, () => Math.floor((next() + 1) * 0.5 * whole.length))]) {
      await flip(location, place * 8 + (place % 8))
      const report = await audit(directory)
      await writeFile(location, whole)
      const { metadata } = { metadata: '"__metadata__":{"format":"pt"}' }
      const inMetadata = whole.indexOf(metadata) <= place && place < whole.indexOf(metadata) + metadata.length
      // names and notes of a header that no tensor needs are not content
      if (inMetadata && report.verdict === 'passed') continue
      expect(report, `byte ${place} of ${input}`).toMatchObject({
        verdict: 'failed',
        difference: { what: 'input', name: join(directory, input) },
      })
      if (place > 1000) expect(report.difference?.tensor).toMatch(/^model\./)
    }
  }
}, 60_000)

test('[AUD-4] the tile of a large tensor that differs is named', async () => {
  const directory = await temporaryDirectory()
  await writeModels(directory)
  const { floats, writeCheckpoint } = await import('../support/checkpoints.ts')
  for (const [i, name] of ['a', 'b', 'c'].entries())
    await writeCheckpoint(join(directory, name), [floats('big', 'F32', [1024, 700], numbers(i))])
  await localOperations().mergeLocal({ recipe: await writeRecipe(directory, AVERAGE), out: join(directory, 'out') })
  const weights = join(directory, 'out', 'model.safetensors')
  await flip(weights, (await readFile(weights)).length * 8 - 5)
  expect((await audit(directory)).difference).toMatchObject({ what: 'tensor', tensor: 'big', tile: 2 })
})

test('[AUD-5] inputs that lie nowhere are listed by content, and found again where the auditor says', async () => {
  const directory = await world()
  await rename(join(directory, 'b'), join(directory, 'moved'))
  const report = await audit(directory)
  expect(report.verdict).toBe('inputs_missing')
  expect(report.missing).toHaveLength(1)
  for (const input of [join(directory, 'moved'), directory])
    expect((await audit(directory, [input])).verdict).toBe('passed')
})

test('[AUD-6] a changed copy is no failure where the true input is given too', async () => {
  const directory = await world()
  await cp(join(directory, 'a'), join(directory, 'true-a'), { recursive: true })
  await flip(join(directory, 'a', 'model.safetensors'), 8 * 2000)
  expect((await audit(directory)).verdict).toBe('failed')
  expect((await audit(directory, [join(directory, 'true-a')])).verdict).toBe('passed')
})

test('[AUD-7] a forged receipt with ids that agree is refuted by the replay', async () => {
  const directory = await world()
  const path = join(directory, 'out', 'receipt.json')
  const { statement, about } = parseReceipt(await readFile(path))
  const forge = async (changed: typeof statement) => {
    await writeFile(path, receiptBytes(makeReceipt(changed, { ...about, statement: statementIdOf(changed) })))
    return audit(directory)
  }
  const [first, ...inputs] = statement.inputs
  const forged = [
    { ...statement, seed: 'ab'.repeat(32) },
    { ...statement, inputs: [{ ...first!, weight: '0.75' }, ...inputs] },
    { ...statement, versions: [['weight_average', 9]] as const },
    { ...statement, scalars: [['model.norm', ['1']]] as const },
    { ...statement, output: { ...statement.output, files: statement.output.files.slice(1) } },
    { ...statement, output: { ...statement.output, content: statement.inputs[0]!['content'] as never } },
  ]
  for (const changed of forged) expect((await forge(changed)).verdict).toBe('failed')
  expect((await forge(statement)).verdict).toBe('passed')
})

test('[AUD-7] a receipt that names a tensor by a false root is refuted, and the tensor named', async () => {
  const directory = await world()
  const { statement, about } = parseReceipt(await readFile(join(directory, 'out', 'receipt.json')))
  const tensors = statement.output.tensors.map((tensor, i) =>
    i === 2 ? { ...tensor, root: 'ab'.repeat(32) as TensorRoot } : tensor,
  )
  const content = contentRootOf(tensors as readonly ContentTensor[])
  const forged = { ...statement, output: { ...statement.output, tensors, content } }
  const target = join(await temporaryDirectory(), 'receipt.json')
  await writeFile(target, receiptBytes(makeReceipt(forged, { ...about, statement: statementIdOf(forged) })))
  const report = await localOperations().auditLocal({ target, inputs: [directory] })
  expect(report).toMatchObject({
    verdict: 'failed',
    difference: { what: 'tensor', tensor: tensors[2]!.name, expected: tensors[2]!.root },
  })
})

test('[AUD-7] records that no merge writes are refuted, not stumbled over', async () => {
  const directory = await world()
  const path = join(directory, 'out', 'receipt.json')
  const { statement, about } = parseReceipt(await readFile(path))
  const { recipe, inputs, output } = statement
  const out = recipe['out'] as CanonicalRecord
  const [tensor, ...tensors] = output.tensors
  const recipes: readonly CanonicalRecord[] = [
    { ...recipe, out: 'here' },
    { ...recipe, out: { ...out, shard_bytes: 0 } },
    { ...recipe, out: { ...out, shard_bytes: 'x' } },
    { ...recipe, out: { ...out, files: [['a']] } },
    { ...recipe, mismatch: ['error'] },
    { ...recipe, overrides: 'none' },
    { ...recipe, params: 7 },
  ]
  const forged = [
    ...recipes.map((record) => ({ ...statement, recipe: record, recipe_id: recipeIdOf(record) })),
    { ...statement, inputs: [{ ...inputs[0]!, weight: '01' }, ...inputs.slice(1)] },
    { ...statement, inputs: [{ ...inputs[0]!, role: 5 }, ...inputs.slice(1)] },
    { ...statement, output: { ...output, files: [['../../etc/passwd', 'ab'.repeat(32)] as const] } },
    { ...statement, output: { ...output, tensors: [{ ...tensor!, dtype: 'F99' }, ...tensors] } },
    { ...statement, output: { ...output, tensors: [{ ...tensor!, shape: [-1] }, ...tensors] } },
    { ...statement, output: { ...output, tensors: [tensor!, ...output.tensors] } },
  ].map((one) => {
    const records = { recipe: one.recipe, inputs: one.inputs }
    return { ...one, merge: mergeIdOf(records), output: { ...one.output, content: contentOf(one.output.tensors) } }
  })
  for (const [i, changed] of forged.entries()) {
    await writeFile(path, receiptBytes(makeReceipt(changed, { ...about, statement: statementIdOf(changed) })))
    expect((await audit(directory)).verdict, `forged ${i}`).toBe('failed')
  }
})

test('[AUD-8] a receipt that is none, and a directory without one, are told apart', async () => {
  const directory = await world()
  const path = join(directory, 'out', 'receipt.json')
  const text = printReceipt(parseReceipt(await readFile(path)))
  for (const broken of ['', '{}', text.slice(1), `${text} `, text.replace('  ', ' ')]) {
    await writeFile(path, broken)
    expect((await audit(directory)).difference?.what).toBe('receipt')
  }
  await rm(path)
  await expect(audit(directory)).rejects.toMatchObject({ code: 'RECEIPT_NOT_FOUND' })
})

test('[AUD-9] a file that a loader might take for the model may not lie beside it', async () => {
  const directory = await world()
  await cp(join(directory, 'a', 'model.safetensors'), join(directory, 'out', 'model.safetensors'))
  expect((await audit(directory)).difference).toMatchObject({ what: 'file', name: 'model.safetensors' })
})

test('[AUD-10] a receipt alone is replayed without its output, and a strategy with a base passes', async () => {
  const directory = await temporaryDirectory()
  await writeModels(directory)
  await localOperations().mergeLocal({ recipe: await writeRecipe(directory, TIES), out: join(directory, 'out') })
  expect((await audit(directory)).verdict).toBe('passed')
  const target = join(await temporaryDirectory(), 'receipt.json')
  await cp(join(directory, 'out', 'receipt.json'), target)
  expect(await localOperations().auditLocal({ target, inputs: [directory] })).toMatchObject({
    verdict: 'passed',
    checked: { output: false, tensors: 6, inputs: 3 },
  })
})
