/** Making spaces and saying what they are. */
import { TributaryError } from '../core/errors.ts'
import { type ContentRoot, type Digest, isHex64, type ModelId, parseContentRoot, parseName } from '../core/ids.ts'
import type { SpaceState } from '../core/or-set.ts'
import { parseRef, printRef } from '../recipes/refs.ts'
import type { Context } from './context.ts'
import { findManifest, manifestOf } from './models.ts'
import type { SpaceView } from './operations.ts'
import type { SpaceBook } from './space-book.ts'

/** What is fetched is read before a verb commits: afterwards nothing may fail that would deny what was done. */
export function spaceView(state: SpaceState, fetchedBytes: number): SpaceView {
  return {
    id: state.space,
    name: state.name,
    root: state.root,
    ops_root: state.opsRoot,
    contributions: state.visible.length,
    ops: state.ops.size,
    fetched_bytes: fetchedBytes,
    policy: { access: state.policy.access, rules: state.policy.rules },
    ...(state.base !== undefined && { base: state.base }),
    creator: state.creator,
    conflicts: state.conflicts,
    revoked: [...state.revoked].map(([content, [first]]) => ({
      content,
      ...(first?.reason !== undefined && { reason: first.reason }),
    })),
  }
}

export function createSpace(
  context: Context,
  book: SpaceBook,
  given: { readonly name: string; readonly base?: string; readonly access?: string },
): SpaceView {
  const name = parseName(given.name, 'name of a space')
  const { access = 'open' } = given
  if (access !== 'open' && access !== 'members')
    throw new TributaryError('REQUEST_INVALID', `access is ${JSON.stringify(access.slice(0, 40))}`, {
      pointer: '/access',
      hint: 'use open or members',
    })
  const taken = context.storage.spaces.findByName(name)
  if (taken.length > 0)
    throw new TributaryError('SPACE_NAME_TAKEN', `a space called ${name} is here already`, {
      details: { ids: taken.map(({ id }) => id) },
      hint: 'use that one, or choose another name',
    })
  const base = given.base === undefined ? undefined : namedModel(context, book, given.base)
  const nonce = context.randomHex(32) as Digest
  const state = book.create(
    { name, nonce, policy: { access, rules: 1 }, ...(base && { base: base.content }) },
    (space) => {
      if (base?.model !== undefined) context.storage.pins.hold({ kind: 'base', space }, { models: [base.model] })
    },
  )
  return spaceView(state, 0)
}

export interface NamedModel {
  readonly ref: string
  readonly content: ContentRoot
  /** Absent where only the content is known and nothing of it is here. */
  readonly model?: ModelId
}

/** What a person means by a base: 64 hex digits of a content root or a model, `model:HEX`, or `space/name`. */
export function namedModel(context: Context, book: SpaceBook, text: string): NamedModel {
  if (isHex64(text)) {
    const { models, manifests } = context.storage
    const known = models.find(text as ModelId) ?? manifests.find(text as ModelId)
    if (known !== undefined) return { ref: text, content: known.content, model: known.id }
    const model = models.findByContent(text)[0]?.id ?? manifests.findByContent(text)
    return { ref: text, content: parseContentRoot(text), ...(model !== undefined && { model }) }
  }
  const ref = parseRef(text, { allowPaths: false })
  if (ref.kind === 'model') {
    const { content } = findManifest(context, ref.model) ?? manifestOf(context, ref.model)
    return { ref: text, content, model: ref.model }
  }
  if (ref.kind === 'path') throw new TributaryError('REFERENCE_NOT_ALLOWED', `${text} is a path`)
  const state = book.find(ref.space)
  const found = state.visible.filter(({ id, record }) => record.name === ref.name && id.startsWith(ref.idPrefix ?? ''))
  const [first] = found
  if (first === undefined)
    throw new TributaryError('REFERENCE_NOT_FOUND', `${printRef(ref)} names no visible contribution`, {
      hint: `GET /v1/spaces/${state.name}/contributions lists them`,
    })
  if (found.length > 1)
    throw new TributaryError(
      'SLOT_CONFLICT',
      `${found.length} contributions stand in the slot ${ref.space}/${ref.name}`,
      {
        details: { ids: found.map(({ id }) => id) },
        hint: 'add @ and the first digits of the one that is meant',
      },
    )
  return { ref: text, content: first.record.content, model: first.record.model }
}
