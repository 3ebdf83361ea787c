/**
 * Whole merges from a recipe to the files of a checkpoint: each strategy with its defaults, of two models and of
 * five, and with each other choice of a parameter, of three. The digest covers the weights and the receipt's statement; a
 * merge that is refused counts by its code.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Digest, words } from './numbers.mjs'

const MODELS = ['base', 'a', 'b', 'c', 'd', 'e']
const WEIGHTS = [1, 0.5, 0.3, 0.2, 1.7]
const SIZES = { BF16: 2, F16: 2, F32: 4, F8_E4M3: 1 }
/** Lowest bit of the exponent, and its width. */
const EXPONENTS = { BF16: [7, 8], F16: [10, 5], F32: [23, 8], F8_E4M3: [3, 4] }

/** A code of one dtype, below 2 in magnitude, so that no sum of a few is beyond it. */
const DRAWS = {
  wide: (bits) => bits,
  tied: (bits, [low, width]) => (bits & ((0b101 << (low - 2)) >>> 0)) | (((2 ** (width - 1) - 2) << low) >>> 0),
  subnormal: (bits, [low]) => bits & (2 ** low - 1),
  tunes: (bits, [low, width]) => (bits & (2 ** (low + 1) - 1)) | (((2 ** (width - 1) - 4) << low) >>> 0),
  zeros: () => 0,
}

function tensorsOf(model) {
  const tensors = []
  for (const dtype of Object.keys(SIZES))
    for (const kind of dtype === 'F8_E4M3' ? ['wide'] : Object.keys(DRAWS)) {
      const shape = kind === 'tunes' ? [67, 65] : kind === 'zeros' ? [] : [3, 111]
      const count = shape.reduce((product, length) => product * length, 1)
      const next = words(tensors.length * 16 + model + 1)
      const size = SIZES[dtype]
      const bits = 8 * size
      const [low, width] = EXPONENTS[dtype]
      const below = ~((2 ** (low + width - 1)) | 0) // without the exponent's top bit
      const bytes = Buffer.alloc(count * size)
      for (let i = 0; i < count; i++) {
        const word = next()
        const sign = (word >>> 31) * 2 ** (bits - 1)
        const code = DRAWS[kind](word & (2 ** (bits - 1) - 1) & below, EXPONENTS[dtype]) >>> 0
        bytes.writeUIntLE(code + (kind === 'zeros' ? 0 : sign), i * size, size)
      }
      tensors.push({ name: `${dtype.toLowerCase()}.${kind}`, dtype, shape, bytes })
    }
  return tensors
}

export function writeModels(folder) {
  MODELS.forEach((name, model) => {
    const header = {}
    let end = 0
    const tensors = tensorsOf(model)
    for (const { name: tensor, dtype, shape, bytes } of tensors)
      header[tensor] = { dtype, shape, data_offsets: [end, (end += bytes.length)] }
    const text = JSON.stringify(header)
    const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(padded.length))
    mkdirSync(join(folder, name), { recursive: true })
    const parts = [length, padded, ...tensors.map(({ bytes }) => bytes)]
    writeFileSync(join(folder, name, 'model.safetensors'), Buffer.concat(parts))
    writeFileSync(join(folder, name, 'config.json'), '{"model_type": "tiny", "torch_dtype": "bfloat16"}\n')
  })
}

/** The defaults, and every other choice of a parameter that has a few. */
function* variants({ params, perContribution }) {
  const density = perContribution?.properties?.density ? { density: 0.5 } : {}
  yield ['default', density]
  for (const [name, property] of Object.entries(params?.properties ?? {})) {
    if (property.type === 'boolean') yield [`${name}=${!property.default}`, { ...density, [name]: !property.default }]
    for (const choice of property.anyOf ?? [])
      if (choice.const !== undefined && choice.const !== property.default)
        yield [`${name}=${choice.const}`, { ...density, [name]: choice.const }]
  }
}

function recipeOf(strategy, params, count) {
  const names = MODELS.slice(1, 1 + count)
  return JSON.stringify({
    tributary: 1,
    strategy: { id: strategy.id, params },
    ...(strategy.needs.base !== 'none' && { base: 'base' }),
    weights: names.map((name, i) => [name, WEIGHTS[i]]),
    seed: 7,
  })
}

/** [name, digest] for each merge that `operations` runs over the models of a folder. */
export async function* mergeVectors(operations, strategies, folder, { only = () => true } = {}) {
  let made = 0
  for (const strategy of strategies)
    for (const [variant, params] of variants(strategy))
      for (const count of variant === 'default' ? [2, 5] : [3]) {
        const name = `${strategy.id}/${variant}/of-${count}`
        if (!only(name)) continue
        const recipe = join(folder, 'recipe.yml')
        writeFileSync(recipe, recipeOf(strategy, params, count))
        yield [name, await digestOf(operations, recipe, join(folder, `out-${made++}`))]
      }
}

async function digestOf(operations, recipe, out) {
  const digest = new Digest()
  try {
    const { receipt } = await operations.mergeLocal({ recipe, out })
    digest.text(receipt.statement_id).bytes(readFileSync(join(out, 'model.safetensors')))
  } catch (error) {
    if (typeof error.code !== 'string' || !/^[A-Z_]+$/.test(error.code)) throw error
    digest.text(`refused: ${error.code}`)
  }
  return digest.hex()
}
