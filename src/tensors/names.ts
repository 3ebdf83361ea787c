/** What tensors and files inside a model may be called: names that mean the same bytes everywhere, and reach nowhere else. */
import { type ErrorCode, TributaryError } from '../core/errors.ts'

export const NAME_BYTES_MAX = 512
/** What nearly all are: a look tells that nothing is wrong with them. */
const PLAIN = new RegExp(`^[ -~]{1,${NAME_BYTES_MAX}}$`)

/** Why this text can't name anything, in words that follow its own; undefined where it can. */
function flawOf(text: string): string | undefined {
  if (PLAIN.test(text)) return undefined
  if (text === '') return 'is empty'
  if (!text.isWellFormed()) return 'holds half of a surrogate pair'
  const bytes = Buffer.byteLength(text)
  if (bytes > NAME_BYTES_MAX) return `takes ${bytes} bytes, where at most ${NAME_BYTES_MAX} are allowed`
  if (/\p{Cc}/u.test(text)) return 'holds a control character'
  if (text.normalize('NFC') !== text) return 'is not in Unicode form NFC'
  return undefined
}

/** Text of strangers, short enough for a message and with nothing a terminal would act on. */
export const shown = (text: string): string =>
  JSON.stringify(text.length > 120 ? `${text.slice(0, 117)}...` : text).replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

const refuse = (code: ErrorCode, what: string, name: string, flaw: string, hint: string) =>
  new TributaryError(code, `the ${what} ${shown(name)} ${flaw}`, { hint })

/** A tensor's name. A slash is only a character in it, but a `..` between slashes would be a way out if it ever became a path. */
export function checkTensorName(name: string): void {
  const flaw =
    flawOf(name) ??
    (name.includes('..') && name.split(/[/\\]/).includes('..') ? 'has a ".." segment' : undefined) ??
    (name === '__proto__' ? 'is a word that JavaScript readers mistake for something else' : undefined)
  if (flaw !== undefined)
    throw refuse('SAFETENSORS_NAME_INVALID', 'tensor name', name, flaw, 'rename the tensor and save the file again')
}

/** A file's path inside a model: relative, with forward slashes, each segment a plain name. */
export function checkModelPath(path: string): void {
  const segments = path.split('/')
  const flaw =
    flawOf(path) ??
    (path.startsWith('/') || /^[A-Za-z]:/.test(path) ? 'is not relative' : undefined) ??
    (path.includes('\\') ? 'holds a backslash' : undefined) ??
    (segments.includes('..') ? 'has a ".." segment' : undefined) ??
    (segments.includes('.') || segments.includes('') ? 'has an empty or "." segment' : undefined)
  if (flaw !== undefined)
    throw refuse(
      'PATH_INVALID',
      'file path',
      path,
      flaw,
      'name files relative to the model directory, like tokenizer.json',
    )
}

const ASCII = /^[\0-\x7f]*$/
/** A text whose UTF-16 order is that of this one's UTF-8 bytes: of ASCII, the text itself. */
const utf8Key = (text: string): string => (ASCII.test(text) ? text : Buffer.from(text).toString('latin1'))

/**
 * A sorted copy, by the UTF-8 bytes of each item's text. Each text is encoded once: two hundred thousand names sort in a
 * fraction of a second, where encoding both sides of every comparison takes many. Most lists come sorted.
 */
export function sortByUtf8<T>(items: Iterable<T>, textOf: (item: T) => string): T[] {
  const all = [...items]
  const keys = all.map((item) => utf8Key(textOf(item)))
  if (isSorted(keys)) return all
  const places = keys.map((_, i) => i)
  places.sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : 0))
  return places.map((place) => all[place]!)
}

function isSorted(keys: readonly string[]): boolean {
  for (let i = 1; i < keys.length; i++) if (keys[i - 1]! > keys[i]!) return false
  return true
}
