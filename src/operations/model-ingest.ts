/**
 * A model on its way in: streams become blobs that are durable but nameless until `finish` publishes them all and commits
 * the model. Whatever fails, `discard` leaves nothing behind.
 */
import { createHash } from 'node:crypto'
import { concat } from '../core/bytes.ts'
import { TributaryError } from '../core/errors.ts'
import type { FileDigest, TensorRoot } from '../core/ids.ts'
import type { BlobName, BlobWriter, SealedBlob } from '../storage/blob-store.ts'
import { bytesPerElement, countNotFinite, type NotFinite, tensorNotFinite } from '../tensors/dtypes.ts'
import { refusePickle } from '../tensors/file-kinds.ts'
import { HeaderReader } from '../tensors/header-reader.ts'
import {
  makeManifest,
  manifestBytes,
  type ManifestFile,
  type ManifestLayout,
  type ManifestTensor,
  modelIdOf,
} from '../tensors/manifest.ts'
import { dataStartOf, type SafetensorsHeader, type TensorEntry } from '../tensors/safetensors.ts'
import type { Context } from './context.ts'
import type { Bytes, ModelAdded } from './operations.ts'
import { needRoom } from './room.ts'

interface Announced {
  readonly bytes?: number | undefined
  readonly sha256?: string | undefined
}

/** Seals (each a sync) that may be under way at once: the disk orders them better than we would. */
const SEALS_MAX = 8

export class ModelIngest {
  readonly #context: Context
  readonly #writers = new Set<BlobWriter>()
  readonly #sealed: SealedBlob[] = []
  readonly #seals = new Set<Promise<void>>()
  readonly #tensors: ManifestTensor[] = []
  readonly #files: ManifestFile[] = []
  readonly #layout: ManifestLayout[] = []
  #sealError: unknown

  constructor(context: Context) {
    this.#context = context
  }

  /** One safetensors file. Refused by name at the first byte that can't be right. */
  async addWeights(path: string, body: Bytes, announced: Announced = {}): Promise<SafetensorsHeader> {
    const hash = announced.sha256 === undefined ? undefined : createHash('sha256')
    const reader = new HeaderReader({ fileBytes: announced.bytes })
    let splitter: TensorSplitter | undefined
    for await (const chunk of body) {
      hash?.update(chunk)
      if (splitter !== undefined) {
        await splitter.push(chunk)
        continue
      }
      const read = reader.push(chunk)
      if (read === undefined) continue
      const { header, stored, rest } = read
      await needRoom(this.#context, header.dataBytes, 'the model')
      const writer = await this.#create('file')
      await writer.write(stored)
      const sealed = await this.#seal(writer)
      this.#layout.push({
        path,
        header: sealed.name.digest as FileDigest,
        order: header.tensors.map(({ name }) => name),
      })
      splitter = new TensorSplitter(
        path,
        header,
        () => this.#create('tensor'),
        (writer, entry) => this.#sealLater(writer, entry),
      )
      await splitter.push(rest)
    }
    reader.end()
    if (splitter === undefined) throw new TributaryError('SAFETENSORS_TRUNCATED', `${path} is empty`)
    await splitter.end()
    checkSha(path, hash?.digest('hex'), announced.sha256)
    return splitter.header
  }

  /** A file beside the weights. */
  async addFile(path: string, body: Bytes, announced: Announced = {}): Promise<void> {
    const writer = await this.#create('file')
    let start = new Uint8Array(0)
    let bytes = 0
    for await (const chunk of body) {
      if (start.length < 1024) {
        start = concat(start, chunk.subarray(0, 1024)) as Uint8Array<ArrayBuffer>
        refusePickle(path, start)
      }
      bytes += chunk.length
      await writer.write(chunk)
    }
    const sealed = await this.#seal(writer)
    checkSha(path, sealed.name.digest, announced.sha256)
    this.#files.push({ path, bytes, sha256: sealed.name.digest as FileDigest })
  }

  /** A tensor that is in the store already. */
  addKnownTensor(tensor: ManifestTensor): void {
    this.#tensors.push(tensor)
  }

  /** A file that is in the store already. */
  addKnownFile(file: ManifestFile): void {
    this.#files.push(file)
  }

  async addHeader(path: string, stored: Uint8Array, order: readonly string[]): Promise<void> {
    const writer = await this.#create('file')
    await writer.write(stored)
    const sealed = await this.#seal(writer)
    this.#layout.push({ path, header: sealed.name.digest as FileDigest, order })
  }

  /** Publishes, then commits the model together with what `also` commits. */
  async finish(
    warnings: readonly string[] = [],
    also: (added: ModelAdded) => void = () => undefined,
  ): Promise<ModelAdded> {
    await this.#settled()
    const { storage, now } = this.#context
    const manifest = makeManifest({ tensors: this.#tensors, files: this.#files, layout: this.#layout })
    const id = modelIdOf(manifest)
    const names = new Map<string, BlobName>()
    const name = (blob: BlobName) => names.set(`${blob.kind}/${blob.digest}`, blob)
    for (const { root } of manifest.tensors) name({ kind: 'tensor', digest: root })
    for (const { sha256 } of manifest.files) name({ kind: 'file', digest: sha256 })
    for (const { header } of manifest.layout) name({ kind: 'file', digest: header })
    const blobs = [...names.values()]
    storage.pins.claim(blobs)
    await storage.blobs.publish(this.#sealed)
    await storage.blobs.settle(blobs) // what was known to be here too
    return storage.transact(() => {
      const created = storage.models.put(
        { id, content: manifest.content, manifest: manifestBytes(manifest), createdAtMs: now() },
        blobs,
      )
      const added: ModelAdded = { model: id, content: manifest.content, created, warnings }
      also(added)
      return added
    })
  }

  async discard(): Promise<void> {
    await Promise.allSettled(this.#seals)
    await Promise.allSettled([...this.#writers].map((writer) => writer.discard()))
    this.#writers.clear()
  }

  async #create(kind: 'tensor' | 'file'): Promise<BlobWriter> {
    this.#throwSealError()
    const writer = await this.#context.storage.blobs.create(kind)
    this.#writers.add(writer)
    return writer
  }

  async #seal(writer: BlobWriter): Promise<SealedBlob> {
    const sealed = await writer.seal()
    this.#sealed.push(sealed)
    return sealed
  }

  async #sealLater(writer: BlobWriter, { name, dtype, shape }: TensorEntry): Promise<void> {
    const seal = this.#seal(writer).then(
      ({ name: blob, bytes }) =>
        void this.#tensors.push({ name, dtype, shape, bytes, root: blob.digest as TensorRoot }),
      (error: unknown) => void (this.#sealError ??= error),
    )
    this.#seals.add(seal)
    void seal.finally(() => this.#seals.delete(seal))
    if (this.#seals.size >= SEALS_MAX) await Promise.race(this.#seals)
    this.#throwSealError()
  }

  async #settled(): Promise<void> {
    await Promise.all(this.#seals)
    this.#throwSealError()
  }

  #throwSealError(): void {
    if (this.#sealError !== undefined) throw this.#sealError as Error
  }
}

function checkSha(path: string, actual: string | undefined, announced: string | undefined): void {
  if (announced !== undefined && actual !== announced)
    throw new TributaryError('DIGEST_MISMATCH', `${path} was announced as ${announced} and is ${String(actual)}`, {
      hint: 'the file changed or the transfer was damaged; send it again',
    })
}

/** Cuts the data of one safetensors file into its tensors, counting what is not finite on the way. */
class TensorSplitter {
  readonly header: SafetensorsHeader
  readonly #path: string
  readonly #create: () => Promise<BlobWriter>
  readonly #finished: (writer: BlobWriter, entry: TensorEntry) => Promise<void>
  #next = 0
  #position = 0
  #open: { entry: TensorEntry; writer: BlobWriter; census: Census } | undefined

  constructor(
    path: string,
    header: SafetensorsHeader,
    create: () => Promise<BlobWriter>,
    finished: (writer: BlobWriter, entry: TensorEntry) => Promise<void>,
  ) {
    this.#path = path
    this.header = header
    this.#create = create
    this.#finished = finished
  }

  async push(chunk: Uint8Array): Promise<void> {
    let rest = chunk
    await this.#closeFull()
    while (rest.length > 0) {
      if (this.#open === undefined)
        throw new TributaryError(
          'SAFETENSORS_TRAILING_BYTES',
          `${this.#path} has bytes behind its last tensor, where ${dataStartOf(this.header) + this.header.dataBytes} bytes are promised`,
          {
            hint: 'save the file again with the safetensors library',
          },
        )
      const part = rest.subarray(0, this.#open.entry.end - this.#position)
      this.#open.census.see(part)
      await this.#open.writer.write(part)
      this.#position += part.length
      rest = rest.subarray(part.length)
      await this.#closeFull()
    }
  }

  async end(): Promise<void> {
    await this.#closeFull()
    if (this.#open === undefined) return
    const whole = this.header.tensors[this.#next - 2]
    throw new TributaryError(
      'SAFETENSORS_TRUNCATED',
      `${this.#path} ends early: its header promises ${dataStartOf(this.header) + this.header.dataBytes} bytes, and ${dataStartOf(this.header) + this.#position} came; ${whole === undefined ? 'no tensor is complete' : `the last complete tensor is ${JSON.stringify(whole.name)}`}`,
      { hint: 'the transfer was probably interrupted; send the file again' },
    )
  }

  /** Closes the tensor whose bytes are all here and opens the next; those without bytes open and close at once. */
  async #closeFull(): Promise<void> {
    for (;;) {
      if (this.#open === undefined) {
        const entry = this.header.tensors[this.#next]
        if (entry === undefined) return
        this.#next += 1
        this.#open = { entry, writer: await this.#create(), census: new Census(entry) }
      }
      const { entry, writer, census } = this.#open
      if (this.#position < entry.end) return
      census.check()
      this.#open = undefined
      await this.#finished(writer, entry)
    }
  }
}

/** Counts elements that are not finite, whatever the cuts between pieces. */
class Census {
  readonly #entry: TensorEntry
  #tail: Uint8Array = new Uint8Array(0)
  #elements = 0
  #found: NotFinite = { nan: 0, inf: 0, first: -1 }

  constructor(entry: TensorEntry) {
    this.#entry = entry
  }

  see(piece: Uint8Array): void {
    const size = bytesPerElement(this.#entry.dtype)
    const bytes = this.#tail.length === 0 ? piece : concat(this.#tail, piece)
    const whole = bytes.length - (bytes.length % size)
    const { nan, inf, first } = countNotFinite(this.#entry.dtype, bytes.subarray(0, whole))
    this.#found = {
      nan: this.#found.nan + nan,
      inf: this.#found.inf + inf,
      first: this.#found.first >= 0 || first < 0 ? this.#found.first : this.#elements + first,
    }
    this.#elements += whole / size
    this.#tail = bytes.slice(whole)
  }

  check(): void {
    if (this.#found.first >= 0) throw tensorNotFinite(this.#entry.name, this.#entry.shape, this.#found)
  }
}
