/**
 * A recipe file, YAML 1.2 or JSON, native or mergekit's. Positions are kept, so whatever is refused is refused with line
 * and column. Anchors, tags and repeated keys have no place in a recipe: a file must mean what it shows.
 */
import { type Document, LineCounter, isAlias, isNode, isScalar, parseDocument, visit } from 'yaml'
import { utf8 } from '../core/bytes.ts'
import { SIZE_LIMITS, isRecord } from '../core/canonical.ts'
import { TributaryError, isTributaryError } from '../core/errors.ts'
import { importMergekit } from './mergekit.ts'
import { type ParseOptions, type Recipe, parseRecipe } from './recipe.ts'

export interface Position {
  readonly line: number
  readonly column: number
}

export interface LoadedRecipe {
  readonly recipe: Recipe
  readonly form: 'native' | 'mergekit'
  /** What an import changed or left out, for a person to read. */
  readonly notes: readonly string[]
  /** Where in the file a JSON pointer leads, or the nearest place above it. */
  readonly locate: (pointer: string) => Position
}

export interface LoadOptions extends ParseOptions {
  /** What errors call the file. */
  readonly name?: string
}

export function loadRecipe(text: string, { allowPaths, name = 'recipe' }: LoadOptions): LoadedRecipe {
  const size = utf8(text).length
  if (size > SIZE_LIMITS.recipe)
    throw new TributaryError(
      'RECIPE_INVALID',
      `${name}: ${size} bytes, where at most ${SIZE_LIMITS.recipe} are allowed`,
    )
  const { document, locate } = parseText(text, name)
  try {
    const value: unknown = document.toJS({ maxAliasCount: 0 })
    if (!isRecord(value))
      throw new TributaryError('RECIPE_INVALID', 'a recipe is a record of fields', {
        pointer: '',
        hint: 'begin with "tributary: 1", or with mergekit\'s "merge_method"',
      })
    if (value['tributary'] !== undefined)
      return { recipe: parseRecipe(value, { allowPaths }), form: 'native', notes: [], locate }
    if (value['merge_method'] === undefined)
      throw new TributaryError('RECIPE_INVALID', 'neither "tributary: 1" nor mergekit\'s "merge_method" is here', {
        pointer: '',
        hint: 'begin a native recipe with "tributary: 1"',
      })
    return { ...importMergekit(value, { allowPaths }), form: 'mergekit', locate }
  } catch (error) {
    throw isTributaryError(error) && error.pointer !== undefined ? placed(error, name, locate(error.pointer)) : error
  }
}

/** The same failure, saying the place in the file. */
function placed(error: TributaryError, name: string, { line, column }: Position): TributaryError {
  const { code, message, details, hint, pointer, cause } = error
  return new TributaryError(code, `${name}:${line}:${column}: ${message}`, {
    details: { ...details, line, column },
    cause,
    ...(hint !== undefined && { hint }),
    ...(pointer !== undefined && { pointer }),
  })
}

/** Deeper than any recipe goes, and shallow enough that reading can't overflow the stack. */
const NESTING_MAX = 64

function parseText(text: string, name: string): { document: Document; locate: (pointer: string) => Position } {
  const lines = new LineCounter()
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const refuse = (offset: number, why: string, hint?: string) =>
    placed(new TributaryError('RECIPE_INVALID', why, hint === undefined ? {} : { hint }), name, positionAt(offset))
  refuseDepth(text, name)
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    strict: true,
    uniqueKeys: true,
    stringKeys: true,
    prettyErrors: false,
    logLevel: 'error',
    lineCounter: lines,
  })
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) throw refuse(problem.pos[0], sayProblem(problem.code, problem.message))
  visit(document, {
    Node: (_, node) => {
      const from = node.range?.[0] ?? 0
      if (isAlias(node)) throw refuse(from, `the alias *${node.source} is not read here`, 'write the value out')
      if (node.anchor !== undefined) throw refuse(from, `the anchor &${node.anchor} is not read here`, 'leave it out')
      if (node.tag !== undefined) throw refuse(from, `the tag ${node.tag} is not read here`, 'leave it out')
    },
  })
  return { document, locate: (pointer) => positionAt(offsetOf(document, pointer)) }
}

const sayProblem = (code: string, message: string): string => {
  if (code === 'DUPLICATE_KEY') return 'this key stands here a second time'
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here; a recipe is one'
  if (code === 'TAG_RESOLVE_FAILED') return 'a tag is not read here'
  return `this is not YAML or JSON: ${message}`
}

/** Brackets and indentation bound the depth from above, without parsing. */
function refuseDepth(text: string, name: string): void {
  const tooDeep = () => new TributaryError('RECIPE_INVALID', `${name}: nested deeper than ${NESTING_MAX}`)
  let open = 0
  let dashes = 0
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (character === '[' || character === '{') open++
    else if (character === ']' || character === '}') open = Math.max(0, open - 1)
    else if (character === '\n') dashes = 0
    else if ((character === '-' || character === '?') && text[i + 1] === ' ') dashes++
    if (open > NESTING_MAX || dashes > NESTING_MAX) throw tooDeep()
  }
  for (const line of text.split('\n')) if (line.length - line.trimStart().length > NESTING_MAX * 8) throw tooDeep()
}

const unescape = (step: string) => step.replaceAll('~1', '/').replaceAll('~0', '~')

/** The node the pointer names, or the last one on the way; for a field of a record, its key. */
function offsetOf(document: Document, pointer: string): number {
  let node: unknown = document.contents
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0
  for (const step of pointer.split('/').slice(1).map(unescape)) {
    const next = stepInto(node, step)
    if (next === undefined) break
    node = next.node
    offset = next.offset
  }
  return offset
}

function stepInto(node: unknown, step: string): { node: unknown; offset: number } | undefined {
  if (typeof node !== 'object' || node === null || !('items' in node) || !Array.isArray(node.items)) return undefined
  for (const [i, item] of node.items.entries() as IterableIterator<[number, unknown]>) {
    if (typeof item === 'object' && item !== null && 'key' in item && 'value' in item) {
      if (!isScalar(item.key) || String(item.key.value) !== step) continue
      return { node: item.value, offset: item.key.range?.[0] ?? 0 }
    }
    if (String(i) === step && isNode(item)) return { node: item, offset: item.range?.[0] ?? 0 }
  }
  return undefined
}
