/**
 * Text for people: what came from elsewhere with its control characters escaped, sizes, durations, aligned columns.
 * A line made here never moves the cursor, hides text or begins a second line.
 */

/** C0, DEL, C1, line and paragraph separators, and the marks that turn the direction of writing. */
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g
/** Those of them that JSON.stringify leaves as they are. */
const HIDDEN_IN_JSON = /[\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

export const shown = (text: string): string => text.replaceAll(HIDDEN, escaped)

/** One line of JSON that is also safe on a terminal: the escapes are JSON's own. */
export const jsonLine = (value: unknown): string => JSON.stringify(value).replaceAll(HIDDEN_IN_JSON, escaped)

/** Text of several lines, such as a plan: each line as `shown` shows it. */
export const linesOf = (text: string): readonly string[] => text.trimEnd().split('\n').map(shown)

const UNITS = ['kB', 'MB', 'GB', 'TB', 'PB'] as const

/** In powers of ten, as disks and downloads count. */
export function sizeText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  let value = bytes
  let unit: string = UNITS[0]
  for (const next of UNITS) {
    value /= 1000
    unit = next
    if (value < 999.95) break
  }
  return `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ${unit}`
}

export function durationText(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  return whole < 3600 ? `${Math.floor(whole / 60)}m ${whole % 60}s` : clockText(whole)
}

/** `m:ss`, or `h:mm:ss`. */
export function clockText(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const whole = Math.max(0, Math.round(seconds))
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}

/** "1 file", "3 files", "2 entries". */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

/** Enough of an id to recognise it, and to name it by. */
export const shortId = (id: string): string => shown(id).slice(0, 12)

/** Rows under their headings, cells padded to the widest of the column. No rows, no lines. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) return []
  const cells = [headings, ...rows.map((row) => row.map(shown))]
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** `name  value` lines, values aligned; what is undefined is left out. */
export function facts(pairs: readonly (readonly [name: string, value: string | undefined])[]): readonly string[] {
  const there = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined)
  const width = Math.max(0, ...there.map(([name]) => name.length))
  return there.map(([name, value]) => `${name.padEnd(width)}  ${shown(value)}`.trimEnd())
}
