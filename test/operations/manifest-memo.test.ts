import { expect, test } from 'vitest'
import type { FileDigest, ModelId, TensorRoot } from '../../src/core/ids.ts'
import { ManifestMemo } from '../../src/operations/manifest-memo.ts'
import { makeManifest, manifestBytes, modelIdOf } from '../../src/tensors/manifest.ts'

function aModel(digit: string) {
  const manifest = makeManifest({
    tensors: [{ name: 'w', dtype: 'U8', shape: [3], bytes: 3, root: digit.repeat(64) as TensorRoot }],
    files: [],
    layout: [{ path: 'model.safetensors', header: 'c'.repeat(64) as FileDigest, order: ['w'] }],
  })
  return { id: modelIdOf(manifest), manifest, text: manifestBytes(manifest) }
}

/** Which models were read, in order. */
function reading(memo: ManifestMemo) {
  const read: ModelId[] = []
  const look = ({ id, text }: ReturnType<typeof aModel>) =>
    memo.of(id, () => {
      read.push(id)
      return text
    })
  return { read, look }
}

test('[MAN-10] a manifest is read and parsed once while it is among those looked at lately', () => {
  const [a, b, c] = ['1', '2', '3'].map(aModel) as [ReturnType<typeof aModel>, ReturnType<typeof aModel>, never]
  const { read, look } = reading(new ManifestMemo(2 * a.text.length))
  expect(look(a)).toEqual(a.manifest)
  expect(look(a)).toBe(look(a))
  look(b)
  look(a)
  look(c) // b was not looked at for the longest
  look(a)
  expect(read).toEqual([a, b, c].map(({ id }) => id))
  expect(look(b)).toEqual(b.manifest)
  expect(read).toEqual([a, b, c, b].map(({ id }) => id))
})

test('[MAN-10] one that is larger than all that may be kept is parsed each time, and what is no manifest is not kept', () => {
  const a = aModel('1')
  const { read, look } = reading(new ManifestMemo(a.text.length - 1))
  expect([look(a), look(a)]).toEqual([a.manifest, a.manifest])
  expect(read).toHaveLength(2)
  const memo = new ManifestMemo()
  expect(() => memo.of(a.id, () => Uint8Array.of(1))).toThrow()
  expect(memo.of(a.id, () => a.text)).toEqual(a.manifest)
})
