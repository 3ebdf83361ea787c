import { expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../../src/core/bytes.ts'
import { tellDtype } from '../../src/merging/config-json.ts'
import { outputFilesOf, sharedDtypeOf } from '../../src/merging/output-files.ts'
import type { Resolved } from '../../src/recipes/resolve.ts'
import { refusalOf } from '../support/refusal.ts'

const tell = (text: string, dtype: Parameters<typeof tellDtype>[1] = 'BF16') => fromUtf8(tellDtype(utf8(text), dtype))

test('[MRG-14] the value is replaced and every other byte kept', () => {
  expect(tell('{"a": {"dtype": "float32"},\n\t"torch_dtype" :  "float16", "dtype":"torch.float32"}')).toBe(
    '{"a": {"dtype": "float32"},\n\t"torch_dtype" :  "bfloat16", "dtype":"bfloat16"}',
  )
  expect(tell('{"note": "\\"dtype\\": \\"float32\\"", "dtype": "float32", "x": ["dtype", "float32"]}')).toBe(
    '{"note": "\\"dtype\\": \\"float32\\"", "dtype": "bfloat16", "x": ["dtype", "float32"]}',
  )
})

test('[MRG-14] what names the right type, no type, or is no JSON stays whole', () => {
  for (const text of [
    '{"torch_dtype": "bfloat16"}',
    '{"torch_dtype": "torch.bfloat16"}',
    '{"torch_dtype": "auto", "dtype": null}',
    '{"architectures": ["dtype"]}',
    '["dtype", "float32"]',
    '{"dtype": "float32"',
    '',
  ])
    expect(tell(text)).toBe(text)
  expect(tell('{"dtype": "float32"}', 'I64')).toBe('{"dtype": "float32"}')
})

test('[MRG-14] a dtype is told where all float tensors of the output share it', () => {
  const shared = (...dtypes: readonly string[]) =>
    sharedDtypeOf({ alignment: { tensors: dtypes.map((dtype) => ({ dtype })) } } as unknown as Resolved)
  expect(shared('BF16', 'I64', 'BF16')).toBe('BF16')
  expect(shared('BF16', 'F32')).toBeUndefined()
  expect(shared('I64')).toBeUndefined()
})

test('[MRG-14] a config.json that is another than the recipe names is refused', () => {
  const recipe = { out: { files: [['config.json', '0'.repeat(64)]] } }
  const resolved = { recipe, alignment: { tensors: [] } } as unknown as Resolved
  expect(refusalOf(() => outputFilesOf(resolved, utf8('{}'))).code).toBe('DIGEST_MISMATCH')
})
