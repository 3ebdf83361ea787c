/** Which files travel with the output: config, tokenizer, templates, as they are; never weights, indexes or papers. */
import { compareUtf8 } from '../core/bytes.ts'

interface ModelFile {
  readonly path: string
  readonly sha256: string
}

/** The output gets its own model card, receipt and index; those of an input would speak of another model. */
const LEFT_BEHIND =
  /(^|\/)(README\.md|receipt\.json|\.gitattributes)$|\.index\.json$|\.safetensors$|(^|\/)\.tributary\//

export const carriedFiles = (files: readonly ModelFile[]): readonly (readonly [path: string, sha256: string])[] =>
  files
    .filter(({ path }) => !LEFT_BEHIND.test(path))
    .map(({ path, sha256 }) => [path, sha256] as const)
    .sort(([a], [b]) => compareUtf8(a, b))
