/**
 * A client of one space that writes down what it was told, over any number of crashes of the replica it talks to: what
 * was acknowledged must stay, what was asked and not answered may have happened or not.
 */
import { expect } from 'vitest'
import { sha256Hex } from '../../src/core/digest.ts'
import { safetensors, tinyModel } from '../support/safetensors.ts'

/** The replica went away before it answered. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered'
}

export interface Answer {
  readonly status: number
  readonly bytes: Uint8Array
  readonly headers: Headers
}

/** One request; whatever comes of a connection that broke is `Unanswered`. */
export async function ask(url: string, method: string, path: string, body?: unknown, headers = {}): Promise<Answer> {
  const isBytes = body instanceof Uint8Array
  try {
    const answer = await fetch(`${url}${path}`, {
      method,
      ...(body !== undefined && {
        body: isBytes ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body),
        headers: { 'content-type': isBytes ? 'application/octet-stream' : 'application/json', ...headers },
      }),
    })
    return { status: answer.status, bytes: new Uint8Array(await answer.arrayBuffer()), headers: answer.headers }
  } catch (error) {
    throw new Unanswered(`${method} ${path}`, { cause: error })
  }
}

const textOf = ({ bytes }: Answer): string => Buffer.from(bytes).toString()

export async function answerOf<T>(url: string, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await ask(url, method, path, body)
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${textOf(answer)}`)
  return JSON.parse(textOf(answer)) as T
}

/** Mulberry32: the same numbers in [0, 1) for the same seed. */
export function numbersFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Contribution {
  readonly id: string
  readonly model: string
  readonly content: string
}
interface Merge {
  readonly state: string
  readonly error?: unknown
}

export class Diary {
  readonly space: string
  /** Names and what is known of them; 'open' is what was asked and not answered. */
  readonly shown = new Map<string, Contribution>()
  readonly #gone = new Set<string>()
  readonly #open = new Set<string>()
  readonly #revoked = new Set<string>()
  /** SHA-256 of each model's file; `undefined` while its content may have been revoked. */
  readonly models = new Map<string, string | undefined>()
  /** Of each merge that was accepted: its receipt and its output's SHA-256, once it was seen done. */
  readonly merges = new Map<string, { readonly receipt: string; readonly output: string } | undefined>()
  readonly #merged = new Set<string>()
  #upload: { readonly id: string; readonly bytes: Uint8Array; offset: number } | undefined
  #serial: number
  readonly #number: () => number

  constructor(space: string, seed: number) {
    this.space = space
    this.#serial = seed * 100_000
    this.#number = numbersFrom(seed)
  }

  #path(rest: string): string {
    return `/v1/spaces/${this.space}/${rest}`
  }

  /** A model like no other. */
  #file(): Uint8Array {
    this.#serial += 1
    return safetensors([...tinyModel(this.#serial), { name: 'serial', shape: [1], values: [this.#serial] }])
  }

  /** Makes the space and asks for one of everything, so that there is something to lose. */
  async begin(url: string): Promise<void> {
    await answerOf(url, 'POST', '/v1/spaces', { name: this.space })
    for (let i = 0; i < 3; i++) await this.#contribute(url)
    await this.#merge(url)
    await this.#contribute(url)
    await this.#revoke(url)
    await this.#retract(url)
    await this.#uploadInPieces(url)
  }

  /** Asks one thing after the other until nobody answers; says so after each. */
  async work(url: string, onDone: () => void): Promise<void> {
    for (;;) {
      const draw = this.#number()
      if (draw < 0.45) await this.#contribute(url)
      else if (draw < 0.65) await this.#uploadInPieces(url)
      else if (draw < 0.8) await this.#retract(url)
      else if (draw < 0.95) await this.#merge(url)
      else await this.#revoke(url)
      onDone()
    }
  }

  async #contribute(url: string): Promise<void> {
    const file = this.#file()
    const name = `model-${this.#serial}`
    this.#open.add(name)
    const told = await answerOf<Contribution>(url, 'POST', this.#path(`contributions?name=${name}`), file)
    this.#note(name, told, sha256Hex(file))
  }

  #note(name: string, told: Contribution, sha256: string): void {
    this.#open.delete(name)
    this.shown.set(name, told)
    this.models.set(told.model, sha256)
  }

  /** Takes up the upload that a crash interrupted, where there is one. */
  async #uploadInPieces(url: string): Promise<void> {
    if (this.#upload === undefined) {
      const bytes = this.#file()
      const files = [{ path: 'model.safetensors', bytes: bytes.length, sha256: sha256Hex(bytes) }]
      const { id } = await answerOf<{ id: string }>(url, 'POST', '/v1/uploads', { files })
      this.#upload = { id, bytes, offset: 0 }
    }
    const upload = this.#upload
    const { files } = await answerOf<{ files: readonly { offset: number }[] }>(url, 'GET', `/v1/uploads/${upload.id}`)
    let offset = files[0]!.offset
    expect(offset).toBeGreaterThanOrEqual(upload.offset)
    while (offset < upload.bytes.length) {
      const until = Math.min(offset + 100, upload.bytes.length)
      const put = await ask(
        url,
        'PUT',
        `/v1/uploads/${upload.id}/files/model.safetensors`,
        upload.bytes.subarray(offset, until),
        { 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset) },
      )
      expect(put.status, textOf(put)).toBe(204)
      offset = Number(put.headers.get('upload-offset'))
      expect(offset).toBe(until)
      upload.offset = offset
    }
    const { model } = await answerOf<{ model: string }>(url, 'POST', `/v1/uploads/${upload.id}/finish`)
    this.models.set(model, sha256Hex(upload.bytes))
    this.#upload = undefined
  }

  async #retract(url: string): Promise<void> {
    const [name, told] = this.#pick(this.shown)
    if (told === undefined) return
    this.shown.delete(name)
    this.#open.add(name)
    await answerOf(url, 'DELETE', this.#path(`contributions/${told.id}`))
    this.#open.delete(name)
    this.#gone.add(name)
  }

  #pick<V>(from: ReadonlyMap<string, V>): readonly [string, V | undefined] {
    const all = [...from]
    return all[Math.floor(this.#number() * all.length)] ?? ['', undefined]
  }

  /** A content that no merge reads, so that every merge that was accepted can be done. */
  async #revoke(url: string): Promise<void> {
    const [name, told] = this.#pick(new Map([...this.shown].filter(([each]) => !this.#merged.has(each))))
    if (told === undefined) return
    this.shown.delete(name)
    this.#open.add(name)
    this.models.set(told.model, undefined)
    await answerOf(url, 'POST', this.#path('revocations'), { content: told.content })
    this.#open.delete(name)
    this.#gone.add(name)
    this.#revoked.add(told.content)
  }

  async #merge(url: string): Promise<void> {
    const names = [...this.shown.keys()].slice(-3)
    if (names.length === 0) return
    for (const name of names) this.#merged.add(name)
    const recipe = { strategy: 'weight_average', select: { names } }
    const { id } = await answerOf<{ id: string }>(url, 'POST', this.#path('merges'), { recipe })
    if (!this.merges.has(id)) this.merges.set(id, undefined)
    await this.awaitMerge(url, id)
  }

  async awaitMerge(url: string, id: string): Promise<void> {
    for (;;) {
      const { state, error } = await answerOf<Merge>(url, 'GET', this.#path(`merges/${id}`))
      if (state === 'done') break
      if (state !== 'queued' && state !== 'running') throw new Error(`${id} is ${state}: ${JSON.stringify(error)}`)
      await new Promise((resolve) => setTimeout(resolve, 5)) // asks again; the merge decides when it is done
    }
    const found = { receipt: await this.#receipt(url, id), output: await this.#output(url, id) }
    const before = this.merges.get(id)
    if (before !== undefined) expect(found).toEqual(before)
    this.merges.set(id, found)
  }

  async #receipt(url: string, id: string): Promise<string> {
    return JSON.stringify(await answerOf(url, 'GET', this.#path(`merges/${id}/receipt`)))
  }

  async #output(url: string, id: string): Promise<string> {
    const { status, bytes } = await ask(url, 'GET', this.#path(`merges/${id}/model.safetensors`))
    expect(status).toBe(200)
    return sha256Hex(bytes)
  }

  /** Everything that was acknowledged is there; of bytes, those noted last. What was open is settled by what is seen. */
  async check(url: string, last = 5): Promise<void> {
    const { revoked } = await answerOf<{ revoked: readonly { content: string }[] }>(
      url,
      'GET',
      `/v1/spaces/${this.space}`,
    )
    const withdrawn = revoked.map(({ content }) => content)
    for (const content of this.#revoked) expect(withdrawn).toContain(content)
    const visible = await this.#visible(url)
    for (const [name, { id }] of this.shown) expect(visible.get(name)?.id).toBe(id)
    for (const name of this.#gone) expect(visible.has(name)).toBe(false)
    for (const name of this.#open) {
      const found = visible.get(name)
      if (found === undefined) this.#gone.add(name)
      else this.shown.set(name, found)
    }
    this.#open.clear()
    for (const [model, sha256] of [...this.models].slice(-last)) {
      if (sha256 === undefined) continue
      const file = await ask(url, 'GET', `/v1/models/${model}/files/model.safetensors`)
      expect(file.status).toBe(200)
      expect(sha256Hex(file.bytes)).toBe(sha256)
    }
    for (const [id, known] of [...this.merges].slice(-last)) {
      const { state } = await answerOf<Merge>(url, 'GET', this.#path(`merges/${id}`))
      expect(known === undefined ? ['queued', 'running', 'done'] : ['done']).toContain(state)
      if (known === undefined) continue
      expect(await this.#receipt(url, id)).toBe(known.receipt)
      expect(await this.#output(url, id)).toBe(known.output)
    }
  }

  async #visible(url: string): Promise<ReadonlyMap<string, Contribution>> {
    const listed = await answerOf<{ items: readonly (Contribution & { name: string })[] }>(
      url,
      'GET',
      this.#path('contributions'),
    )
    return new Map(listed.items.map((one) => [one.name, one]))
  }
}
