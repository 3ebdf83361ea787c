/**
 * Makes four small checkpoints shaped like a language model: a base and three fine-tunes of it, bf16, a few MB each.
 * The same bytes on every run. `node examples/make-checkpoints.mjs [DIR]`, by default examples/out/checkpoints.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const HIDDEN = 128
const INTERMEDIATE = 352
const LAYERS = 4
const VOCABULARY = 2048

/** What each fine-tune changes, how strongly, and in which layers. */
const FINE_TUNES = [
  { name: 'chat', seed: 11, strength: 0.004, layers: [0, 1, 2, 3] },
  { name: 'code', seed: 22, strength: 0.006, layers: [1, 2, 3] },
  { name: 'maths', seed: 33, strength: 0.005, layers: [2, 3] },
]

function shapes() {
  const list = [['model.embed_tokens.weight', [VOCABULARY, HIDDEN]]]
  for (let layer = 0; layer < LAYERS; layer++) {
    const at = `model.layers.${layer}`
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'o_proj'])
      list.push([`${at}.self_attn.${part}.weight`, [HIDDEN, HIDDEN]])
    for (const part of ['gate_proj', 'up_proj']) list.push([`${at}.mlp.${part}.weight`, [INTERMEDIATE, HIDDEN]])
    list.push([`${at}.mlp.down_proj.weight`, [HIDDEN, INTERMEDIATE]])
    for (const part of ['input_layernorm', 'post_attention_layernorm']) list.push([`${at}.${part}.weight`, [HIDDEN]])
  }
  list.push(['model.norm.weight', [HIDDEN]], ['lm_head.weight', [VOCABULARY, HIDDEN]])
  return list
}

/** Whole numbers from 0 below 2^32, without pattern: xorshift. */
function words(seed) {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** A bell around zero: the sum of four words. */
const bell = (next) => (next() + next() + next() + next()) / 2 ** 32 - 2

const cell = new DataView(new ArrayBuffer(4))
/** The nearest bf16 of a finite number, ties to even. */
function bf16(value) {
  cell.setFloat32(0, value)
  const bits = cell.getUint32(0)
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

const count = (shape) => shape.reduce((product, length) => product * length, 1)

function makeBase() {
  const next = words(1)
  return shapes().map(([name, shape]) => {
    const isNorm = name.endsWith('norm.weight')
    return { name, shape, values: Float32Array.from({ length: count(shape) }, () => (isNorm ? 1 : 0.02 * bell(next))) }
  })
}

function fineTune(base, { seed, strength, layers }) {
  const next = words(seed)
  const isTouched = (name) => !name.includes('.layers.') || layers.some((layer) => name.includes(`.layers.${layer}.`))
  return base.map(({ name, shape, values }) => ({
    name,
    shape,
    values: isTouched(name) ? values.map((value) => value + strength * bell(next)) : values,
  }))
}

/** One safetensors file: eight bytes of length, a JSON header, the tensors one after the other. */
function safetensors(tensors) {
  const header = { __metadata__: { format: 'pt' } }
  let end = 0
  for (const { name, shape, values } of tensors) {
    const begin = end
    end += values.length * 2
    header[name] = { dtype: 'BF16', shape, data_offsets: [begin, end] }
  }
  const text = JSON.stringify(header)
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  const data = tensors.map(({ values }) => Buffer.from(Uint16Array.from(values, bf16).buffer))
  return Buffer.concat([length, json, ...data])
}

const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: HIDDEN,
  intermediate_size: INTERMEDIATE,
  num_hidden_layers: LAYERS,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  vocab_size: VOCABULARY,
  tie_word_embeddings: false,
  torch_dtype: 'bfloat16',
}

const TOKENIZER = {
  version: '1.0',
  model: {
    type: 'WordLevel',
    vocab: Object.fromEntries(Array.from({ length: VOCABULARY }, (_, i) => [i === 0 ? '<unk>' : `t${i}`, i])),
    unk_token: '<unk>',
  },
}

/** Answers the names of the directories it made. */
export function makeCheckpoints(directory) {
  const base = makeBase()
  const models = [{ name: 'base', tensors: base }]
  for (const tune of FINE_TUNES) models.push({ name: tune.name, tensors: fineTune(base, tune) })
  for (const { name, tensors } of models) {
    const place = join(directory, name)
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'model.safetensors'), safetensors(tensors))
    writeFileSync(join(place, 'config.json'), `${JSON.stringify(CONFIG, null, 2)}\n`)
    writeFileSync(join(place, 'tokenizer.json'), `${JSON.stringify(TOKENIZER)}\n`)
  }
  return models.map(({ name }) => name)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const directory = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), 'out', 'checkpoints')
  console.log(`${directory}: ${makeCheckpoints(directory).join(', ')}`)
}
