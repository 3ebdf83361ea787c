/** Branded ids, and the only ways to make one from text. An id is lowercase hex of a SHA-256, or its first half. */
import { TributaryError } from './errors.ts'

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** Any 64 hex digits: the SHA-256 of something. The more specific ids below are all digests too. */
export type Digest = string & { readonly [brand]: string }
/** Tree head over the 1 MiB chunks of one tensor. */
export type TensorRoot = Branded<'tensor'>
/** Tree head over the tensors of a model: what its weights are, whatever files they lie in. */
export type ContentRoot = Branded<'content'>
export type ModelId = Branded<'model'>
export type ContributionId = Branded<'contribution'>
/** Digest of an op record. An add's op id is its dot. */
export type OpId = Branded<'op'>
export type RecipeId = Branded<'recipe'>
export type MergeId = Branded<'merge'>
export type StatementId = Branded<'statement'>
export type AboutId = Branded<'about'>
/** A replica's raw Ed25519 public key. */
export type ReplicaId = Branded<'replica'>
/** First 32 hex digits of the id of the space's first op. */
export type SpaceId = Branded<'space'>
/** Plain SHA-256 of a file's bytes. */
export type FileDigest = Branded<'file'>
/** What a person calls a space, or a slot in it. */
export type Name = Branded<'name'>
/** Tree head over a sorted set of ids: the root of a space, or of its ops. */
export type SetRoot = Branded<'set'>

const HEX_64 = /^[0-9a-f]{64}$/
const HEX_32 = /^[0-9a-f]{32}$/

const hexId =
  <T extends string>(kind: string, pattern = HEX_64, length = 64) =>
  (text: string): T => {
    if (!pattern.test(text))
      throw new TributaryError(
        'ID_INVALID',
        `${JSON.stringify(text.slice(0, 80))} is not a ${kind}: it takes ${length} lowercase hex digits`,
      )
    return text as T
  }

export const parseDigest = hexId<Digest>('digest')
export const parseTensorRoot = hexId<TensorRoot>('tensor root')
export const parseContentRoot = hexId<ContentRoot>('content root')
export const parseModelId = hexId<ModelId>('model id')
export const parseContributionId = hexId<ContributionId>('contribution id')
export const parseOpId = hexId<OpId>('op id')
export const parseMergeId = hexId<MergeId>('merge id')
export const parseReplicaId = hexId<ReplicaId>('replica id')
export const parseFileDigest = hexId<FileDigest>('file digest')
export const parseSpaceId = hexId<SpaceId>('space id', HEX_32, 32)

export const isHex64 = (text: string): boolean => HEX_64.test(text)
export const isSpaceId = (text: string): boolean => HEX_32.test(text)

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$/
/** Words that would be read as a route where a name may stand. */
const RESERVED = new Set([
  'v1',
  'api',
  'docs',
  'healthz',
  'readyz',
  'metrics',
  'openapi.json',
  'merged',
  'settings',
  'well-known',
])

export const isName = (text: string): text is Name =>
  NAME.test(text) &&
  !text.includes('..') &&
  !RESERVED.has(text.toLowerCase()) &&
  !HEX_32.test(text) &&
  !HEX_64.test(text)

/** A name can't look like an id: a reference must have one meaning. */
export function parseName(text: string, what = 'name'): Name {
  if (!isName(text))
    throw new TributaryError('NAME_INVALID', `${JSON.stringify(text.slice(0, 120))} is no ${what}`, {
      hint: 'use 1 to 96 letters, digits, dots, dashes or underscores, beginning with a letter or digit, without "..", and not a reserved word or an id',
    })
  return text
}
