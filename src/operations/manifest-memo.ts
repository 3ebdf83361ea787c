/**
 * Manifests that were parsed lately: a merge of a thousand models looks at each several times. An id names its manifest
 * for ever, so nothing here can be out of date; the least lately used go first.
 */
import type { ModelId } from '../core/ids.ts'
import { type Manifest, parseManifest } from '../tensors/manifest.ts'

/** Of the text that was parsed. */
const TEXT_BYTES_MAX = 16 * 1024 * 1024

export class ManifestMemo {
  readonly #kept = new Map<ModelId, { readonly manifest: Manifest; readonly bytes: number }>()
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax = TEXT_BYTES_MAX) {
    this.#bytesMax = bytesMax
  }

  /** `read` answers the canonical text of the manifest that the id names. */
  of(id: ModelId, read: () => Uint8Array): Manifest {
    const known = this.#kept.get(id)
    if (known !== undefined) {
      this.#kept.delete(id)
      this.#kept.set(id, known) // the latest stands last
      return known.manifest
    }
    const text = read()
    const manifest = parseManifest(text)
    this.#kept.set(id, { manifest, bytes: text.length })
    this.#bytes += text.length
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#bytes <= this.#bytesMax) break
      this.#kept.delete(oldest)
      this.#bytes -= bytes
    }
    return manifest
  }
}
