/**
 * How a failure is told: what happened, its facts, the one thing to do next; and which exit code scripts see. With
 * `--json` the same as one line of JSON. Never a stack trace.
 */
import { type ErrorCode, isTributaryError, TributaryError } from '../core/errors.ts'
import { jsonLine, shown } from './text.ts'

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  verification: 3,
  notAllowed: 4,
  network: 5,
  interrupted: 130,
} as const

/** Codes that are not just "failed". */
const EXIT_CODES: Partial<Record<ErrorCode, number>> = {
  USAGE: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  AUDIT_FAILED: EXIT.verification,
  RECEIPT_INVALID: EXIT.verification,
  DIGEST_MISMATCH: EXIT.verification,
  SIGNATURE_INVALID: EXIT.verification,
  UNAUTHORIZED: EXIT.notAllowed,
  NOT_ALLOWED: EXIT.notAllowed,
  HOST_REFUSED: EXIT.notAllowed,
  ORIGIN_REFUSED: EXIT.notAllowed,
  NETWORK: EXIT.network,
  TIMED_OUT: EXIT.network,
  TOO_MANY_REQUESTS: EXIT.network,
  SERVER_STOPPING: EXIT.network,
  INTERRUPTED: EXIT.interrupted,
}

export const exitCodeOf = (code: ErrorCode): number => EXIT_CODES[code] ?? EXIT.failed

type Meaning = readonly [code: ErrorCode, what: string, hint: string]

const NOT_THERE: Meaning = ['FILE_NOT_FOUND', 'no such file or directory', 'check the path']
const MAY_NOT: Meaning = [
  'STORAGE_FAILED',
  'this user may not do that',
  'change who may read or write there, or give another path',
]
const FULL: Meaning = ['DISK_FULL', 'the disk is full', 'free some space, then run the same command again']
const DIRECTORY: Meaning = ['STORAGE_FAILED', 'this is a directory', 'give a file']
const NO_DIRECTORY: Meaning = ['STORAGE_FAILED', 'a file stands where a directory is wanted', 'give another path']

const SYSTEM_ERRORS: Readonly<Record<string, Meaning>> = {
  ENOENT: NOT_THERE,
  EACCES: MAY_NOT,
  EPERM: MAY_NOT,
  EROFS: MAY_NOT,
  ENOSPC: FULL,
  EDQUOT: FULL,
  EISDIR: DIRECTORY,
  ENOTDIR: NO_DIRECTORY,
  EEXIST: NO_DIRECTORY,
}

/** System errors by what they mean here; anything else that is not ours is a bug. */
export function asTributaryError(error: unknown): TributaryError {
  if (isTributaryError(error)) return error
  const { code, path, message } = error as NodeJS.ErrnoException
  const meaning = code === undefined ? undefined : SYSTEM_ERRORS[code]
  if (meaning === undefined)
    return new TributaryError('INTERNAL', `a bug in tributary: ${message || String(error)}`, {
      hint: 'please report it, with the command and this line',
      cause: error,
    })
  const [known, what, hint] = meaning
  return new TributaryError(known, path === undefined ? what : `${path}: ${what}`, { hint, cause: error })
}

const LIST_MAX = 8

/** A list takes a line an entry, and says how many it does not show. */
function detailLines([name, value]: readonly [string, TributaryError['details'][string]]): readonly string[] {
  if (typeof value !== 'object') return [`${name}: ${String(value)}`]
  const more = value.length > LIST_MAX ? [`${name}: and ${value.length - LIST_MAX} more`] : []
  return [...value.slice(0, LIST_MAX).map((entry) => `${name}: ${entry}`), ...more]
}

export interface ErrorStyle {
  readonly json: boolean
  readonly colour: boolean
}

const BOLD_RED = '\u001b[1;31m'
const BOLD = '\u001b[1m'
const PLAIN = '\u001b[0m'

export function errorText(error: TributaryError, { json, colour }: ErrorStyle): string {
  const { code, message, hint, pointer, details } = error
  if (json)
    return `${jsonLine({ error: { code, message, ...(hint !== undefined && { hint }), ...(pointer !== undefined && { pointer }), details, exit_code: exitCodeOf(code) } })}\n`
  const [first = '', ...more] = message.split('\n')
  const lines = [
    ...more,
    ...(pointer === undefined ? [] : [`at: ${pointer}`]),
    ...Object.entries(details).flatMap(detailLines),
  ]
  const [red, bold, plain] = colour ? [BOLD_RED, BOLD, PLAIN] : ['', '', '']
  return [
    `${red}error[${code}]${plain}: ${shown(first)}`,
    ...lines.map((line) => `  = ${shown(line)}`),
    ...(hint === undefined ? [] : [`${bold}help${plain}: ${shown(hint)}`]),
    '',
  ].join('\n')
}
