/** How far two checkpoints are apart, in units of the last place of bf16. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'

function* tensorsOf(folder) {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.safetensors'))) {
    const path = join(folder, name)
    const file = openSync(path, 'r')
    const head = Buffer.alloc(8)
    readSync(file, head, 0, 8, 0)
    const length = Number(head.readBigUInt64LE())
    const text = Buffer.alloc(length)
    readSync(file, text, 0, length, 8)
    closeSync(file)
    for (const [tensor, { dtype, data_offsets: offsets }] of Object.entries(JSON.parse(text)))
      if (tensor !== '__metadata__')
        yield [tensor, { path, dtype, start: 8 + length + offsets[0], bytes: offsets[1] - offsets[0] }]
  }
}

function floatsOf({ path, dtype, start, bytes }) {
  const raw = new Uint8Array(bytes)
  const file = openSync(path, 'r')
  readSync(file, raw, 0, bytes, start)
  closeSync(file)
  if (dtype === 'F32') return new Float32Array(raw.buffer)
  if (dtype !== 'BF16') throw new Error(`${dtype} is not compared`)
  return new Float32Array(Uint32Array.from(new Uint16Array(raw.buffer), (code) => code << 16).buffer)
}

const words = new Uint32Array(1)
const float = new Float32Array(words.buffer)
/** The place value of the last of bf16's eight bits, for numbers of this size. */
function lastPlace(size) {
  float[0] = size
  words[0] &= 0x7f800000
  return Math.max(float[0], 2 ** -126) * 2 ** -7
}

/** { most, mean, equal }: units apart at most and on average, and the share of elements that are equal. */
export function difference(one, other) {
  const there = new Map(tensorsOf(other))
  let [most, total, equal, count] = [0, 0, 0, 0]
  for (const [name, tensor] of tensorsOf(one)) {
    const twin = there.get(name)
    if (!twin) throw new Error(`${name} is in ${one} alone`)
    const [a, b] = [floatsOf(tensor), floatsOf(twin)]
    if (a.length !== b.length) throw new Error(`${name} has two sizes`)
    count += a.length
    for (let i = 0; i < a.length; i++) {
      const gap = Math.abs(a[i] - b[i])
      if (gap === 0) {
        equal++
        continue
      }
      const units = gap / lastPlace(Math.max(Math.abs(a[i]), Math.abs(b[i])))
      total += units
      if (!(units <= most)) most = units
    }
  }
  return { most, mean: total / count, equal: equal / count }
}
