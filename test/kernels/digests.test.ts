/** The bits themselves, by their digests: the same on every machine, and written down so that none can change unseen. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as graphWords from '../../src/core/graph-words.ts'
import * as libm from '../../src/core/libm.ts'
import type { Kernels } from '../../src/kernels/kernels.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'

type Vectors = Iterable<readonly [name: string, digest: string]>
interface Programs {
  readonly kernelVectors: (kernels: Kernels<Float64Array>, words: typeof graphWords) => Vectors
  readonly libmVectors: (libm: object) => Vectors
}
const program = async (name: string): Promise<Programs> =>
  (await import(new URL(`../../scripts/vectors/${name}.mjs`, import.meta.url).href)) as Programs

const written = readFileSync(new URL('../golden/digests.txt', import.meta.url), 'utf8').split('\n')
/** Lines of one prefix, in the order in which they are made. */
const linesOf = (prefix: string): readonly string[] =>
  written.filter((line) => line.slice(66).startsWith(prefix) && !line.slice(66).startsWith(`${prefix}merge/`))
const linesFrom = (prefix: string, vectors: Vectors): readonly string[] =>
  Array.from(vectors, ([name, digest]) => `${digest}  ${prefix}${name}`)

describe('[KRN-60] the digests written down are those of', () => {
  test('the compiled kernels', async () => {
    const { kernelVectors } = await program('kernels')
    const made = new Set(linesFrom('wasm/', kernelVectors(createWasmKernels(), graphWords)))
    expect(linesOf('wasm/').filter((line) => !made.has(line))).toEqual([])
  })

  test('the readable kernels, some of them', async () => {
    const { kernelVectors } = await program('kernels')
    const some: (readonly [string, string])[] = []
    for (const vector of kernelVectors(referenceKernels, graphWords)) if (some.push(vector) === 100) break
    expect(linesFrom('readable/', some)).toEqual(linesOf('readable/').slice(0, 100))
  })

  test('the pinned maths', async () => {
    const { libmVectors } = await program('libm')
    const made = new Set(linesFrom('libm/', libmVectors(libm)))
    expect(linesOf('libm/').filter((line) => !made.has(line))).toEqual([])
  })

  test('both sets of kernels, which are told apart by nothing', () => {
    const [wasm, readable] = ['wasm/', 'readable/'].map((set) =>
      written.filter((line) => line.slice(66).startsWith(set)).map((line) => line.replace(set, '')),
    )
    expect(wasm).toEqual(readable)
    expect(wasm?.length).toBeGreaterThan(250)
  })
})
