import { expect, test } from 'vitest'
import { canonicalBytes, SIZE_LIMITS } from '../../src/core/canonical.ts'
import {
  CONTRIBUTION_BYTES_MAX,
  type ContributionDraft,
  contributionId,
  type ContributionRecord,
  makeContribution,
  parseContribution,
} from '../../src/core/contribution.ts'
import type { ModelId, OpId } from '../../src/core/ids.ts'
import { makeOp } from '../../src/core/op.ts'
import { DOTS_MAX, REPLACES_MAX } from '../../src/core/op-schemas.ts'
import { golden } from '../support/golden.ts'
import { aSpace, aWriter, contentOf } from '../support/ops.ts'
import { refusalOf } from '../support/refusal.ts'

const model = contentOf('model') as string as ModelId
const drafted = (more: Partial<ContributionDraft> = {}) =>
  makeContribution({ content: contentOf('c'), model, name: 'slot', ...more })
/** Sixty-four different hex digits that sort as their number does. */
const numbered = (n: number) => n.toString(16).padStart(64, '0')

test('[CON-1] the id is the digest that Python finds for the same record', () => {
  const { record, id } = golden<{ contribution: { record: ContributionRecord; id: string } }>('ops').contribution
  expect(contributionId(parseContribution(record))).toBe(id)
  expect(contributionId(structuredClone(record))).toBe(id)
})

test('[CON-1] every field is in the id', () => {
  const variants = [
    drafted(),
    drafted({ content: contentOf('d') }),
    drafted({ model: contentOf('d') as string as ModelId }),
    drafted({ name: 'slot2' }),
    drafted({ weight: 2 }),
    drafted({ kind: 'delta' }),
    drafted({ base: contentOf('b') }),
    drafted({ base: contentOf('b2') }),
    drafted({ samples: 0 }),
    drafted({ license: 'mit' }),
    drafted({ tags: ['mit'] }),
    drafted({ sidecars: { gram: model } }),
    drafted({ sidecars: { fisher: model } }),
    drafted({ meta: [['a', 'bc']] }),
    drafted({ meta: [['ab', 'c']] }),
  ]
  expect(new Set(variants.map(contributionId)).size).toBe(variants.length)
})

test('[CON-2] a draft has one record: order, repeats and spellings of what it says do not matter', () => {
  const one = drafted({
    weight: '1.0',
    tags: ['é', 'b', 'a', 'b'],
    meta: [
      ['z', '1'],
      ['a', '2'],
    ],
    sidecars: { gram: model, fisher: undefined },
  })
  const two = drafted({
    weight: 1,
    kind: 'full',
    tags: new Set(['e\u0301', 'a', 'b']),
    meta: new Map([
      ['a', '2'],
      ['z', '1'],
    ]),
    sidecars: { gram: model },
  })
  expect(one).toEqual(two)
  expect(contributionId(one)).toBe(contributionId(two))
  expect(one).toMatchObject({ weight: '1', kind: 'full', tags: ['a', 'b', 'é'] })
})

test('[CON-2] what is not said is left out', () => {
  expect(Object.keys(drafted({ tags: [], meta: [], sidecars: {}, license: undefined })).sort()).toEqual([
    'content',
    'kind',
    'model',
    'name',
    'weight',
  ])
})

test('[CON-2] tags are sorted by UTF-8 bytes, also beyond the basic plane', () => {
  expect(drafted({ tags: ['\u{1f600}', '\uff01', 'a'] }).tags).toEqual(['a', '\uff01', '\u{1f600}'])
})

test('[CON-3] weight 1, 1.0 and "1.0" are one contribution; a weight is spelled as the f32 it is', () => {
  expect(new Set([1, 1.0, '1.0', '1', 1, '10e-1'].map((weight) => contributionId(drafted({ weight })))).size).toBe(1)
  expect(drafted({ weight: 0.1 }).weight).toBe('0.1')
  expect(drafted({ weight: -0 }).weight).toBe('0')
  expect(drafted({ weight: 0.1 + 1e-12 }).weight).toBe('0.1')
  expect(refusalOf(() => drafted({ weight: NaN })).code).toBe('DECIMAL_INVALID')
  expect(refusalOf(() => drafted({ weight: 1e39 })).code).toBe('DECIMAL_INVALID')
})

const plain = drafted({ tags: ['a', 'b'] })
const WRONG: readonly (readonly [string, object, string])[] = [
  ['a weight that is a number', { weight: 1 }, '/weight'],
  ['a weight in a second spelling', { weight: '1.0' }, '/weight'],
  ['a weight that is no f32', { weight: '0.10000000001' }, '/weight'],
  ['an unknown kind', { kind: 'lora' }, '/kind'],
  ['a name that is no name', { name: '../x' }, '/name'],
  ['a short content', { content: 'abc' }, '/content'],
  ['content in capitals', { content: contentOf('c').toUpperCase() }, '/content'],
  ['tags out of order', { tags: ['b', 'a'] }, '/tags'],
  ['a tag twice', { tags: ['a', 'a'] }, '/tags'],
  ['no tags, written', { tags: [] }, '/tags'],
  ['an empty tag', { tags: [''] }, '/tags'],
  ['no sidecars, written', { sidecars: {} }, '/sidecars'],
  ['an unknown sidecar', { sidecars: { hessian: model } }, '/sidecars'],
  ['meta out of order', { meta: [['b', '1'], ['a', '1']] }, '/meta'], // prettier-ignore
  ['a meta key twice', { meta: [['a', '1'], ['a', '2']] }, '/meta'], // prettier-ignore
  ['meta that is an object', { meta: { a: '1' } }, '/meta'],
  ['samples that are no count', { samples: -1 }, '/samples'],
  ['samples that are no integer', { samples: 1.5 }, '/samples'],
  ['an empty licence', { license: '' }, '/license'],
  ['null for what is absent', { base: null }, '/base'],
  ['an unknown field', { author: 'me' }, '/author'],
]

test.each(WRONG)('[CON-4] %s is refused by name', (_what, change, pointer) => {
  const refusal = refusalOf(() => parseContribution({ ...plain, ...change }))
  expect(refusal.code).toBe('CONTRIBUTION_INVALID')
  expect(refusal.pointer?.startsWith(pointer)).toBe(true)
})

test('[CON-4] what is missing, or no object, is refused', () => {
  for (const field of ['content', 'model', 'name', 'weight', 'kind']) {
    const rest = Object.fromEntries(Object.entries(plain).filter(([key]) => key !== field))
    expect(refusalOf(() => parseContribution(rest)).pointer).toBe(`/${field}`)
  }
  for (const given of [null, [], 'text', 3]) expect(refusalOf(() => parseContribution(given)).code).toBe('CONTRIBUTION_INVALID') // prettier-ignore
})

test('[CON-5] the largest record, the most dots and the largest envelope fit one op', () => {
  const space = aSpace({ creator: aWriter(1) })
  const room = CONTRIBUTION_BYTES_MAX - canonicalBytes(drafted({ license: 'x' })).length
  const contribution = drafted({ license: 'x'.repeat(room + 1) })
  expect(canonicalBytes(contribution)).toHaveLength(CONTRIBUTION_BYTES_MAX)
  const most = Number.MAX_SAFE_INTEGER
  const envelope = {
    v: 1 as const,
    sp: space.id,
    g: most,
    rid: aWriter(2).rid,
    ep: most,
    seq: most,
    prev: numbered(0) as OpId,
    hlc: most,
    acl: space.acl,
  }
  const dots = (count: number) => Array.from({ length: count }, (_, i) => numbered(i) as OpId)
  const add = makeOp({ ...envelope, t: 'add', contribution, replaces: dots(REPLACES_MAX) })
  expect(add.bytes.length).toBeLessThanOrEqual(SIZE_LIMITS.op)
  expect(add.bytes.length + 67).toBeGreaterThan(SIZE_LIMITS.op)
  expect(makeOp({ ...envelope, t: 'remove', dots: dots(DOTS_MAX) }).bytes.length).toBeLessThanOrEqual(SIZE_LIMITS.op)
})

test('[CON-5] a record beyond its bytes is refused, and says how many there are', () => {
  const refusal = refusalOf(() => drafted({ meta: [['notes', 'ü'.repeat(1000)]] }))
  expect(refusal.code).toBe('CONTRIBUTION_INVALID')
  expect(refusal.details).toMatchObject({ max: CONTRIBUTION_BYTES_MAX })
  expect(refusal.message).toContain('2048')
})
