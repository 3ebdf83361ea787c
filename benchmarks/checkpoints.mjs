/** Checkpoints to merge: numbers like those of a base model and its fine-tunes, the same on every run. */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const SIZES = { BF16: 2, F16: 2, F32: 4 }
/** Elements that are drawn; more are these again from another place. */
const DRAWN = 1 << 21

function gaussian(seed, length = DRAWN) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  // the sum of twelve uniform numbers is near enough, and asks nothing of Math that machines answer differently
  return Float32Array.from({ length }, () => {
    let sum = -6
    for (let i = 0; i < 12; i++) sum += next()
    return sum
  })
}

/** An f32 as the bytes of a dtype; cut, not rounded, which is as good for numbers that mean nothing. */
function encoded(values, dtype) {
  if (dtype === 'F32') return new Uint8Array(values.buffer)
  const words = new Uint32Array(values.buffer)
  const half = (bits) => {
    const exponent = ((bits >>> 23) & 0xff) - 112
    const sign = (bits >>> 16) & 0x8000
    if (exponent <= 0) return sign | (((bits & 0x7fffff) | 0x800000) >>> Math.min(31, 14 - exponent))
    return sign | (exponent << 10) | ((bits >>> 13) & 0x3ff)
  }
  const codes = Uint16Array.from(words, dtype === 'BF16' ? (bits) => bits >>> 16 : half)
  return new Uint8Array(codes.buffer)
}

/** Two tensors of `bytes` together, as a large embedding and large layers are. */
export function inHalves(bytes, dtype) {
  const rows = Math.floor(bytes / SIZES[dtype] / 1024)
  const first = Math.floor(rows / 2)
  return [
    ['embed', [first, 1024]],
    ['layers', [rows - first, 1024]],
  ]
}

/** So many tensors of equal size, of `bytes` together. */
export function inTensors(count, bytes, dtype) {
  const width = Math.max(1, Math.floor(bytes / SIZES[dtype] / count / 64))
  return Array.from({ length: count }, (_, i) => [`model.layers.${i}.weight`, [width, 64]])
}

export const bytesOf = (shapes, dtype) =>
  shapes.reduce((sum, [, shape]) => sum + shape.reduce((product, length) => product * length, 1), 0) * SIZES[dtype]

/** All numbers but the base's are the base's with small changes. Seed 0 is the base. */
function blockOf(seed, dtype, bytes) {
  const length = Math.min(DRAWN, Math.ceil(bytes / SIZES[dtype]))
  drawn ??= gaussian(1)
  const changes = seed === 0 ? undefined : gaussian(seed + 1, length)
  return encoded(
    drawn.subarray(0, length).map((value, i) => value * 0.02 + (changes ? changes[i] * 0.001 : 0)),
    dtype,
  )
}
let drawn

const CONFIG = '{"model_type":"llama","torch_dtype":"bfloat16"}\n'

/** `block`: bytes that are said over and over, in the place of what `seed` makes. */
export function writeCheckpoint(
  folder,
  { bytes, dtype = 'BF16', seed, shapes = inHalves(bytes, dtype), config = CONFIG, block },
) {
  let end = 0
  const header = Object.fromEntries(
    shapes.map(([name, shape]) => [
      name,
      { dtype, shape, data_offsets: [end, (end += bytesOf([[name, shape]], dtype))] },
    ]),
  )
  const text = JSON.stringify(header)
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'config.json'), config)
  block ??= blockOf(seed, dtype, end)
  const file = openSync(join(folder, 'model.safetensors'), 'w')
  try {
    writeSync(file, length)
    writeSync(file, padded)
    for (let left = end; left > 0; left -= block.length) writeSync(file, block, 0, Math.min(left, block.length))
  } finally {
    closeSync(file)
  }
}
