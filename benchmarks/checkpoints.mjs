/** Checkpoints to merge: numbers like those of a base model and its fine-tunes, the same on every run. */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const SIZES = { BF16: 2, F16: 2, F32: 4 }
/** Elements that are drawn; more are these again from another place. */
const DRAWN = 1 << 21

function gaussian(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  // the sum of twelve uniform numbers is near enough, and asks nothing of Math that machines answer differently
  return Float32Array.from({ length: DRAWN }, () => {
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

let drawn
/** base 0 is the base itself; others are it with small changes. */
export function writeCheckpoint(folder, { bytes, dtype = 'BF16', seed }) {
  drawn ??= gaussian(1)
  const changes = seed === 0 ? undefined : gaussian(seed + 1)
  const values = drawn.map((value, i) => value * 0.02 + (changes ? changes[i] * 0.001 : 0))
  const block = encoded(values, dtype)
  const size = SIZES[dtype]
  const rows = Math.floor(bytes / size / 1024)
  const first = Math.floor(rows / 2)
  const tensor = (from, to) => ({
    dtype,
    shape: [to - from, 1024],
    data_offsets: [from * 1024 * size, to * 1024 * size],
  })
  const text = JSON.stringify({ embed: tensor(0, first), layers: tensor(first, rows) })
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'config.json'), '{"model_type":"llama","torch_dtype":"bfloat16"}\n')
  const file = openSync(join(folder, 'model.safetensors'), 'w')
  try {
    writeSync(file, length)
    writeSync(file, header)
    for (let left = rows * 1024 * size; left > 0; left -= block.length)
      writeSync(file, block, 0, Math.min(left, block.length))
  } finally {
    closeSync(file)
  }
}
