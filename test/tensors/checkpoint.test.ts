import { describe, expect, test } from 'vitest'
import { assembleCheckpoint, chooseFiles, parseIndex } from '../../src/tensors/checkpoint.ts'
import { checkModelPath } from '../../src/tensors/names.ts'
import { parseHeader, type SafetensorsHeader, writeHeader } from '../../src/tensors/safetensors.ts'
import { refusalOf } from '../support/refusal.ts'

const listed = (...paths: string[]) => paths.map((path) => ({ path, bytes: 10 }))
const headerOf = (...names: string[]): SafetensorsHeader =>
  parseHeader(writeHeader(names.map((name) => ({ name, dtype: 'F32', shape: [2] }))))
const indexOf = (weightMap: Record<string, string>, totalSize = 0) =>
  parseIndex(JSON.stringify({ metadata: { total_size: totalSize }, weight_map: weightMap }))

const TWO = { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' }

describe('which files are the model', () => {
  test('[IDX-1] an index names the weights; other files stay beside them', () => {
    expect(
      chooseFiles(listed('config.json', ...Object.values(TWO), 'model.safetensors.index.json'), indexOf(TWO)),
    ).toEqual({
      weights: Object.values(TWO),
      files: ['config.json', 'model.safetensors.index.json'],
      leftOut: [],
    })
  })

  test('[IDX-2] without an index, model.safetensors alone is the model', () => {
    const chosen = chooseFiles(listed('model.safetensors', 'consolidated.safetensors', 'README.md'))
    expect(chosen.weights).toEqual(['model.safetensors'])
    expect(chosen.leftOut).toEqual([{ path: 'consolidated.safetensors', why: 'model.safetensors is the whole model' }])
  })

  test('[IDX-2] without an index, shards at the top are the model, whatever they are called', () => {
    expect(chooseFiles(listed(TWO.b, TWO.a)).weights).toEqual([TWO.a, TWO.b])
    expect(chooseFiles(listed('adapter_model.safetensors', 'adapter_config.json')).weights).toEqual([
      'adapter_model.safetensors',
    ])
  })

  test('[IDX-3] what is not taken is listed with its reason', () => {
    const { files, leftOut } = chooseFiles(
      listed(
        ...Object.values(TWO),
        'pytorch_model.bin',
        'pytorch_model.bin.index.json',
        'optimizer.PT',
        'training_args.bin',
        'scheduler.pkl',
        'a/last.ckpt',
        'x.pth',
        'consolidated.safetensors',
        'text_encoder/model.safetensors',
        '.cache/huggingface/lock',
        '.gitattributes',
        'tokenizer.model',
      ),
      indexOf(TWO),
    )
    expect(files).toEqual(['.gitattributes', 'tokenizer.model'])
    expect(
      Object.fromEntries(leftOut.map(({ path, why }) => [path, /pickle|hidden|subdirectory|index/.exec(why)?.[0]])),
    ).toEqual({
      '.cache/huggingface/lock': 'hidden',
      'a/last.ckpt': 'pickle',
      'consolidated.safetensors': 'index',
      'optimizer.PT': 'pickle',
      'pytorch_model.bin': 'pickle',
      'pytorch_model.bin.index.json': 'pickle',
      'scheduler.pkl': 'pickle',
      'text_encoder/model.safetensors': 'subdirectory',
      'training_args.bin': 'pickle',
      'x.pth': 'pickle',
    })
  })

  test('[IDX-3] a directory without weights is refused with what to do about what is there', () => {
    expect(refusalOf(() => chooseFiles(listed('pytorch_model.bin', 'config.json')))).toMatchObject({
      code: 'CHECKPOINT_EMPTY',
      hint: expect.stringContaining('convert "pytorch_model.bin"') as string,
    })
    expect(refusalOf(() => chooseFiles(listed('checkpoint-500/model.safetensors'))).hint).toContain(
      'push "checkpoint-500"',
    )
    expect(refusalOf(() => chooseFiles([])).code).toBe('CHECKPOINT_EMPTY')
  })

  test('[IDX-4] shards that the index names and that are not there are refused by name', () => {
    expect(refusalOf(() => chooseFiles(listed(TWO.a), indexOf(TWO)))).toMatchObject({
      code: 'INDEX_MISMATCH',
      message: expect.stringMatching(
        /1 of 2 shards that are not there, the first "model-00002-of-00002.safetensors", with 1 tensors/,
      ) as string,
    })
  })

  test('[IDX-4] a single file beside an index of other shards is refused: loaders disagree', () => {
    const files = listed('model.safetensors', ...Object.values(TWO))
    expect(refusalOf(() => chooseFiles(files, indexOf(TWO))).message).toMatch(
      /holds both model.safetensors and an index/,
    )
    expect(chooseFiles(listed('model.safetensors'), indexOf({ a: 'model.safetensors' })).weights).toEqual([
      'model.safetensors',
    ])
  })
})

describe('the index', () => {
  const headers = new Map([
    [TWO.b, headerOf('b')],
    [TWO.a, headerOf('a')],
  ])

  test('[IDX-5] tensors come sorted, each with its file; total_size may say anything', () => {
    const tensors = assembleCheckpoint(headers, indexOf(TWO, -1))
    expect(tensors.map(({ name, path, begin }) => [name, path, begin])).toEqual([
      ['a', TWO.a, 0],
      ['b', TWO.b, 0],
    ])
    expect(
      assembleCheckpoint(
        headers,
        parseIndex('{"metadata":{"total_size":1.5e300},"weight_map":' + JSON.stringify(TWO) + '}'),
      ),
    ).toEqual(tensors)
  })

  test('[IDX-5] without an index the shards speak for themselves', () => {
    expect(assembleCheckpoint(headers)).toEqual(assembleCheckpoint(headers, indexOf(TWO)))
  })

  test('[IDX-6] a tensor that its shard does not hold is refused', () => {
    const refusal = refusalOf(() => assembleCheckpoint(headers, indexOf({ ...TWO, 'mtp.fc.weight': TWO.b })))
    expect(refusal).toMatchObject({
      code: 'INDEX_MISMATCH',
      message:
        'model.safetensors.index.json puts tensor "mtp.fc.weight" into "model-00002-of-00002.safetensors", which holds 1 tensors, none of that name',
    })
    const swapped = refusalOf(() => assembleCheckpoint(headers, indexOf({ a: TWO.b, b: TWO.b })))
    expect(swapped.message).toContain('it is in "model-00001-of-00002.safetensors"')
  })

  test('[IDX-6] a tensor that the index does not name is refused', () => {
    const more = new Map([...headers, [TWO.b, headerOf('b', 'c')]])
    expect(refusalOf(() => assembleCheckpoint(more, indexOf(TWO)))).toMatchObject({
      code: 'INDEX_MISMATCH',
      message: expect.stringContaining('holds tensor "c", which') as string,
    })
  })

  test('[IDX-7] one name in two shards is refused, with both', () => {
    const twice = new Map([...headers, ['z.safetensors', headerOf('a')]])
    expect(refusalOf(() => assembleCheckpoint(twice))).toMatchObject({
      code: 'SAFETENSORS_DUPLICATE_NAME',
      message: 'tensor "a" is in two shards, "model-00001-of-00002.safetensors" and "z.safetensors"',
    })
  })

  test.each([
    ['not JSON', '{"weight_map":{', /is not JSON/],
    ['a key twice', '{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}', /the key "a" twice/],
    ['no weight_map', '{}', /has no weight_map/],
    ['a list', '[]', /has no weight_map/],
    ['a path out of the directory', '{"weight_map":{"a":"../x.safetensors"}}', /no name of a shard/],
    ['a subdirectory', '{"weight_map":{"a":"sub/x.safetensors"}}', /no name of a shard/],
    ['a pickle', '{"weight_map":{"a":"pytorch_model.bin"}}', /no name of a shard/],
    ['a number', '{"weight_map":{"a":1}}', /no name of a shard/],
  ])('[IDX-8] an index that is or names %s is refused', (_what, text, says) => {
    expect(refusalOf(() => parseIndex(text))).toMatchObject({
      code: 'INDEX_MISMATCH',
      message: expect.stringMatching(says) as string,
    })
  })
})

describe('paths', () => {
  test('[IDX-9] plain relative paths are files of a model', () => {
    for (const path of ['config.json', '1_Pooling/config.json', '.gitattributes', 'été.txt', 'a b', 'x'.repeat(512)])
      expect(() => checkModelPath(path)).not.toThrow()
  })

  test.each([
    '',
    '/etc/passwd',
    '../x',
    'a/../b',
    'a//b',
    './a',
    'a/',
    'a\\b',
    'C:/x',
    'a\u0000b',
    'e\u0301',
    'x'.repeat(513),
    '\ud800',
  ])('[IDX-9] %j is refused', (path) => expect(refusalOf(() => checkModelPath(path)).code).toBe('PATH_INVALID'))

  test('[IDX-9] a list of files is held to it, and lists each file once', () => {
    expect(refusalOf(() => chooseFiles(listed('model.safetensors', '../x'))).code).toBe('PATH_INVALID')
    expect(refusalOf(() => chooseFiles(listed('model.safetensors', 'x', 'x'))).message).toContain('"x" is listed twice')
  })
})
