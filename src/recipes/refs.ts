/**
 * REF: how a recipe, a command or a request names a model. `space/name`, `space/name@id-prefix`, `model:HEX`, and, where
 * the caller allows it, a path. Where paths are allowed, what is no `model:` is a path: a local recipe has no space.
 */
import { TributaryError } from '../core/errors.ts'
import { isName, isSpaceId, type ModelId, parseModelId } from '../core/ids.ts'

export type Ref =
  | { readonly kind: 'slot'; readonly space: string; readonly name: string; readonly idPrefix?: string }
  | { readonly kind: 'model'; readonly model: ModelId }
  | { readonly kind: 'path'; readonly path: string }

const MODEL = 'model:'
const ID_PREFIX = /^[0-9a-f]{4,64}$/
const REF_MAX = 4096

const shown = (text: string) => JSON.stringify(text.slice(0, 120))
const invalid = (text: string, why: string) =>
  new TributaryError('RECIPE_INVALID', `${shown(text)} names no model: ${why}`, {
    hint: 'write space/name, space/name@id-prefix or model: with 64 hex digits',
  })

export function parseRef(text: string, { allowPaths }: { readonly allowPaths: boolean }): Ref {
  if (text.length === 0 || text.length > REF_MAX || hasControls(text))
    throw invalid(text, 'it is empty, too long or holds control characters')
  if (text.startsWith(MODEL)) {
    const id = text.slice(MODEL.length)
    try {
      return { kind: 'model', model: parseModelId(id) }
    } catch {
      throw invalid(text, 'after "model:" come 64 lowercase hex digits')
    }
  }
  if (allowPaths) return { kind: 'path', path: text }
  if (looksLikePath(text))
    throw new TributaryError('REFERENCE_NOT_ALLOWED', `${shown(text)} is a path, and a path means nothing here`, {
      hint: 'upload the model and name it as space/name or model:HEX; paths work on the command line',
    })
  return parseSlot(text)
}

const looksLikePath = (text: string): boolean =>
  /^[./~\\]/.test(text) || text.includes('\\') || /^[A-Za-z]:/.test(text) || text.split('/').length > 2

function parseSlot(text: string): Ref {
  const slash = text.indexOf('/')
  if (slash < 0) throw invalid(text, 'the space before the name is missing')
  const space = text.slice(0, slash)
  const [name = '', idPrefix, ...more] = text.slice(slash + 1).split('@')
  if (!isName(space) && !isSpaceId(space)) throw invalid(text, `${shown(space)} is no space`)
  if (!isName(name)) throw invalid(text, `${shown(name)} is no name of a contribution`)
  if (more.length > 0 || (idPrefix !== undefined && !ID_PREFIX.test(idPrefix)))
    throw invalid(text, 'after "@" come 4 to 64 lowercase hex digits of a contribution id')
  return { kind: 'slot', space, name, ...(idPrefix !== undefined && { idPrefix }) }
}

function hasControls(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

/** The text that parses to this reference. */
export function printRef(ref: Ref): string {
  switch (ref.kind) {
    case 'slot':
      return `${ref.space}/${ref.name}${ref.idPrefix === undefined ? '' : `@${ref.idPrefix}`}`
    case 'model':
      return `${MODEL}${ref.model}`
    case 'path':
      return ref.path
  }
}
