/**
 * What a merge leaves behind: a statement that is a pure function of the merge, the same on every run and replica, and
 * what is said about it (when, where, by whom), which is hashed apart.
 */
import { fromUtf8, utf8 } from './bytes.ts'
import {
  type Canonical,
  type CanonicalRecord,
  SIZE_LIMITS,
  canonicalBytes,
  checkCanonical,
  isRecord,
  parseCanonical,
} from './canonical.ts'
import { digestBytes } from './digest.ts'
import { TributaryError } from './errors.ts'
import type { AboutId, ContentRoot, MergeId, RecipeId, StatementId, TensorRoot } from './ids.ts'

export interface ReceiptTensor {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly bytes: number
  readonly root: TensorRoot
}

export interface Statement {
  readonly v: 1
  readonly merge: MergeId
  readonly inputs: readonly CanonicalRecord[]
  readonly base?: ContentRoot
  readonly recipe: CanonicalRecord
  readonly recipe_id: RecipeId
  readonly numeric_profile: string
  /** Strategies that ran, each with its version. */
  readonly versions: readonly (readonly [string, number])[]
  readonly seed: string
  /** Numbers that were measured on the way and entered the output, by tensor, as decimals. */
  readonly scalars: readonly (readonly [string, readonly string[]])[]
  readonly output: {
    readonly content: ContentRoot
    readonly tensors: readonly ReceiptTensor[]
    readonly files: readonly (readonly [string, string])[]
  }
}

export interface About {
  readonly v: 1
  readonly statement: StatementId
  readonly created_at: string
  readonly program: string
  readonly machine: string
  readonly space?: string
  readonly root?: string
  readonly ops_root?: string
  /** Contributions the inputs came from, each with its inclusion proof in the root: index, then siblings. */
  readonly contributions?: readonly {
    readonly id: string
    readonly content: string
    readonly index: number
    readonly path: readonly string[]
  }[]
  /** Contributions that a rule of the recipe left out, and why. */
  readonly excluded?: readonly (readonly [string, string])[]
  readonly warnings?: readonly string[]
  /** Generated files whose words may change from one version of the program to the next: path and SHA-256. */
  readonly files?: readonly (readonly [string, string])[]
  /** SHA-256 of the output as one safetensors file. */
  readonly output_sha256?: string
  readonly signed: boolean
  /** Replica key and Ed25519 signature over the statement, as base64url. */
  readonly signatures: readonly (readonly [string, string])[]
}

export interface Receipt {
  readonly statement: Statement
  readonly statement_id: StatementId
  readonly about: About
  readonly about_id: AboutId
}

const record = (value: object): CanonicalRecord => value as unknown as CanonicalRecord

export const statementBytes = (statement: Statement): Uint8Array => canonicalBytes(record(statement))
export const statementIdOf = (statement: Statement): StatementId =>
  digestBytes<StatementId>('receipt', statementBytes(statement))
export const aboutIdOf = (about: About): AboutId => digestBytes<AboutId>('about', aboutBytes(about))

/** `id`: the statement's, from whoever knows it already. */
export function makeReceipt(statement: Statement, about: About, id = statementIdOf(statement)): Receipt {
  return { statement, statement_id: id, about, about_id: aboutIdOf(about) }
}

/** The one text of a receipt file: sorted keys, two spaces, so that any changed byte shows. */
export function printReceipt(receipt: Receipt): string {
  const value: unknown = receipt
  checkCanonical(value)
  return `${JSON.stringify(inOrder(value), null, 2)}\n`
}

/** The same with every record's keys sorted, as its canonical text has them. */
function inOrder(value: Canonical): Canonical {
  if (Array.isArray(value)) return (value as readonly Canonical[]).map(inOrder)
  if (!isRecord(value)) return value
  const keys = Object.keys(value).sort()
  return Object.fromEntries(keys.map((key) => [key, inOrder(value[key]!)]))
}

/** From the two documents as they were stored. */
export function parseReceiptParts(statement: Uint8Array, about: Uint8Array): Receipt {
  const limit = SIZE_LIMITS.receipt
  return makeReceipt(
    parseCanonical(statement, limit) as unknown as Statement,
    parseCanonical(about, limit) as unknown as About,
  )
}

export const aboutBytes = (about: About): Uint8Array => canonicalBytes(record(about))

const invalid = (message: string) =>
  new TributaryError('RECEIPT_INVALID', `receipt.json: ${message}`, {
    hint: 'fetch the receipt again from where it was published',
  })

/** A receipt whose text, form and ids all agree; anything else is refused, saying which part differs. */
export function parseReceipt(bytes: Uint8Array): Receipt {
  if (bytes.length > 2 * SIZE_LIMITS.receipt) throw invalid(`${bytes.length} bytes are more than a receipt may take`)
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(bytes))
  } catch {
    throw invalid('this is not JSON')
  }
  if (!isRecord(value) || !isRecord(value['statement']) || !isRecord(value['about']))
    throw invalid('statement and about are missing')
  try {
    checkCanonical(value)
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : 'not canonical')
  }
  const receipt = value as unknown as Receipt
  checkStatement(value['statement'])
  if (statementIdOf(receipt.statement) !== receipt.statement_id)
    throw invalid('statement_id does not name this statement')
  if (aboutIdOf(receipt.about) !== receipt.about_id) throw invalid('about_id does not name what stands in about')
  if (receipt.about.statement !== receipt.statement_id) throw invalid('about speaks of another statement')
  if (fromUtf8(bytes) !== printReceipt(receipt)) throw invalid('the file is not in the form receipts are written in')
  return receipt
}

/** The fields a replay relies on, each of its type. Their truth is what the replay finds out. */
function checkStatement(value: Record<string, unknown>): void {
  const text = (item: unknown) => typeof item === 'string'
  const list = (item: unknown): item is readonly Canonical[] => Array.isArray(item)
  const output = value['output']
  const wrong =
    (value['v'] !== 1 && 'v') ||
    (!text(value['merge']) && 'merge') ||
    (!text(value['recipe_id']) && 'recipe_id') ||
    (!text(value['numeric_profile']) && 'numeric_profile') ||
    (!text(value['seed']) && 'seed') ||
    (!isRecord(value['recipe']) && 'recipe') ||
    (!(
      list(value['inputs']) &&
      value['inputs'].every((input) => isRecord(input) && text(input['content']) && text(input['weight']))
    ) &&
      'inputs') ||
    (!list(value['scalars']) && 'scalars') ||
    (!(
      isRecord(output) &&
      text(output['content']) &&
      list(output['files']) &&
      list(output['tensors']) &&
      output['tensors'].every(isReceiptTensor)
    ) &&
      'output')
  if (typeof wrong === 'string') throw invalid(`statement.${wrong} is missing or of another type`)
}

const isReceiptTensor = (value: unknown): boolean =>
  isRecord(value) &&
  typeof value['name'] === 'string' &&
  typeof value['dtype'] === 'string' &&
  Array.isArray(value['shape']) &&
  Number.isSafeInteger(value['bytes']) &&
  typeof value['root'] === 'string'

export const receiptBytes = (receipt: Receipt): Uint8Array => utf8(printReceipt(receipt))
