/**
 * JSON as RFC 8259 has it and no further, for documents from strangers. Objects become Maps, so no key can be special;
 * a key met twice is refused, where JSON.parse would keep the last; numbers that aren't safe integers stay text.
 */

/** A number in any form but a safe integer written plainly: fractions, exponents, -0, or too large. */
export interface OtherNumber {
  readonly number: string
}
export type Json = string | number | boolean | null | OtherNumber | readonly Json[] | JsonObject
export type JsonObject = ReadonlyMap<string, Json>

/** How the document's owner refuses it; each must throw. */
export interface JsonRefusals {
  readonly syntax: (what: string, offset: number) => never
  readonly duplicateKey: (key: string, depth: number, offset: number) => never
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = /[ \t\n\r]*/y

class StrictJsonReader {
  readonly #text: string
  readonly #depthMax: number
  readonly #refuse: JsonRefusals
  #offset = 0

  constructor(text: string, depthMax: number, refuse: JsonRefusals) {
    this.#text = text
    this.#depthMax = depthMax
    this.#refuse = refuse
  }

  document(): Json {
    const value = this.#value(1)
    this.#skipSpace()
    if (this.#offset < this.#text.length) this.#refuse.syntax('something after the end of the JSON', this.#offset)
    return value
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset
    const token = pattern.exec(this.#text)?.[0]
    if (token !== undefined) this.#offset += token.length
    return token
  }

  #skipSpace(): void {
    const code = this.#text.charCodeAt(this.#offset)
    if (code <= 0x20) this.#match(SPACE)
  }

  #take(character: string): boolean {
    this.#skipSpace()
    if (this.#text[this.#offset] !== character) return false
    this.#offset += 1
    return true
  }

  #value(depth: number): Json {
    this.#skipSpace()
    const first = this.#text[this.#offset]
    if (first === '{') return this.#object(depth)
    if (first === '[') return this.#array(depth)
    if (first === '"') return this.#string()
    if (first === 't') return this.#word('true', true)
    if (first === 'f') return this.#word('false', false)
    if (first === 'n') return this.#word('null', null)
    return this.#number()
  }

  #enter(depth: number): void {
    if (depth > this.#depthMax) this.#refuse.syntax(`nesting deeper than ${this.#depthMax}`, this.#offset)
    this.#offset += 1
  }

  #object(depth: number): JsonObject {
    this.#enter(depth)
    const object = new Map<string, Json>()
    if (this.#take('}')) return object
    do {
      this.#skipSpace()
      const start = this.#offset
      const key = this.#string()
      if (object.has(key)) this.#refuse.duplicateKey(key, depth, start)
      if (!this.#take(':')) this.#refuse.syntax('no colon after a key', this.#offset)
      object.set(key, this.#value(depth + 1))
    } while (this.#take(','))
    if (!this.#take('}')) this.#refuse.syntax('an object that is not closed', this.#offset)
    return object
  }

  #array(depth: number): readonly Json[] {
    this.#enter(depth)
    const items: Json[] = []
    if (this.#take(']')) return items
    do items.push(this.#value(depth + 1))
    while (this.#take(','))
    if (!this.#take(']')) this.#refuse.syntax('an array that is not closed', this.#offset)
    return items
  }

  #string(): string {
    const start = this.#offset
    if (this.#text[start] !== '"') this.#refuse.syntax('no string', start)
    // a loop, not a pattern: a pattern of many repeats can run out of stack on a hostile string
    let end = start + 1
    let escaped = false
    for (let code = this.#text.charCodeAt(end); code !== QUOTE; code = this.#text.charCodeAt(end)) {
      if (!(code >= 0x20)) this.#refuse.syntax('a string that is not closed, or holds a control character', start)
      if (code === BACKSLASH) escaped = true
      end += code === BACKSLASH ? 2 : 1
    }
    this.#offset = end + 1
    return escaped ? this.#unescaped(start) : this.#text.slice(start + 1, end)
  }

  #unescaped(start: number): string {
    let text: unknown
    try {
      text = JSON.parse(this.#text.slice(start, this.#offset))
    } catch {
      this.#refuse.syntax('a string with an unknown escape', start)
    }
    if (typeof text !== 'string' || !text.isWellFormed())
      this.#refuse.syntax('a string with half of a surrogate pair', start)
    return text
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#offset)) this.#refuse.syntax('no JSON value', this.#offset)
    this.#offset += word.length
    return value
  }

  #number(): number | OtherNumber {
    const token = this.#match(NUMBER)
    if (token === undefined) this.#refuse.syntax('no JSON value', this.#offset)
    const value = Number(token)
    return Number.isSafeInteger(value) && String(value) === token ? value : { number: token }
  }
}

export const parseStrictJson = (text: string, depthMax: number, refuse: JsonRefusals): Json =>
  new StrictJsonReader(text, depthMax, refuse).document()

export const isJsonObject = (value: Json | undefined): value is JsonObject => value instanceof Map
