/** The log for whoever reads it in a terminal: a short line each, made from the JSON that machines get. */
import { shown } from './text.ts'

const LEVELS: Readonly<Record<number, string>> = { 40: 'warning', 50: 'error', 60: 'error' }

interface Entry {
  readonly level?: number
  readonly time?: number
  readonly msg?: string
  readonly method?: string
  readonly url?: string
  readonly status?: number
  readonly ms?: number
  readonly err?: { readonly message?: string; readonly code?: string }
}

/** `12:03:44  GET /v1/spaces  200  3 ms`, `12:03:44  error: sweep: the disk is full (DISK_FULL)`. */
export function logLine(json: string): string {
  const entry = read(json)
  if (entry === undefined) return shown(json.trimEnd())
  const { level = 30, time = 0, msg = '', method, url, status, ms, err } = entry
  const parts = [new Date(time).toTimeString().slice(0, 8)]
  const word = LEVELS[level]
  if (method !== undefined) parts.push(`${method} ${String(url)}`, String(status), `${String(ms)} ms`)
  else {
    const code = err?.code === undefined ? '' : ` (${err.code})`
    const why = err?.message === undefined ? '' : `: ${err.message}${code}`
    parts.push(`${word === undefined ? '' : `${word}: `}${msg}${why}`)
  }
  return parts.map(shown).join('  ')
}

function read(json: string): Entry | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined // not ours: shown as it is
  }
}
