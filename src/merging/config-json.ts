/**
 * The dtype a config.json names, put right: of the top level's `torch_dtype` and `dtype` the value alone is replaced, where
 * it names another float type than the output has. Every other byte stays; a config that isn't JSON stays whole.
 */
import { utf8 } from '../core/bytes.ts'
import type { Dtype } from '../tensors/dtypes.ts'

/** As PyTorch calls them. */
const TORCH_NAMES: Readonly<Partial<Record<Dtype, string>>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F8_E4M3: 'float8_e4m3fn',
  F8_E5M2: 'float8_e5m2',
}

export function tellDtype(config: Uint8Array, dtype: Dtype): Uint8Array {
  const name = TORCH_NAMES[dtype]
  const text = textOf(config)
  if (name === undefined || text === undefined) return config
  const known = new Set(Object.values(TORCH_NAMES))
  let told = ''
  let copied = 0
  for (const { begin, end } of namedDtypes(text)) {
    const value = JSON.parse(text.slice(begin, end)) as string
    const bare = value.replace(/^torch\./, '')
    if (bare === name || !known.has(bare)) continue
    told += `${text.slice(copied, begin)}"${name}"`
    copied = end
  }
  return copied === 0 ? config : utf8(told + text.slice(copied))
}

/** Undefined unless it is UTF-8 and a JSON object. */
function textOf(config: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(config)
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? text : undefined
  } catch {
    return undefined
  }
}

/** Places of the string values of `torch_dtype` and `dtype` at the top level, quotes included. */
function* namedDtypes(text: string): Generator<{ begin: number; end: number }> {
  const token = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/g
  let depth = 0
  let key: string | undefined
  let isValue = false
  for (const match of text.matchAll(token)) {
    const [found] = match
    if (found === '{' || found === '[') depth += 1
    else if (found === '}' || found === ']') depth -= 1
    if (depth !== 1) continue
    if (found === ':') isValue = true
    else if (found === ',') isValue = false
    else if (found.startsWith('"')) {
      if (!isValue) key = JSON.parse(found) as string
      else if (key === 'torch_dtype' || key === 'dtype') yield { begin: match.index, end: match.index + found.length }
    }
  }
}
