/** How a recipe says what the output is to be: element type and size of a shard. */
import { type FloatDtype, isDtype, isFloat } from '../tensors/dtypes.ts'
import { suggest } from '../core/closest.ts'
import { parseSize, SIZE_HINT } from '../core/size.ts'
import { invalid, integerOf, show, textOf } from './reader.ts'

export type OutputDtype = FloatDtype | 'auto'

/** What people write for the types of safetensors. */
const SPELLINGS: Readonly<Record<string, OutputDtype>> = {
  auto: 'auto',
  float64: 'F64',
  fp64: 'F64',
  f64: 'F64',
  float32: 'F32',
  fp32: 'F32',
  f32: 'F32',
  float16: 'F16',
  fp16: 'F16',
  f16: 'F16',
  half: 'F16',
  bfloat16: 'BF16',
  bf16: 'BF16',
  float8_e4m3fn: 'F8_E4M3',
  f8_e4m3: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
  f8_e5m2: 'F8_E5M2',
}

export function parseOutputDtype(value: unknown, pointer: string): OutputDtype {
  const text = textOf(value, pointer)
    .toLowerCase()
    .replace(/^torch\./, '')
  const dtype = Object.hasOwn(SPELLINGS, text) ? SPELLINGS[text] : undefined
  if (dtype !== undefined) return dtype
  const upper = text.toUpperCase()
  if (isDtype(upper) && !isFloat(upper)) throw invalid(pointer, `is ${upper}, which holds no merged numbers`)
  throw invalid(pointer, `is no dtype: ${show(value)}`, suggest(text, Object.keys(SPELLINGS)))
}

/** What Hugging Face tools cut at. */
const SHARD_BYTES = 5e9

/** Bytes, or a number with a unit: 5GB, 512MiB. */
export function parseShardBytes(value: unknown, pointer: string): number {
  if (value === undefined) return SHARD_BYTES
  if (typeof value !== 'string' || !/[A-Za-z]$/.test(value)) return integerOf(value, pointer, 1)
  const bytes = parseSize(value)
  if (bytes === undefined) throw invalid(pointer, `is no size: ${show(value)}`, SIZE_HINT)
  return bytes
}
