import { describe, expect, test, vi } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { utf8 } from '../../src/core/bytes.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { Strategy } from '../../src/core/strategy.ts'
import type { MergeRule, MergeTask, RuleInput, TaskTensor, TensorSlice } from '../../src/merging/task.ts'
import { keyOf, tensorKeys } from '../../src/merging/tensor-key.ts'

const hexOf = (word: string) => sha256Hex(utf8(word))
const slice = (word: string, more: Partial<TensorSlice> = {}): TensorSlice => ({
  path: `here/${word}`,
  offset: 8,
  bytes: 24,
  dtype: 'F32',
  root: hexOf(word),
  ...more,
})
const input = (place: number, word: string, more: Partial<RuleInput> = {}): RuleInput => ({
  input: place,
  weight: 1,
  params: {},
  value: slice(word),
  ...more,
})
const LINEAR: MergeRule = {
  kind: 'merge',
  strategy: 'linear',
  params: { normalize: true },
  inputs: [input(0, 'a'), input(1, 'b', { weight: 0.5 })],
}
const tensor = (rule: Partial<MergeRule> = {}, more: Partial<TaskTensor> = {}): TaskTensor => ({
  name: 'layer.w',
  shape: [2, 3],
  elements: 6,
  dtype: 'F32',
  target: { path: '', offset: 0, bytes: 24 },
  rule: { ...LINEAR, ...rule },
  ...more,
})
const task = (tensors: readonly TaskTensor[], more: Partial<MergeTask> = {}): MergeTask => ({
  merge: hexOf('merge'),
  seed: hexOf('seed'),
  inputs: ['a', 'b'].map((word) => ({ content: hexOf(`content of ${word}`), label: word })),
  tensors,
  tileBytes: 32 * 1024,
  ...more,
})
const keysOf = (one: MergeTask, all: readonly Strategy[] = strategies, name = 'layer.w') =>
  tensorKeys(one, all).get(name)
const key = (one: MergeTask, all?: readonly Strategy[]) => keysOf(one, all)?.anyOrder

const DARE: Partial<MergeRule> = {
  strategy: 'dare_linear',
  base: slice('base'),
  params: { lambda: 1, normalize: false, rescale_mode: 'l1' },
  inputs: ['a', 'b'].map((word, i) => input(i, word, { params: { density: 0.5 } })),
}
const PAPER: Partial<MergeRule> = {
  strategy: 'ties',
  base: slice('base'),
  params: { lambda: 1, normalize: true, consensus: 'sum', rescale_mode: 'none', profile: 'paper' },
  inputs: ['a', 'b'].map((word, i) => input(i, word, { params: { density: 0.5 } })),
}

describe('the key of a tensor', () => {
  const plain = key(task([tensor()]))

  test.each<[string, MergeTask, (readonly Strategy[])?]>([
    ['bytes of an input', task([tensor({ inputs: [input(0, 'a'), input(1, 'c', { weight: 0.5 })] })])],
    [
      'the dtype of an input',
      task([tensor({ inputs: [input(0, 'a', { value: slice('a', { dtype: 'I32' }) }), LINEAR.inputs[1]!] })]),
    ],
    ['a weight', task([tensor({ inputs: [input(0, 'a'), input(1, 'b', { weight: 0.25 })] })])],
    ['weights that change places', task([tensor({ inputs: [input(0, 'a', { weight: 0.5 }), input(1, 'b')] })])],
    ['one input more', task([tensor({ inputs: [...LINEAR.inputs, input(1, 'b')] })])],
    ['a parameter', task([tensor({ params: { normalize: false } })])],
    ['a parameter that is another kind of value', task([tensor({ params: { normalize: 'true' } })])],
    [
      "an input's parameter",
      task([tensor({ inputs: [input(0, 'a', { params: { density: 1 } }), LINEAR.inputs[1]!] })]),
    ],
    [
      "an input's sidecar",
      task([tensor({ inputs: [input(0, 'a', { sidecars: { fisher: slice('f') } }), LINEAR.inputs[1]!] })]),
    ],
    [
      'a role',
      task([tensor()], {
        inputs: [
          { content: hexOf('content of a'), label: 'a', role: 'x0' },
          { content: hexOf('content of b'), label: 'b' },
        ],
      }),
    ],
    ['a base', task([tensor({ base: slice('base') })])],
    ["the output's dtype", task([tensor({}, { dtype: 'BF16' })])],
    ['the shape', task([tensor({}, { shape: [3, 2] })])],
    ['the strategy', task([tensor({ strategy: 'weight_average', params: {} })])],
    [
      "the strategy's version",
      task([tensor()]),
      strategies.map((one) => (one.id === 'linear' ? { ...one, version: 2 } : one)),
    ],
  ])('[MRG-20] %s changes it', (_, other, all) => {
    expect(key(other, all)).toMatch(/^[0-9a-f]{64}$/)
    expect(key(other, all)).not.toBe(plain)
  })

  test.each<[string, MergeTask]>([
    ['the name of the tensor', task([tensor({}, { name: 'layer.w' }), tensor({}, { name: 'other' })])],
    ['other tensors', task([tensor(), tensor({ inputs: [input(0, 'x')] }, { name: 'other' })])],
    [
      'what inputs are called',
      task([tensor()], { inputs: ['a', 'b'].map((word) => ({ content: hexOf(`content of ${word}`), label: 'no' })) }),
    ],
    [
      'the other tensors of the inputs',
      task([tensor()], { inputs: ['x', 'y'].map((word) => ({ content: hexOf(word), label: word })) }),
    ],
    ['the seed, where nothing is drawn', task([tensor()], { seed: hexOf('other seed'), merge: hexOf('other merge') })],
    [
      'where bytes lie',
      task([
        tensor(
          { inputs: [input(0, 'a', { value: slice('a', { path: 'there', offset: 0 }) }), LINEAR.inputs[1]!] },
          { target: { path: 'out', offset: 9, bytes: 24 } },
        ),
      ]),
    ],
    ['the size of tiles', task([tensor()], { tileBytes: 64 * 1024 })],
    ['a parameter that is there and undefined', task([tensor({ params: { normalize: true, nothing: undefined } })])],
  ])('[MRG-20] %s leaves it as it is', (_, other) => {
    expect(key(other)).toBe(plain)
  })

  test('[MRG-20] the order of inputs counts where the strategy says so, and for scalars told input by input', () => {
    const turned = task([tensor({ inputs: [...LINEAR.inputs].reverse() })])
    expect(keysOf(turned)?.thisOrder).not.toBe(keysOf(task([tensor()]))?.thisOrder)
    expect(key(turned)).toBe(plain)
    const both = [turned, task([tensor()])].map((one) => keysOf(one)!)
    const keys = both.find(({ anyOrder, thisOrder }) => anyOrder !== thisOrder)! // one of both is in the order of all
    expect(keyOf(keys, { scalars: [] })).toBe(keys.anyOrder)
    expect(keyOf(keys, { scalars: [1.5] })).toBe(keys.anyOrder)
    expect(keyOf(keys, { scalars: [1, 0.5] })).toBe(keys.thisOrder)
    const ordered = strategies.map((one): Strategy =>
      one.id === 'linear' ? { ...one, laws: { ...one.laws, order: 'canonical' } } : one,
    )
    expect(key(turned, ordered)).not.toBe(key(task([tensor()]), ordered))
  })

  test('[MRG-20] where masks are drawn, the seed, the name and the contents count', () => {
    const drawn = key(task([tensor(DARE)]))
    expect(drawn).toBeDefined()
    for (const other of [
      task([tensor(DARE)], { seed: hexOf('other seed') }),
      task([tensor(DARE)], { inputs: ['a', 'c'].map((word) => ({ content: hexOf(word), label: word })) }),
    ])
      expect(key(other)).not.toBe(drawn)
    expect(keysOf(task([tensor(DARE, { name: 'other' })]), strategies, 'other')?.anyOrder).not.toBe(drawn)
  })

  test('[MRG-20] where something is measured over the whole model, every tensor of the strategy counts', () => {
    const pair = (other: Partial<MergeRule>, name = 'z') =>
      task([tensor(PAPER), tensor({ ...PAPER, ...other }, { name })])
    const keys = keysOf(pair({}))!
    expect(keys.group).toBe('ties')
    expect(keysOf(pair({}), strategies, 'z')?.anyOrder).not.toBe(keys.anyOrder) // each is one place of the model
    expect(keysOf(pair({}, 'zz'))).toEqual(keys)
    expect(keysOf(pair({}, 'a'))).not.toEqual(keys) // now it comes second
    expect(keysOf(pair({ base: slice('x') }))).not.toEqual(keys)
    expect(keysOf(task([tensor(PAPER)]))).not.toEqual(keys)
    const crossed = PAPER.inputs!.map((own, i) => ({ ...own, input: 1 - i }))
    expect(keysOf(pair({ inputs: crossed }))).not.toEqual(keys) // streams of other inputs are measured together
    const average = tensor({ strategy: 'weight_average', params: {} }, { name: 'q' })
    expect(keysOf(task([tensor(PAPER), tensor(PAPER, { name: 'z' }), average]))).toEqual(keys)
  })

  test('[MRG-20] another numeric profile makes other keys', async () => {
    vi.resetModules()
    vi.doMock('../../src/core/numeric-profile.ts', () => ({ NUMERIC_PROFILE: 'another' }))
    const later = await import('../../src/merging/tensor-key.ts')
    vi.doUnmock('../../src/core/numeric-profile.ts')
    const keys = later.tensorKeys(task([tensor()]), strategies).get('layer.w')
    expect(keys?.anyOrder).toMatch(/^[0-9a-f]{64}$/)
    expect(keys?.anyOrder).not.toBe(plain)
  })

  test('[MRG-20] numbers that only their sign tells apart, or text from a number, are other parameters', () => {
    const keys = [0, -0, '0', '-0', [0], true, 'true'].map((lambda) => key(task([tensor({ params: { lambda } })])))
    expect(new Set(keys).size).toBe(7)
  })

  test('[MRG-20] without the root of every stream there is no key, and a copy needs none', () => {
    const { path, offset, bytes, dtype } = slice('a')
    const unnamed: TensorSlice = { path, offset, bytes, dtype }
    expect(keysOf(task([tensor({ inputs: [input(0, 'a', { value: unnamed })] })]))).toBeUndefined()
    const beside = { fisher: unnamed }
    expect(keysOf(task([tensor({ inputs: [input(0, 'a', { sidecars: beside })] })]))).toBeUndefined()
    expect(keysOf(task([tensor({}, { rule: { kind: 'copy', from: slice('a') } })]))).toBeUndefined()
    expect(keysOf(task([tensor(PAPER), tensor({ ...PAPER, base: unnamed }, { name: 'z' })]))).toBeUndefined()
  })
})
